"""The loop's chunks with a replay ring in the host's memory: the seeds' hybrid paradigm.

Each update is a step of Python: the device acts, NumPy writes to the ring and draws from it, the
device learns. What happens is what happens in `loop.run_chunk`, and the table that comes out has
the same columns; only the random numbers of the draws differ.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.algorithms.off_policy import OffPolicy, without_ring
from vibe_rl.algorithms.warmup import Warmup
from vibe_rl.env.base import Environment
from vibe_rl.replay import Batch, Ring
from vibe_rl.runner.loop import MetricTable, TrainState, collect, measure, refuse_clashes
from vibe_rl.types import Key, PyTree, Transition


class Collected(NamedTuple):
    """What the device hands over after a rollout."""

    rollout: Transition  # without extras
    sample_key: Array  # the key's data
    learn_key: Key
    outcome: MetricTable  # a row without an axis, of the metrics known before learning


class Drawn(NamedTuple):
    """What the host hands over before an update."""

    batches: Batch
    learn_key: Key
    fill: np.float32  # share of the ring


def row(metrics: dict[str, Array], episodes: Array) -> MetricTable:
    """One row of a table."""
    values = jnp.stack([jnp.float32(value) for value in metrics.values()])
    return MetricTable(values, episodes, tuple(metrics))


def gather_experience(
    algorithm: Any, env: Environment, env_params: PyTree, state: TrainState, each_episode: bool
) -> tuple[TrainState, Collected]:
    """A rollout, and all that is learned from it without the ring."""
    key, collect_key, update_key = jax.random.split(state.key, 3)
    state, experience = collect(algorithm, env, env_params, state, collect_key)
    sample_key, learn_key = jax.random.split(update_key)
    rollout = experience.transition
    memory = learner_of(algorithm).observe(state.agent_state.memory, rollout)
    outcome = measure(experience, {})
    episodes = outcome.episodes[:, : outcome.episodes.shape[1] * each_episode]
    handed = Collected(
        rollout._replace(extras=None),
        jax.random.key_data(sample_key),
        learn_key,
        row(outcome.metrics, episodes),
    )
    agent_state = state.agent_state._replace(memory=memory)
    return state._replace(agent_state=agent_state, key=key), handed


@partial(jax.jit, static_argnames=("env", "each_episode", "last"), donate_argnames=("state",))
def advance(
    algorithm: Any,
    env: Environment,
    env_params: PyTree,
    state: TrainState,
    drawn: Drawn | None,
    each_episode: bool,
    last: bool,
) -> tuple[TrainState, Collected | None, MetricTable | None]:
    """Learns from what was drawn, and acts unless that was the last: all between two NumPy steps.

    One call, for to start a program costs the host more than a small network's update.
    """
    handed = learned = None
    if drawn is not None:
        agent_state, metrics, _ = algorithm.study(state.agent_state, drawn.batches, drawn.learn_key)
        state = state._replace(agent_state=agent_state)
        learned = row(metrics | {"buffer_fill": drawn.fill}, jnp.zeros((2, 0)))
    if not last:
        state, handed = gather_experience(algorithm, env, env_params, state, each_episode)
    return state, handed, learned


def run_chunk_on_host(
    algorithm: Any,
    env: Environment,
    env_params: PyTree,
    state: TrainState,
    n_updates: int,
    each_episode: bool = False,
) -> tuple[TrainState, MetricTable]:
    """`n_updates` iterations; see `loop.run_chunk`. The ring in `state` is written in place."""
    learner, learns = learner_of(algorithm), not isinstance(algorithm, Warmup)
    ring: Ring = state.agent_state.memory.ring
    state = state._replace(agent_state=without_ring(state.agent_state))
    go_on = partial(advance, jax.device_put(algorithm), env, env_params, each_episode=each_episode)
    state, handed, _ = go_on(state, None, last=False)
    rows = []
    for left in reversed(range(n_updates)):
        assert handed is not None
        rollout, sample_key = jax.device_get((handed.rollout, handed.sample_key))
        ring = learner.replay.insert(ring, rollout)
        fill, drawn, outcome = np.float32(ring.filled / learner.replay.length), None, handed.outcome
        if learns:
            drawn = Drawn(learner.draw(ring, sample_key), handed.learn_key, fill)
        state, handed, learned = go_on(state, drawn, last=not left)
        rows.append((outcome, learned or row_on_host({"buffer_fill": fill})))
    memory = state.agent_state.memory._replace(ring=ring)
    agent_state = state.agent_state._replace(memory=memory)
    return state._replace(agent_state=agent_state), table(jax.device_get(rows))


def learner_of(algorithm: Any) -> OffPolicy:
    """The algorithm whose replay is filled."""
    return algorithm.algorithm if isinstance(algorithm, Warmup) else algorithm


def row_on_host(metrics: dict[str, Any]) -> MetricTable:
    """One row of numbers that the host knows."""
    return MetricTable(np.stack(list(metrics.values())), np.zeros((2, 0)), tuple(metrics))  # type: ignore[arg-type]


def table(rows: list[tuple[MetricTable, MetricTable]]) -> MetricTable:
    """The rows of a chunk, each in two parts, as one table."""
    values = np.array(
        [np.concatenate([first.rows, second.rows]) for first, second in rows], np.float32
    )
    episodes = np.stack([first.episodes for first, _ in rows])
    first, second = rows[0]
    refuse_clashes(first.names, second.names)
    return MetricTable(values, episodes, (*first.names, *second.names))  # type: ignore[arg-type]
