"""A run on several devices: where the parts of its state live, and utilities for device axes."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.env.params.many import is_shared, params_axes
from vibe_rl.errors import ConfigError
from vibe_rl.runner.acting import acting
from vibe_rl.runner.config import RunnerConfig, devices_of
from vibe_rl.runner.evaluation import Evaluation
from vibe_rl.runner.executor import Beginning, Executor, evaluate_on_device, shapes_on_device
from vibe_rl.runner.hybrid import learner_of
from vibe_rl.runner.loop import (
    HOW,
    Experience,
    MetricTable,
    TrainState,
    iterations,
    jit_start_with,
    play_on,
    rollout_keys,
)
from vibe_rl.runner.restarting import RESTART, restart, restarted
from vibe_rl.sharding import (
    DATA_AXIS,
    available_devices,
    data_sharding,
    fsdp_sharding,
    make_mesh,
    replicate_sharding,
)
from vibe_rl.types import Key, PyTree


def mesh_of(config: RunnerConfig) -> Mesh | None:
    """The mesh that a run is spread over; None for one device.

    Raises:
        ConfigError: there are fewer devices, or fsdp_devices does not divide them.
    """
    n_devices = devices_of(config)
    if n_devices == 1 and config.fsdp_devices == 1:
        return None
    return make_mesh(config.fsdp_devices, n_devices)


def check_divides(env: AnyEnvironment, num_envs: int, mesh: Mesh) -> None:
    """Raises ConfigError if the envs cannot be split evenly over the devices."""
    if isinstance(env, HostEnvironment):
        raise ConfigError(
            f"num_devices {mesh.size}: environments in Python serve one device, leave it out."
        )
    if num_envs % mesh.size:
        raise ConfigError(
            f"num_envs {num_envs} does not divide over {mesh.size} devices: choose a multiple."
        )


def placement(algorithm: Algorithm, state: TrainState, mesh: Mesh) -> TrainState:
    """A sharding for every leaf: envs are split, the agent is whole on every device.

    Large parameters, and the optimiser's moments of them, are split over the `fsdp` axis.
    """
    data, whole = data_sharding(mesh), replicate_sharding(mesh)
    agent = fsdp_sharding(state.agent_state, mesh)
    return TrainState(
        agent_state=algorithm.shardings(state.agent_state, agent, data),
        env_state=jax.tree.map(lambda _: data, state.env_state),
        obs=jax.tree.map(lambda _: data, state.obs),
        key=whole,  # type: ignore[arg-type]
    )


def on_mesh(mesh: Mesh) -> Executor:
    """Several devices, each with its share of the envs."""
    return Executor(
        start=partial(start_on_mesh, mesh),
        run_chunk=partial(run_chunk_on_mesh, mesh),
        evaluate=partial(evaluate_on_mesh, mesh),
        shapes=partial(shapes_on_mesh, mesh),
        place=partial(place_on_mesh, mesh),
        restart=partial(restarted, program=_restart_program(mesh)),
        n_devices=mesh.size,
    )


def place_on_mesh(mesh: Mesh, env: AnyEnvironment, env_params: PyTree) -> PyTree:
    """See `Executor.place`: what each env has of its own is where the env is."""
    data, whole = data_sharding(mesh), replicate_sharding(mesh)
    axes = params_axes(env, env_params)
    return jax.tree.map(
        lambda axis, x: _put(x, whole if axis is None else data),
        axes,
        env_params,
        is_leaf=is_shared,
    )


def _put(x: Any, sharding: NamedSharding) -> Any:
    """An array, which all processes have whole, as a sharded one.

    With several processes it is made of parts: `device_put` would compare all of it between them.
    """
    if jax.process_count() == 1:
        return jax.device_put(x, sharding)
    whole = np.asarray(x, jnp.result_type(x))
    return jax.make_array_from_callback(whole.shape, sharding, lambda part: whole[part])


def shapes_on_mesh(mesh: Mesh, beginning: Beginning) -> TrainState:
    """Shapes that say where each array is to be."""
    shapes = shapes_on_device(beginning)
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        shapes,
        placement(beginning.algorithm, shapes, mesh),
    )


def start_on_mesh(
    mesh: Mesh, beginning: Beginning, restored: TrainState | None
) -> AbstractContextManager[TrainState]:
    """See `Executor.start`; no device ever holds more than its part."""
    if restored is not None:
        where = placement(beginning.algorithm, restored, mesh)
        return nullcontext(jax.device_put(restored, where))
    program = _start_program(*shardings_of(shapes_on_mesh(mesh, beginning)))
    env_params = place_on_mesh(mesh, beginning.env, beginning.env_params)
    return nullcontext(beginning._replace(env_params=env_params).make(program))


def run_chunk_on_mesh(
    mesh: Mesh, algorithm: Any, env: Any, env_params: PyTree, state: TrainState, *how: Any
) -> tuple[TrainState, MetricTable]:
    """See `loop.run_chunk`; what comes out lives where it came from."""
    return chunk_program(mesh, state)(algorithm, env, env_params, state, *how)


def evaluate_on_mesh(
    mesh: Mesh, algorithm: Algorithm, agent_state: PyTree, *how: Any
) -> Evaluation:
    """See `Executor.evaluate`; on this process's first device."""
    return evaluate_on_device(algorithm, to_one_device(algorithm, agent_state, mesh), *how)


