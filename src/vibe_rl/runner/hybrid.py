"""Chunks in which the host has a part in every update, between compiled steps.

The replay ring is in the host's memory, or the environments run there, or both. Each update is then
a step of Python between two calls of the device. What happens is what happens in `loop.run_chunk`,
and the table that comes out has the same columns; only draws from a ring on the host take other
random numbers.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.algorithms.off_policy import OffPolicy, update_keys
from vibe_rl.algorithms.warmup import Warmup
from vibe_rl.env.base import Environment
from vibe_rl.replay.ring import Batch, Ring
from vibe_rl.runner.executor import ON_DEVICE, Beginning, shapes_on_device
from vibe_rl.runner.loop import Experience, MetricTable, TrainState, collect, measure, metrics_row
from vibe_rl.runner.packing import Packed, fetch, pack
from vibe_rl.types import AnyArray, Key, PyTree, narrow


class UpdateInput(NamedTuple):
    """What an update learns from."""

    experience: Experience
    key: Packed  # of the update
    fill: AnyArray | None = None  # float32, share of the host's ring, if there is one
    batch: Batch | None = None  # from the host's ring, unless this is the warm-up


class Rollout(NamedTuple):
    """What the device hands to the host: a rollout, or what the host needs to make one."""

    experience: Any
    key: Packed  # of the update
    sample_key: Array  # the data of the key to draw with


Advance = Callable[..., tuple[Packed, Rollout | None, MetricTable | None]]
"""`advance(state, update_input, last=False)` learns and acts; see `learn_then_collect`."""


def learner_of(stage: Any) -> Any:
    """The algorithm itself, or the one whose warm-up this is."""
    return stage.algorithm if isinstance(stage, Warmup) else stage


def has_host_ring(stage: Any) -> bool:
    """Whether the host keeps the algorithm's experience."""
    learner = learner_of(stage)
    return isinstance(learner, OffPolicy) and learner.on_host


def with_host_ring(algorithm: Algorithm, agent_state: PyTree) -> PyTree:
    """The state that the device made, with an empty ring if the host is to keep it."""
    return algorithm.from_portable(agent_state) if has_host_ring(algorithm) else agent_state


def start_with_host_ring(
    beginning: Beginning, restored: TrainState | None
) -> AbstractContextManager[TrainState]:
    """See `Executor.start`."""
    if restored is not None:
        return nullcontext(restored)
    state = beginning.make()
    agent_state = with_host_ring(beginning.algorithm, state.agent_state)
    return nullcontext(state._replace(agent_state=agent_state))


def shapes_with_host_ring(beginning: Beginning) -> TrainState:
    """See `Executor.shapes`."""
    state = shapes_on_device(beginning)
    agent_state = with_host_ring(beginning.algorithm, state.agent_state)
    return state._replace(agent_state=agent_state)


def _learn(stage: Any, agent_state: PyTree, given: UpdateInput) -> tuple[PyTree, dict[str, Array]]:
    """An algorithm's `update`, with what the host drew if the host has the ring."""
    rollout, key = given.experience.transition, given.key.tree
    if given.fill is None:
        return stage.update(agent_state, rollout, key)
    learner: OffPolicy = learner_of(stage)
    memory = learner.update_memory(agent_state, rollout)
    agent_state, metrics = agent_state._replace(memory=memory), {}
    if given.batch is not None:
        _, learn_key = update_keys(key)
        agent_state, metrics, _ = learner.learn_from(agent_state, given.batch, learn_key)
    return agent_state, metrics | {"buffer_fill": given.fill}


def learn_and_measure(
    stage: Any, state: TrainState, given: UpdateInput | None, each_episode: bool
) -> tuple[TrainState, MetricTable | None]:
    """The state after an update, and its row of a table; the state as it is without input."""
    if given is None:
        return state, None
    agent_state, metrics = _learn(stage, state.agent_state, given)
    row = metrics_row(measure(given.experience, metrics), each_episode)
    return state._replace(agent_state=agent_state), row


