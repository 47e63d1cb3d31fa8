"""The one training loop: a generator of compiled chunks of updates.

The device side. It knows environments and algorithms and nothing of files, logs or clocks; whatever
the host does happens in the body of the `for` that consumes `training`. A chunk is dispatched and
yielded at once, without waiting: the caller may look at the previous chunk's metrics meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.algorithms.base import Algorithm, Stage
from vibe_rl.env.base import Environment
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.env.params.many import params_axes, reset_all
from vibe_rl.env.reductions import named_columns
from vibe_rl.errors import ConfigError
from vibe_rl.ops import prng
from vibe_rl.runner.acting import Act, acting
from vibe_rl.runner.env_faults import faulty_steps, first_faults
from vibe_rl.runner.episodes import (
    names_of_single,
    reduce_ended,
    reduce_steps,
    summarize_episodes,
)
from vibe_rl.runner.restarting import restarted
from vibe_rl.sharding import wait_for
from vibe_rl.types import AnyArray, Key, Keys, PyTree, Transition, description, narrow, static

MOST_UPDATES, FEWEST_UPDATES, MOST_STEPS = 4096, 128, 2**20
FEWEST_TOLD, MOST_TOLD = 16, 2**16
"""Updates at least and env steps at most where single episodes are told: their table has figures of
every step, and what is large costs more to clear and to give back than a chunk takes."""


def chunk_capacity(steps_per_update: int, each_episode: bool = False) -> int:
    """The most updates in one chunk; fixes the size of its tables."""
    fewest, steps = (FEWEST_TOLD, MOST_TOLD) if each_episode else (FEWEST_UPDATES, MOST_STEPS)
    return min(MOST_UPDATES, max(fewest, steps // steps_per_update))


class TrainState(NamedTuple):
    """All that a run needs to continue."""

    agent_state: PyTree
    env_state: PyTree  # leaves [N, ...]
    obs: PyTree  # leaves [N, ...], to act on next
    key: Key


@description
@dataclass(frozen=True)
class MetricTable:
    """Scalars of some updates, a row each; one array, so that a chunk writes and sends one."""

    rows: AnyArray  # float32 [capacity, len(names)]
    episodes: AnyArray  # float32 [capacity, 2 + K, T * N], figures of one that ended, else 0
    names: tuple[str, ...] = static()

    def on_host(self, n_updates: int) -> np.ndarray:
        """The first `n_updates` rows; waits for the device."""
        return np.asarray(self.rows)[:n_updates].copy()  # a view would keep the whole table

    def ended(self, updates: slice) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Env step within these updates, and figures, of every episode that ended in them."""
        figures = np.moveaxis(np.asarray(self.episodes)[updates], 1, 0)
        update, step = np.nonzero(figures[1])
        names = "episode_return", "episode_length", *names_of_single(self.names)
        ended = dict(zip(names, figures[:, update, step], strict=True))
        return update * figures.shape[2] + step, ended

    def columns(self, n_updates: int) -> dict[str, np.ndarray]:
        """The first `n_updates` entries of every metric."""
        return dict(zip(self.names, self.on_host(n_updates).T, strict=True))


class Chunk(NamedTuple):
    """Some updates in one compiled call; its arrays may still be under way."""

    state: TrainState  # valid until the next chunk is asked for, then its memory is used again
    metrics: MetricTable
    n_updates: int
    first: bool  # of its schedule, so that its program may just have been compiled


def empty_chunk(state: TrainState) -> Chunk:
    """One without updates, of which nothing but the state is of use."""
    leading = state.key.shape  # of many agents
    rows, episodes = np.zeros((*leading, 0, 0)), np.zeros((*leading, 0, 2, 0))
    return Chunk(state, MetricTable(rows, episodes, ()), 0, first=False)


class Experience(NamedTuple):
    """One step of all envs, as the collector stacks it; leaves `[N, ...]`."""

    transition: Transition
    episode_return: Array
    episode_length: Array
    metrics: dict[str, Array]  # info["metrics"], reduced over the envs
    own: dict[str, Array]  # info["episode"], under the names of columns