def to_one_device(algorithm: Algorithm, agent_state: PyTree, mesh: Mesh) -> PyTree:
    """What acting needs of a state, on this process's first device alone."""
    gather = jax.jit(lambda x: x, out_shardings=replicate_sharding(mesh))
    whole = gather(algorithm.portable(agent_state))
    return jax.tree.map(lambda x: x.addressable_data(0), whole)


def shardings_of(state: TrainState) -> tuple[tuple[NamedSharding, ...], Any]:
    """The sharding of every leaf, and the structure to put them back into."""
    leaves, structure = jax.tree.flatten(state)
    return tuple(leaf.sharding for leaf in leaves), structure


@lru_cache(maxsize=16)
def _start_program(leaves: tuple[NamedSharding, ...], structure: Any) -> Any:
    return jit_start_with(out_shardings=jax.tree.unflatten(structure, leaves))


@lru_cache(maxsize=16)
def _restart_program(mesh: Mesh) -> Any:
    data, whole = data_sharding(mesh), replicate_sharding(mesh)
    return jax.jit(restart, out_shardings=(data, data, whole), **RESTART)


def chunk_program(mesh: Mesh, state: TrainState) -> Any:
    """`run_chunk` for states that are placed so; compiled once for each placement."""
    return _chunk_program(mesh, *shardings_of(state))


@lru_cache(maxsize=16)
def _chunk_program(mesh: Mesh, leaves: tuple[NamedSharding, ...], structure: Any) -> Any:
    placed = jax.tree.unflatten(structure, leaves)
    program = partial(iterations, collect=partial(collect_on_mesh, mesh))
    return jax.jit(program, out_shardings=(placed, replicate_sharding(mesh)), **HOW)


def collect_on_mesh(
    mesh: Mesh, stage: Any, env: Any, env_params: PyTree, state: TrainState, key: Key
) -> tuple[TrainState, Experience]:
    """See `loop.collect`; each device steps its envs as if there were no others.

    XLA alone would let the devices meet at every loop inside of an env that ends by a condition.
    Metrics of steps are `[T, n_devices]`, each device's own.
    """
    portable = learner_of(stage).portable(state.agent_state)
    num_envs = jax.tree.leaves(state.obs)[0].shape[0]
    axes = params_axes(env, env_params)
    keys = rollout_keys(stage, portable, key, num_envs)

    def local(stage: Any, env_params: PyTree, part: TrainState, keys: Any) -> Any:
        act = acting(stage, env, env_params, axes, part.agent_state)
        part, rollout = play_on(act, env, env_params, part, keys)
        metrics = {name: x[:, None] for name, x in rollout.metrics.items()}
        return (part.env_state, part.obs), rollout._replace(metrics=metrics)

    whole, envs, steps = PartitionSpec(), PartitionSpec(DATA_AXIS), PartitionSpec(None, DATA_AXIS)
    of_params = jax.tree.map(lambda axis: whole if axis is None else envs, axes, is_leaf=is_shared)
    of_state = TrainState(whole, envs, envs, whole)  # type: ignore[arg-type]
    program = jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(whole, of_params, of_state, steps),
        out_specs=((envs, envs), steps),
        check_vma=False,
    )
    part = state._replace(agent_state=portable)
    (env_state, obs), rollout = program(stage, env_params, part, keys)
    return state._replace(env_state=env_state, obs=obs), rollout


def get_num_devices(requested: int | None = None) -> int:
    """The number of devices to use: `requested`, or all; ConfigError if there are fewer."""
    return available_devices(requested)


def split_key_across_devices(rng: Array, n_devices: int) -> Array:
    """A key for each device, `[n_devices]`."""
    return jax.random.split(rng, n_devices)
