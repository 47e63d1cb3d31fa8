"""Many agents at once: whole runs that differ in seeds and hyperparameters, in one program.

The state of each is an entry of a leading axis. Agents are spread over the devices, which exchange
nothing. On an accelerator those of one device are `vmap`ped; on a CPU, where `vmap` makes both
sides of every condition run, they take turns, chunk by chunk.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vibe_rl.env.base import Environment
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.errors import ConfigError
from vibe_rl.runner.evaluation import Evaluation, Extent, in_pieces
from vibe_rl.runner.evaluator import begin_evaluation, continue_evaluation
from vibe_rl.runner.executor import ON_DEVICE, Beginning, Executor
from vibe_rl.runner.loop import (
    HOW,
    TrainState,
    iterations,
    jit_start_with,
    start,
)
from vibe_rl.runner.restarting import RESTART, restart, restarted
from vibe_rl.runner.run import Run
from vibe_rl.types import PyTree

AGENTS = "agents"


@dataclass(frozen=True)
class ManyRuns:
    """Runs side by side; made by `side_by_side`."""

    run: Run  # of all, whose hyperparameters are `[M]`
    members: tuple[Run, ...]


def side_by_side(runs: Sequence[Run]) -> ManyRuns:
    """The runs as one.

    Raises:
        ConfigError: they differ in more than seeds and hyperparameters, or do not fit into memory.
    """
    first = runs[0]
    for run in runs[1:]:
        check_alike(first, run)
    if jax.process_count() > 1 or any(run.executor != ON_DEVICE for run in runs):
        raise ConfigError(
            "several seeds at once need one process and runs of one device each, with envs and "
            "replay on it: leave out --distributed, runner.num_devices, replay_on host and "
            "environments in Python."
        )
    executor = in_one_program(mesh_for(len(runs)))
    first.algorithm.check_memory(len(runs), executor.n_devices)
    run = replace(
        first,
        algorithm=stack([run.algorithm for run in runs]),
        executor=executor,
        seeds=tuple(run.config.seed for run in runs),
    )
    return ManyRuns(run, tuple(runs))


def check_alike(first: Run, run: Run) -> None:
    """Raises ConfigError if the runs cannot share a program and its moments."""
    if not alike(first, run):
        raise ConfigError(
            "runs side by side may differ in seeds and hyperparameters that are numbers, not in "
            "shapes, envs, env_params, eval_params or the runner's settings: train the others "
            "apart."
        )


def alike(first: Run, run: Run) -> bool:
    """Whether the runs can share a program and its moments."""
    pair = first, run
    shapes = [jax.tree.structure((r.algorithm, r.env_params, r.eval_params)) for r in pair]
    settings = [(r.num_envs, r.env, replace(r.config, seed=0)) for r in pair]
    params = zip(*(jax.tree.leaves((r.env_params, r.eval_params)) for r in pair), strict=False)
    same_params = all(np.array_equal(a, b) for a, b in params)
    return shapes[0] == shapes[1] and settings[0] == settings[1] and same_params


def mesh_for(n_members: int) -> Mesh | None:
    """As many devices as divide the agents; None if one has all."""
    most = min(jax.local_device_count(), n_members)
    n_devices = next(d for d in range(most, 0, -1) if n_members % d == 0)
    return None if n_devices == 1 else Mesh(np.array(jax.local_devices()[:n_devices]), (AGENTS,))


def spread(mesh: Mesh) -> NamedSharding:
    """Of arrays with a leading axis of agents."""
    return NamedSharding(mesh, PartitionSpec(AGENTS))


def stack(trees: Sequence[PyTree]) -> PyTree:
    """Trees of the same structure as one, with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x) for x in leaves]), *trees)


def in_one_program(mesh: Mesh | None) -> Executor:
    """Every agent's part in each call; keys, algorithms and states have a leading axis `[M]`."""
    return Executor(
        start=partial(start_all, mesh),
        run_chunk=_chunk_program(mesh),
        evaluate=partial(evaluate_all, mesh),
        shapes=shapes_of_all,
        place=partial(place_for_all, mesh),
        restart=partial(restarted, program=_restart_program(mesh)),
        n_devices=1 if mesh is None else mesh.size,
    )


