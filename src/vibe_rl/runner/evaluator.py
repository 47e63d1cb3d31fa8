"""Greedy evaluation: every episode from its own reset, at most `max_steps` long, all at once."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.base import Environment, Step
from vibe_rl.env.checks.traced import trace
from vibe_rl.env.params.many import entries_of, params_axes, take_entries
from vibe_rl.env.precision import fit_for_loop
from vibe_rl.env.reductions import column, named_columns
from vibe_rl.env.wrappers import EpisodeStatisticsWrapper
from vibe_rl.errors import ConfigError, whole_number
from vibe_rl.types import AnyArray, EitherKey, Key, Number, PyTree, narrow, typed_key


class EvalMetrics(NamedTuple):
    """Results of the episodes of one evaluation; returns are undiscounted and unscaled.

    `q_start` far above `return_start` says that values are overestimated (van Hasselt et al. 2016,
    arXiv:1509.06461, figure 3). None where the algorithm learns no values of greedy actions.
    """

    mean_return: Array
    std_return: Array  # population standard deviation over the episodes
    mean_length: Array  # env steps
    episode_returns: Array  # [n_episodes]
    episode_lengths: Array  # [n_episodes]
    finished: Array  # bool [n_episodes]; False where max_steps ended the episode
    q_start: Array | None = None  # mean value of the first observations, when greedy
    return_start: Array | None = None  # mean discounted return of the same episodes
    metrics: dict[str, Array] = {}  # noqa: RUF012 - the env's own of episodes, as rows name them
    episode_metrics: dict[str, Array] = {}  # noqa: RUF012 - the same, [n_episodes] each


class Episodes(NamedTuple):
    """Greedy episodes, each until its end or a limit of steps; arrays are `[n_episodes]`."""

    episode_return: AnyArray
    length: AnyArray  # int32, env steps
    finished: AnyArray  # bool
    discounted_return: AnyArray
    first_value: AnyArray | None  # None where the algorithm estimates none
    own: dict[str, AnyArray]  # float32, what the env says of them, under the names of columns


class Running(NamedTuple):
    """Greedy episodes under way."""

    key: Key
    obs: PyTree
    state: PyTree
    discount: Array  # of the next reward
    episodes: Episodes  # so far


Choice = Callable[[Running, PyTree], tuple[PyTree, Key]]
"""The next action of a running episode in a world with these params, and the key that is left for
what comes after."""


def begin_episode(
    value: Callable[[PyTree], Array | None], env: Environment, env_params: PyTree, key: Key
) -> Running:
    """One episode at its first observation; `value` estimates that."""
    key, reset_key = jax.random.split(key)
    obs, state = env.reset(reset_key, env_params)
    zero, one = jnp.float32(0.0), jnp.float32(1.0)
    own = dict.fromkeys(own_columns(env), zero)
    episodes = Episodes(zero, jnp.int32(0), jnp.array(False), zero, value(obs), own)
    return Running(key, obs, state, one, episodes)


def said_of_episodes(env: Environment) -> set[str]:
    """The names of what an env says of its episodes, of each and of all."""
    own = [found for found in map(column, own_columns(env)) if found is not None]
    return {name for each in own for name in (each.name, each.row_name)}


def own_columns(env: Environment) -> list[str]:
    """The columns of what an env says of an episode.

    It is traced without its counter, as when a run was prepared, and so not again.
    """
    known = env.env if isinstance(env, EpisodeStatisticsWrapper) else env
    return list(named_columns(known, trace(known, known.default_params()).after.info, "episode"))


def _continue_episode(
    choose: Choice,
    env: Environment,
    env_params: PyTree,
    gamma: Number,
    until: int | Array,
    running: Running,
) -> Running:
    """Until its end, but at most until it is `until` steps long."""

    def unfinished(running: Running) -> Array:
        return ~running.episodes.finished & (running.episodes.length < until)

    def step(running: Running) -> Running:
        action, key = choose(running, env_params)
        return one_step(action, env, env_params, gamma, running._replace(key=key))[0]

    return jax.lax.while_loop(unfinished, step, running)


def one_step(
    action: PyTree, env: Environment, env_params: PyTree, gamma: Number, running: Running
) -> tuple[Running, Step]:
    """One episode a step later, and the step."""
    key, step_key = jax.random.split(running.key)
    after = env.step(step_key, running.state, action, env_params)
    before, discount = running.episodes, running.discount
    episodes = Episodes(
        episode_return=after.info["episode_return"],
        length=before.length + 1,
        finished=after.terminated | after.truncated,
        discounted_return=before.discounted_return + discount * after.reward,
        first_value=before.first_value,
        own={
            n: jnp.asarray(x, jnp.float32)
            for n, x in named_columns(env, after.info, "episode").items()
        },
    )
    return Running(key, after.obs, after.state, discount * gamma, episodes), after


def evaluate(
    act_fn: Callable[[Any, PyTree], PyTree],
    agent_state: PyTree,
    env: Environment,
    env_params: PyTree,
    *,
    n_episodes: int,
    max_steps: int,
    rng: EitherKey,
) -> EvalMetrics:
    """Evaluates a policy on `n_episodes` independent episodes in parallel.

    Args:
        act_fn: greedy action selector, (agent_state, obs) -> action, about one example.
        agent_state: what `act_fn` needs; all episodes share it and none changes it.
        env: with or without auto-reset; what happens after an episode's end is ignored.
        env_params: constants of the environment; leaves with a leading axis `[n_episodes]` give
            each episode its own.
        n_episodes: episodes.
        max_steps: env steps after which an episode is cut short.
        rng: split into one key per episode; never a key of the training stream.

    Raises:
        ConfigError: a leading axis has another number of entries.
    """
    n_episodes = whole_number("n_episodes", n_episodes, 1)
    choose = chosen_by(partial(act_fn, agent_state))
    keys = jax.random.split(typed_key(rng), n_episodes)
    return summary_of_episodes(
        play_episodes(choose, fit_for_loop(env), env_params, keys, max_steps)
    )


def chosen_by(policy: Callable[[PyTree], PyTree]) -> Choice:
    """The choices of a policy without chance, which uses no key."""
    return lambda running, env_params: (policy(running.obs), running.key)


def play_episodes(
    choose: Choice, env: Environment, env_params: PyTree, keys: Array, max_steps: int
) -> Episodes:
    """An episode for each key with the actions that are chosen; `env` counts its episodes."""

    def run_episode(env_params: PyTree, key: Key) -> Running:
        first = begin_episode(no_value, env, env_params, key)
        return _continue_episode(choose, env, env_params, 1.0, max_steps, first)

    axes = axes_of_episodes(env, env_params, len(keys))
    return jax.vmap(run_episode, (axes, 0))(env_params, keys).episodes


def axes_of_episodes(env: Environment, env_params: PyTree, n_episodes: int) -> PyTree:
    """See `params_axes`; ConfigError if not as many episodes have params of their own."""
    if entries_of(env, env_params) not in (None, n_episodes):
        raise ConfigError(
            f"env_params have a leading axis of {entries_of(env, env_params)} for {n_episodes} "
            "episodes: give one entry per episode, or one value."
        )
    return params_axes(env, env_params)


def begin_evaluation(
    agent: tuple[Any, PyTree],
    env: Environment,
    env_params: PyTree,
    rng: Key,
    episodes: Array | np.ndarray | None = None,
    *,
    n_episodes: int,
) -> Running:
    """The first observations of `n_episodes` episodes of `(algorithm, agent_state)`.

    Or of some of them, by their indices `episodes`.
    """
    algorithm, agent_state = narrow(agent)
    value, env = partial(algorithm.value, agent_state), fit_for_loop(env)
    keys = jax.random.split(rng, n_episodes)
    if episodes is not None:
        keys, env_params = keys[episodes], take_entries(env, env_params, episodes)
    axes = axes_of_episodes(env, env_params, len(keys))
    return jax.vmap(partial(begin_episode, value, env), (axes, 0))(env_params, keys)


def continue_evaluation(
    agent: tuple[Any, PyTree],
    env: Environment,
    env_params: PyTree,
    running: Running,
    until: int | Array,
    episodes: Array | np.ndarray | None = None,
) -> tuple[Running, EvalMetrics]:
    """The episodes once they are `until` steps long or have ended, and their results so far."""
    env, agent = fit_for_loop(env), narrow(agent)
    choose, gamma = chosen_by(partial(greedy_action, agent)), agent[0].config.gamma

    def go_on(env_params: PyTree, running: Running) -> Running:
        return _continue_episode(choose, env, env_params, gamma, until, running)

    if episodes is not None:
        env_params = take_entries(env, env_params, episodes)
    running = jax.vmap(go_on, (params_axes(env, env_params), 0))(env_params, running)
    return running, summary_of_episodes(running.episodes)


def no_value(obs: PyTree) -> None:
    """For those who estimate none."""
    return None


def summary_of_episodes(episodes: Episodes) -> EvalMetrics:
    """The results of single episodes, and their means; NaN is what an env does not say of one."""
    valued = episodes.first_value is not None
    said = [(own, values) for name, values in episodes.own.items() if (own := column(name))]
    return EvalMetrics(
        mean_return=episodes.episode_return.mean(),
        std_return=episodes.episode_return.std(),
        mean_length=episodes.length.astype(jnp.float32).mean(),
        episode_returns=episodes.episode_return,
        episode_lengths=episodes.length,
        finished=episodes.finished,
        q_start=episodes.first_value.mean() if valued else None,  # type: ignore[union-attr]
        return_start=episodes.discounted_return.mean() if valued else None,
        metrics={own.row_name: getattr(jnp, f"nan{own.how}")(x) for own, x in said},
        episode_metrics={own.name: x for own, x in said},
    )


jit_evaluate = jax.jit(evaluate, static_argnames=("act_fn", "env", "n_episodes", "max_steps"))
"""`evaluate`, compiled once for each act_fn, env, n_episodes and max_steps."""

jit_begin_evaluation = jax.jit(begin_evaluation, static_argnames=("env", "n_episodes"))
"""`begin_evaluation`, compiled once for each env and n_episodes."""

jit_continue_evaluation = jax.jit(
    continue_evaluation, static_argnames=("env",), donate_argnames=("running",)
)
"""`continue_evaluation`, compiled once for each env and number of episodes.

A changed hyperparameter or agent compiles nothing again.
"""


def greedy_action(agent: tuple[Any, PyTree], obs: PyTree) -> PyTree:
    """The `act_fn` of any algorithm: `agent` is `(algorithm, agent_state)`.

    One function for all, so that a changed hyperparameter compiles nothing again.
    """
    algorithm, agent_state = agent
    return algorithm.greedy(agent_state, obs)