def start(
    algorithm: Algorithm, env: Environment, env_params: PyTree, key: Key, *, num_envs: int
) -> TrainState:
    """The state before the first update: a fresh agent and `num_envs` fresh envs."""
    algorithm = narrow(algorithm)
    agent_key, env_key, key = jax.random.split(key, 3)
    obs, env_state = reset_all(env, env_params, env_key, num_envs=num_envs)
    return TrainState(prng.drawn_once(algorithm.init, agent_key), env_state, obs, key)


jit_start_with = partial(
    jax.jit,
    start,
    static_argnames=("env", "num_envs"),
    compiler_options={"xla_backend_optimization_level": 0},
)
"""Makes a compiled `start`, in half of the usual time: it runs once."""

jit_start = jit_start_with()
"""`start`, compiled for one device."""


def collect(
    algorithm: Stage, env: Environment, env_params: PyTree, state: TrainState, key: Key
) -> tuple[TrainState, Experience]:
    """Steps every env `rollout_length` times; experience has leaves `[T, N, ...]`."""
    num_envs = jax.tree.leaves(state.obs)[0].shape[0]
    axes = params_axes(env, env_params)
    act = acting(algorithm, env, env_params, axes, state.agent_state)
    keys = rollout_keys(algorithm, state.agent_state, key, num_envs)
    return play_on(act, env, env_params, state, keys)


Collect = Callable[..., tuple[TrainState, Experience]]
"""See `collect`."""


def play_on(
    act: Act,
    env: Environment,
    env_params: PyTree,
    state: TrainState,
    keys: tuple[Keys, Keys],
) -> tuple[TrainState, Experience]:
    """Steps every env once for each row of keys; experience has leaves `[T, N, ...]`.

    Args:
        act: how all envs act.
        env: resets itself and counts its episodes.
        env_params: see `params_axes`.
        state: where it begins.
        keys: of the actions and of the steps.
    """
    step_envs = jax.vmap(env.step, in_axes=(0, 0, 0, params_axes(env, env_params)))

    def step(carry: Any, keys: tuple[Array, Array]) -> tuple[Any, Experience]:
        env_state, obs = carry
        action, extras = act(env_state, obs, keys[0])
        after = step_envs(keys[1], env_state, action, env_params)
        return (after.state, after.obs), experience(env, obs, action, extras, after)

    (env_state, obs), rollout = jax.lax.scan(step, (state.env_state, state.obs), keys)
    return state._replace(env_state=env_state, obs=obs), rollout


def rollout_keys(
    algorithm: Stage, agent_state: PyTree, key: Key, num_envs: int
) -> tuple[Keys, Keys]:
    """Keys for every action and every step of the envs."""
    fresh, step_keys = jax.random.split(key, (2, algorithm.rollout_length, num_envs))
    return algorithm.act_keys(agent_state, fresh), step_keys


def experience(
    env: Environment, obs: PyTree, action: PyTree, extras: PyTree, after: Any
) -> Experience:
    """What is kept of one step of all envs."""
    transition = Transition(
        obs=obs,
        action=action,
        reward=after.reward,
        terminated=after.terminated,
        truncated=after.truncated,
        next_obs=after.info["final_obs"],
        extras=extras,
    )
    return Experience(
        transition,
        after.info["episode_return"],
        after.info["episode_length"],
        reduce_steps(named_columns(env, after.info, "metrics")),
        named_columns(env, after.info, "episode"),
    )


class UpdateMetrics(NamedTuple):
    """What the host may want to know of one update."""

    metrics: dict[str, Array]  # scalars
    episodes: Array  # float32 [2 + K, T * N], return, length and what the env says of each episode


def iteration(
    algorithm: Stage,
    env: Environment,
    env_params: PyTree,
    state: TrainState,
    collect: Collect = collect,
) -> tuple[TrainState, UpdateMetrics]:
    """Collects a rollout and learns from it."""
    key, collect_key, update_key = jax.random.split(state.key, 3)
    state, rollout = collect(algorithm, env, env_params, state, collect_key)
    agent_state, metrics = algorithm.update(state.agent_state, rollout.transition, update_key)
    return state._replace(agent_state=agent_state, key=key), measure(rollout, metrics)