def begin_rollout(
    act: Callable[[TrainState, Key], tuple[TrainState, Any]], state: TrainState
) -> tuple[TrainState, Rollout]:
    """Acts, with the keys that `loop.iteration` would take."""
    key, collect_key, update_key = jax.random.split(state.key, 3)
    state, experience = act(state, collect_key)
    sample_key = jax.random.key_data(update_keys(update_key)[0])
    return state._replace(key=key), Rollout(experience, pack(update_key), sample_key)


@partial(jax.jit, static_argnames=("env", "each_episode", "last"), donate_argnames=("state",))
def learn_then_collect(
    stage: Packed,
    env: Environment,
    env_params: PyTree,
    each_episode: bool,
    state: Packed,
    given: UpdateInput | None,
    last: bool,
) -> tuple[Packed, Rollout | None, MetricTable | None]:
    """Learns from what was collected, and collects a rollout unless that was the last.

    In one call, because dispatch costs more than the update of a small network.
    """
    algorithm = narrow(stage.tree)
    after, row = learn_and_measure(algorithm, state.tree, given, each_episode)
    rollout = None
    if not last:
        after, rollout = begin_rollout(partial(collect, algorithm, env, env_params), after)
    return pack(after), rollout, row


def run_chunk_on_host(
    stage: Any,
    env: Environment,
    env_params: PyTree,
    state: TrainState,
    n_updates: int,
    each_episode: bool = False,
) -> tuple[TrainState, MetricTable]:
    """`n_updates` iterations with a ring on the host; see `loop.run_chunk`."""
    on_device = pack(jax.device_put(stage))
    advance = partial(learn_then_collect, on_device, env, env_params, each_episode)
    return take_turns(advance, stage, state, n_updates)


def take_turns(
    advance: Advance, stage: Any, state: TrainState, n_updates: int
) -> tuple[TrainState, MetricTable]:
    """Host and device by turns; a ring on the host is written in place."""
    ring = state.agent_state.memory.ring if has_host_ring(stage) else None
    if ring is not None:
        state = state._replace(agent_state=learner_of(stage).portable(state.agent_state))
    packed, rollout, _ = advance(pack(state), None, last=False)
    rows = []
    for left in reversed(range(n_updates)):
        assert rollout is not None
        given = UpdateInput(rollout.experience, rollout.key)
        if ring is not None:
            ring, given = sample_on_host(stage, ring, given, rollout.sample_key)
        packed, rollout, row = advance(packed, given, last=not left)
        rows.append(row)
    state = packed.tree
    if ring is not None:
        memory = state.agent_state.memory._replace(ring=ring)
        state = state._replace(agent_state=state.agent_state._replace(memory=memory))
    return state, stack_rows(rows)


def sample_on_host(
    stage: Any, ring: Ring, given: UpdateInput, sample_key: Array
) -> tuple[Ring, UpdateInput]:
    """NumPy's part: the ring with a rollout, and a batch from it unless this is the warm-up."""
    learner: OffPolicy = learner_of(stage)
    kept = learner.kept(given.experience.transition)
    rollout, key = fetch((kept, sample_key))
    ring = learner.replay.insert(ring, rollout)
    batch = None if isinstance(stage, Warmup) else learner.sample(ring, key)
    return ring, given._replace(fill=learner.replay.fill(ring), batch=batch)


def stack_rows(rows: list[MetricTable]) -> MetricTable:
    """The rows of a chunk as one table."""
    values = np.stack([np.asarray(row.rows) for row in rows])
    episodes = np.stack([np.asarray(row.episodes) for row in rows])
    return MetricTable(values, episodes, rows[0].names)


WITH_HOST_RING = ON_DEVICE._replace(
    start=start_with_host_ring,
    run_chunk=run_chunk_on_host,
    shapes=shapes_with_host_ring,
    waits=True,
)
"""One device, with the replay in the host's memory."""
