"""Who computes what of a run, and where its state lives: chosen once, when a run is prepared.

Environments and replay on one device are here; several devices are in `placement`, a replay ring in
the host's memory in `hybrid`, environments in Python in `host_env`, many agents in `many.runs`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import jax

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env.base import Environment
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.runner.evaluation import Evaluation, Extent, in_pieces
from vibe_rl.runner.evaluator import jit_begin_evaluation, jit_continue_evaluation
from vibe_rl.runner.loop import MetricTable, TrainState, jit_start, run_chunk
from vibe_rl.runner.restarting import restarted
from vibe_rl.types import Key, PyTree


def unchanged(state: TrainState) -> TrainState:
    """The same state."""
    return state


class Beginning(NamedTuple):
    """What a first state is made from; of many agents, algorithm and key have an axis `[M]`."""

    algorithm: Any
    env: Any
    env_params: PyTree  # of update 0
    key: Any
    num_envs: int

    def make(self, program: Callable[..., TrainState] = jit_start) -> TrainState:
        """The state that a compiled `loop.start` makes of it."""
        args = self.algorithm, self.env, self.env_params, self.key
        return program(*args, num_envs=self.num_envs)


class Executor(NamedTuple):
    """A record of functions, of which the loop's host side needs no more."""

    start: Callable[[Beginning, TrainState | None], AbstractContextManager[TrainState]]
    """`start(beginning, restored)`: the first state, or the restored one where it is to live; what
    it holds is given back when the block ends."""
    run_chunk: Callable[..., tuple[TrainState, MetricTable]]
    """See `loop.run_chunk`."""
    evaluate: Callable[..., Evaluation]
    """`evaluate(algorithm, agent_state, env, env_params, key, extent)`: greedy episodes in
    pieces."""
    shapes: Callable[[Beginning], TrainState]
    """What the state will look like; nothing is computed."""
    place: Callable[[AnyEnvironment, PyTree], PyTree]
    """`place(env, env_params)`: the params where the envs are, so that no chunk sends them."""
    restart: Callable[..., TrainState] = restarted
    """See `restarting.restarted`."""
    savable: Callable[[TrainState], TrainState] = unchanged
    """The part of a state that a checkpoint can hold."""
    waits: bool = False
    """Whether chunks are complete when they are yielded, for the host has a part in them."""
    n_devices: int = 1


def start_on_device(
    beginning: Beginning, restored: TrainState | None
) -> AbstractContextManager[TrainState]:
    """See `Executor.start`."""
    return nullcontext(beginning.make() if restored is None else restored)


def evaluate_on_device(
    algorithm: Algorithm,
    agent_state: PyTree,
    env: Environment,
    env_params: PyTree,
    key: Key,
    extent: Extent,
) -> Evaluation:
    """See `Executor.evaluate`."""
    task = (algorithm, algorithm.portable(agent_state)), env, env_params
    begin = partial(jit_begin_evaluation, *task, key, n_episodes=extent.n_episodes)
    return in_pieces(begin, partial(jit_continue_evaluation, *task), extent)


def shapes_on_device(beginning: Beginning) -> TrainState:
    """See `Executor.shapes`."""
    return beginning.make(jit_start.eval_shape)  # traced once with the program


def place_on_device(env: AnyEnvironment, env_params: PyTree) -> PyTree:
    """See `Executor.place`."""
    return jax.device_put(env_params)


ON_DEVICE = Executor(
    start_on_device, run_chunk, evaluate_on_device, shapes_on_device, place_on_device
)
"""One device has everything."""
