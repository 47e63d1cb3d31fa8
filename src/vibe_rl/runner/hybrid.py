"""The loop's chunks where the host has a part in every update: the seeds' hybrid paradigm.

The replay ring is in the host's memory, or the environments run there, or both. Each update is then
a step of Python between two calls of the device. What happens is what happens in `loop.run_chunk`,
and the table that comes out has the same columns; only draws from a ring on the host take other
random numbers.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.algorithms.off_policy import OffPolicy, update_keys, without_ring
from vibe_rl.algorithms.warmup import Warmup
from vibe_rl.env.base import Environment
from vibe_rl.replay.ring import Batch, Ring
from vibe_rl.runner.loop import Experience, MetricTable, TrainState, collect, measure
from vibe_rl.types import AnyArray, Key, PyTree


class Seen(NamedTuple):
    """What an update learns from."""

    experience: Experience
    key: Key  # of the update
    fill: AnyArray | None = None  # float32, share of the host's ring, if there is one
    drawn: Batch | None = None  # from the host's ring, unless this is the warm-up


def learner_of(algorithm: Any) -> Any:
    """The algorithm itself, or the one whose warm-up this is."""
    return algorithm.algorithm if isinstance(algorithm, Warmup) else algorithm


def learn(algorithm: Any, agent_state: PyTree, seen: Seen) -> tuple[PyTree, dict[str, Array]]:
    """An algorithm's `update`, with what the host drew if the host has the ring."""
    rollout = seen.experience.transition
    if seen.fill is None:
        return algorithm.update(agent_state, rollout, seen.key)
    learner: OffPolicy = learner_of(algorithm)
    memory = learner.observe(agent_state, rollout)
    agent_state, metrics = agent_state._replace(memory=memory), {}
    if seen.drawn is not None:
        _, learn_key = update_keys(seen.key)
        agent_state, metrics, _ = learner.study(agent_state, seen.drawn, learn_key)
    return agent_state, metrics | {"buffer_fill": seen.fill}


class Asked(NamedTuple):
    """What an update will learn from, and the keys for it; the device hands it to the host."""

    experience: Any  # or what is known of it, where the host goes on
    key: Key  # of the update
    sample_key: Array  # the data of the key to draw with


def digest(
    algorithm: Any, state: TrainState, seen: Seen | None, each_episode: bool
) -> tuple[TrainState, MetricTable | None]:
    """The state after learning from what was seen, if anything was, and its row of a table."""
    if seen is None:
        return state, None
    agent_state, metrics = learn(algorithm, state.agent_state, seen)
    outcome = measure(seen.experience, metrics)
    values = jnp.stack([jnp.float32(value) for value in outcome.metrics.values()])
    episodes = outcome.episodes[:, : outcome.episodes.shape[1] * each_episode]
    row = MetricTable(values, episodes, tuple(outcome.metrics))
    return state._replace(agent_state=agent_state), row


def ask(
    act: Callable[[TrainState, Key], tuple[TrainState, Any]], state: TrainState
) -> tuple[TrainState, Asked]:
    """Acts, with the keys that `loop.iteration` would take."""
    key, collect_key, update_key = jax.random.split(state.key, 3)
    state, experience = act(state, collect_key)
    sample_key = jax.random.key_data(update_keys(update_key)[0])
    return state._replace(key=key), Asked(experience, update_key, sample_key)


@partial(jax.jit, static_argnames=("env", "each_episode", "last"), donate_argnames=("state",))
def advance(
    algorithm: Any,
    env: Environment,
    env_params: PyTree,
    each_episode: bool,
    state: TrainState,
    seen: Seen | None,
    last: bool,
) -> tuple[TrainState, Asked | None, MetricTable | None]:
    """Learns from what was seen, and collects a rollout unless that was the last.

    One call, for to start a program costs the host more than a small network's update.
    """
    state, row = digest(algorithm, state, seen, each_episode)
    if last:
        return state, None, row
    return *ask(partial(collect, algorithm, env, env_params), state), row


def run_chunk_on_host(
    algorithm: Any,
    env: Environment,
    env_params: PyTree,
    state: TrainState,
    n_updates: int,
    each_episode: bool = False,
) -> tuple[TrainState, MetricTable]:
    """`n_updates` iterations with a ring on the host; see `loop.run_chunk`."""
    go_on = partial(advance, jax.device_put(algorithm), env, env_params, each_episode)
    return in_turns(go_on, algorithm, state, n_updates)


def in_turns(
    go_on: Callable[..., tuple[TrainState, Asked | None, MetricTable | None]],
    algorithm: Any,
    state: TrainState,
    n_updates: int,
) -> tuple[TrainState, MetricTable]:
    """Host and device by turns; a ring on the host is written in place.

    `go_on(state, seen, last=False)` learns and acts, as `advance` does.
    """
    ring = ring_on_host(algorithm, state.agent_state)
    if ring is not None:
        state = state._replace(agent_state=without_ring(state.agent_state))
    state, asked, _ = go_on(state, None, last=False)
    rows = []
    for left in reversed(range(n_updates)):
        assert asked is not None
        seen = Seen(asked.experience, asked.key)
        if ring is not None:
            ring, seen = exchange(algorithm, ring, seen, asked.sample_key)
        state, asked, row = go_on(state, seen, last=not left)
        rows.append(row)
    if ring is not None:
        memory = state.agent_state.memory._replace(ring=ring)
        state = state._replace(agent_state=state.agent_state._replace(memory=memory))
    return state, table(jax.device_get(rows))


def ring_on_host(algorithm: Any, agent_state: Any) -> Ring | None:
    """The ring that the host keeps, if it does."""
    learner = learner_of(algorithm)
    on_host = isinstance(learner, OffPolicy) and learner.on_host
    return agent_state.memory.ring if on_host else None


def exchange(algorithm: Any, ring: Ring, seen: Seen, sample_key: Array) -> tuple[Ring, Seen]:
    """NumPy's part: the ring with what was seen, and what is drawn from it to learn from."""
    learner: OffPolicy = learner_of(algorithm)
    rollout, key = jax.device_get((seen.experience.transition._replace(extras=None), sample_key))
    ring = learner.replay.insert(ring, rollout)
    drawn = None if isinstance(algorithm, Warmup) else learner.draw(ring, key)
    return ring, seen._replace(fill=learner.replay.fill(ring), drawn=drawn)


def table(rows: list[MetricTable]) -> MetricTable:
    """The rows of a chunk as one table."""
    values, episodes = np.stack([row.rows for row in rows]), np.stack([r.episodes for r in rows])
    return MetricTable(values, episodes, rows[0].names)