def measure(rollout: Experience, metrics: dict[str, Array]) -> UpdateMetrics:
    """What the host may want to know of a rollout and of what was learned from it."""
    done = rollout.transition.terminated | rollout.transition.truncated
    done = done & (rollout.episode_length > 0)  # which is 0 where a border has cut an episode
    episode = rollout.episode_return, rollout.episode_length
    done, (returns, lengths), env_metrics, own, faulty = wait_for(
        metrics, (done, episode, rollout.metrics, rollout.own, faulty_steps(rollout.transition))
    )
    episodes = summarize_episodes(done, returns, lengths)
    of_env = reduce_steps(env_metrics) | reduce_ended(own, done)
    own_figures = [own[name].astype(jnp.float32) for name in sorted(own)]
    each = jnp.stack([returns, lengths.astype(jnp.float32), *own_figures])
    each = jnp.where(done, each, 0.0).reshape(len(each), -1)
    summary = episodes._asdict() | first_faults(faulty)._asdict()
    return UpdateMetrics(metrics | summary | of_env, each)


def metrics_row(measured: UpdateMetrics, each_episode: bool) -> MetricTable:
    """An update's row of a table, without the table's axis of rows."""
    names = tuple(measured.metrics)
    values = jnp.stack([jnp.float32(measured.metrics[name]) for name in names])
    steps = measured.episodes.shape[1]
    return MetricTable(values, measured.episodes[:, : steps * each_episode], names)


def iterations(
    algorithm: Stage,
    env: Environment,
    env_params: PyTree,
    state: TrainState,
    n_updates: int | Array,
    each_episode: bool = False,
    collect: Collect = collect,
) -> tuple[TrainState, MetricTable]:
    """`n_updates` iterations; the number is traced, so one program serves every length."""
    algorithm, n_updates = narrow((algorithm, n_updates))
    once = partial(iteration, algorithm, env, env_params, collect=collect)
    once = jax.jit(once)  # traced once, used twice
    measured = jax.eval_shape(once, state)[1]
    names, (n_figures, steps) = tuple(measured.metrics), measured.episodes.shape

    def body(i: Array, carry: tuple[TrainState, Any]) -> tuple[TrainState, Any]:
        state, measured = once(carry[0])
        write = partial(jax.lax.dynamic_update_index_in_dim, index=i, axis=0)
        return state, jax.tree.map(write, carry[1], metrics_row(measured, each_episode))

    capacity = chunk_capacity(steps, each_episode)
    episodes = jnp.zeros((capacity, n_figures, steps * each_episode), jnp.float32)
    tables = MetricTable(jnp.zeros((capacity, len(names)), jnp.float32), episodes, names)
    return jax.lax.fori_loop(0, n_updates, body, (state, tables))


HOW = {"static_argnames": ("env", "each_episode"), "donate_argnames": ("state",)}
"""How `iterations` is compiled."""

run_chunk = jax.jit(iterations, **HOW)
"""`iterations`, compiled for one device."""


class Piece(NamedTuple):
    """A chunk that is to be run."""

    n_updates: int
    env_params: PyTree
    restarts: bool = False  # whether fresh envs begin with it


def training(
    algorithm: Stage,
    env: AnyEnvironment,
    state: TrainState,
    schedule: Iterable[tuple[int, PyTree] | Piece],
    each_episode: bool = False,
    run_chunk: Callable[..., tuple[TrainState, MetricTable]] = run_chunk,
    restart: Callable[..., TrainState] = restarted,
) -> Iterator[Chunk]:
    """Runs the schedule's chunks, `(n_updates, env_params)` each, one after another.

    A plain run repeats the same env_params; fresh scenarios and curricula are schedules. With
    `each_episode` the return and length of every single episode is reported, not sums alone.
    `run_chunk` runs a chunk and `restart` begins with fresh envs, on the device by default.
    """
    num_envs = jax.tree.leaves(state.obs)[0].shape[state.key.ndim]  # past the axis of many agents
    capacity = chunk_capacity(algorithm.rollout_length * num_envs, each_episode)
    for i, piece in enumerate(schedule):
        n_updates, env_params, restarts = Piece(*piece)  # type: ignore[arg-type]
        if not 0 < n_updates <= capacity:
            raise ConfigError(f"n_updates {n_updates} of a chunk: give 1 to {capacity}.")
        if restarts:
            state = restart(env, env_params, state)
        state, metrics = run_chunk(algorithm, env, env_params, state, n_updates, each_episode)
        yield Chunk(state, metrics, n_updates, first=i == 0)