def start_all(
    mesh: Mesh | None, beginning: Beginning, restored: TrainState | None
) -> AbstractContextManager[TrainState]:
    """See `Executor.start`."""
    state = beginning.make(_start) if restored is None else restored
    return nullcontext(state if mesh is None else jax.device_put(state, spread(mesh)))


def shapes_of_all(beginning: Beginning) -> TrainState:
    """See `Executor.shapes`."""
    return beginning.make(_start.eval_shape)


def place_for_all(mesh: Mesh | None, env: AnyEnvironment, env_params: PyTree) -> PyTree:
    """See `Executor.place`; every device has all."""
    where = None if mesh is None else NamedSharding(mesh, PartitionSpec())
    return jax.device_put(env_params, where)


def evaluate_all(
    mesh: Mesh | None,
    algorithm: Any,
    agent_state: PyTree,
    env: Environment,
    env_params: PyTree,
    keys: Any,
    extent: Extent,
) -> Evaluation:
    """See `Executor.evaluate`."""
    task = (algorithm, algorithm.portable(agent_state)), env, env_params
    begin, advance = _evaluation_programs(mesh)
    first = partial(begin, *task, keys, n_episodes=extent.n_episodes)
    return in_pieces(first, partial(advance, *task), extent)


def for_each(function: Callable[..., PyTree], *trees: PyTree) -> PyTree:
    """`function` of every entry of the leading axes, in the way that suits the device."""
    if jax.default_backend() == "cpu":
        return jax.lax.map(lambda entries: function(*entries), trees)
    return jax.vmap(function)(*trees)


def on_all_devices(
    mesh: Mesh | None, function: Callable[..., PyTree], many: PyTree, shared: PyTree
) -> PyTree:
    """`function(*entry, *shared)` of every entry of `many`, on the device where it is."""

    def local(many: PyTree, shared: PyTree) -> PyTree:
        return for_each(lambda *entry: function(*entry, *shared), *many)

    if mesh is None:
        return local(many, shared)
    each, whole = PartitionSpec(AGENTS), PartitionSpec()
    how = {"mesh": mesh, "in_specs": (each, whole), "out_specs": each, "check_vma": False}
    return jax.shard_map(local, **how)(many, shared)


@partial(jax.jit, **jit_start_with.keywords)
def _start(algorithm: Any, env: Environment, env_params: PyTree, keys: Any, *, num_envs: int):
    """On a CPU each starts as it would alone, to the bit; in a `vmap` the sums of matrix products
    are rounded otherwise."""
    begin = partial(start, env=env, env_params=env_params, num_envs=num_envs)
    return for_each(lambda algorithm, key: begin(algorithm, key=key), algorithm, keys)


@lru_cache(maxsize=8)
def _restart_program(mesh: Mesh | None) -> Callable[..., Any]:
    def restart_all(env, env_params, keys, *, num_envs):
        def one(key, env_params):
            return restart(env, env_params, key, num_envs=num_envs)

        return on_all_devices(mesh, one, (keys,), (env_params,))

    return jax.jit(restart_all, **RESTART)


@lru_cache(maxsize=8)
def _chunk_program(mesh: Mesh | None) -> Callable[..., Any]:
    def run_chunk(algorithm, env, env_params, state, n_updates, each_episode=False):
        def one(algorithm, state, env_params, n_updates):
            return iterations(algorithm, env, env_params, state, n_updates, each_episode)

        return on_all_devices(mesh, one, (algorithm, state), (env_params, n_updates))

    return jax.jit(run_chunk, **HOW)


@lru_cache(maxsize=8)
def _evaluation_programs(mesh: Mesh | None) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`begin_evaluation` and `continue_evaluation` of many agents."""

    def begin_evaluations(agents, env, env_params, keys, episodes=None, *, n_episodes):
        def one(agent, key, env_params, episodes):
            return begin_evaluation(agent, env, env_params, key, episodes, n_episodes=n_episodes)

        return on_all_devices(mesh, one, (agents, keys), (env_params, episodes))

    def continue_evaluations(agents, env, env_params, running, until, episodes=None):
        def one(agent, running, env_params, until, episodes):
            return continue_evaluation(agent, env, env_params, running, until, episodes)

        return on_all_devices(mesh, one, (agents, running), (env_params, until, episodes))

    return (
        jax.jit(begin_evaluations, static_argnames=("env", "n_episodes")),
        jax.jit(continue_evaluations, static_argnames=("env",), donate_argnames=("running",)),
    )
