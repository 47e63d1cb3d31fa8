"""Greedy evaluation: every episode from its own reset, at most `max_steps` long, all at once."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.env.base import Environment
from vibe_rl.env.wrappers import fit_for_loop
from vibe_rl.types import AnyArray, Key, Number, PyTree, narrow


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


class Episodes(NamedTuple):
    """Greedy episodes, each until its end or `max_steps`; arrays are `[n_episodes]`."""

    episode_return: AnyArray
    length: AnyArray  # int32, env steps
    finished: AnyArray  # bool
    discounted_return: AnyArray
    first_value: AnyArray | None  # None where the algorithm estimates none


class _Running(NamedTuple):
    key: Key
    obs: PyTree
    state: PyTree
    episode_return: Array
    length: Array
    done: Array
    discounted_return: Array
    discount: Array  # of the next reward


def _run_episode(
    policy: Callable[[PyTree], PyTree],
    value: Callable[[PyTree], Array | None],
    env: Environment,
    env_params: PyTree,
    max_steps: int,
    gamma: Number,
    key: Key,
) -> Episodes:
    def unfinished(episode: _Running) -> Array:
        return ~episode.done & (episode.length < max_steps)

    def step(episode: _Running) -> _Running:
        key, step_key = jax.random.split(episode.key)
        after = env.step(step_key, episode.state, policy(episode.obs), env_params)
        return _Running(
            key=key,
            obs=after.obs,
            state=after.state,
            episode_return=after.info["episode_return"],
            length=episode.length + 1,
            done=after.terminated | after.truncated,
            discounted_return=episode.discounted_return + episode.discount * after.reward,
            discount=episode.discount * gamma,
        )

    key, reset_key = jax.random.split(key)
    obs, state = env.reset(reset_key, env_params)
    zero, one = jnp.float32(0.0), jnp.float32(1.0)
    first = _Running(key, obs, state, zero, jnp.int32(0), jnp.array(False), zero, one)
    last = jax.lax.while_loop(unfinished, step, first)
    return Episodes(last.episode_return, last.length, last.done, last.discounted_return, value(obs))


def evaluate(
    act_fn: Callable[[Any, PyTree], PyTree],
    agent_state: PyTree,
    env: Environment,
    env_params: PyTree,
    *,
    n_episodes: int,
    max_steps: int,
    rng: Key,
) -> EvalMetrics:
    """Evaluates a policy on `n_episodes` independent episodes in parallel.

    Args:
        act_fn: greedy action selector, (agent_state, obs) -> action, about one example.
        agent_state: what `act_fn` needs; all episodes share it and none changes it.
        env: with or without auto-reset; what happens after an episode's end is ignored.
        env_params: constants of the environment.
        n_episodes: episodes.
        max_steps: env steps after which an episode is cut short.
        rng: split into one key per episode; never a key of the training stream.
    """
    env = fit_for_loop(env)
    policy = partial(act_fn, agent_state)
    run = partial(_run_episode, policy, _no_value, env, env_params, max_steps, 1.0)
    return summary(jax.vmap(run)(jax.random.split(rng, n_episodes)))


def evaluate_agent(
    agent: tuple[Any, PyTree],
    env: Environment,
    env_params: PyTree,
    *,
    n_episodes: int,
    max_steps: int,
    rng: Key,
) -> EvalMetrics:
    """`evaluate` of `(algorithm, agent_state)`, its values compared with discounted returns."""
    env, agent = fit_for_loop(env), narrow(agent)
    algorithm, agent_state = agent
    policy, value = partial(greedy_action, agent), partial(algorithm.value, agent_state)
    gamma = algorithm.config.gamma
    run = partial(_run_episode, policy, value, env, env_params, max_steps, gamma)
    return summary(jax.vmap(run)(jax.random.split(rng, n_episodes)))


def _no_value(obs: PyTree) -> None:
    return None


def summary(episodes: Episodes) -> EvalMetrics:
    """The results of single episodes, and their means."""
    valued = episodes.first_value is not None
    return EvalMetrics(
        mean_return=episodes.episode_return.mean(),
        std_return=episodes.episode_return.std(),
        mean_length=episodes.length.astype(jnp.float32).mean(),
        episode_returns=episodes.episode_return,
        episode_lengths=episodes.length,
        finished=episodes.finished,
        q_start=episodes.first_value.mean() if valued else None,  # type: ignore[union-attr]
        return_start=episodes.discounted_return.mean() if valued else None,
    )


jit_evaluate = jax.jit(evaluate, static_argnames=("act_fn", "env", "n_episodes", "max_steps"))
"""`evaluate`, compiled once for each act_fn, env, n_episodes and max_steps."""

jit_evaluate_agent = jax.jit(evaluate_agent, static_argnames=("env", "n_episodes", "max_steps"))
"""`evaluate_agent`, compiled once for each env, n_episodes and max_steps.

A changed hyperparameter or agent compiles nothing again.
"""


def greedy_action(agent: tuple[Any, PyTree], obs: PyTree) -> PyTree:
    """The `act_fn` of any algorithm: `agent` is `(algorithm, agent_state)`.

    One function for all, so that a changed hyperparameter compiles nothing again.
    """
    algorithm, agent_state = agent
    return algorithm.greedy(agent_state, obs)
