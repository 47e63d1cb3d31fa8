"""Greedy evaluation: every episode from its own reset, at most `max_steps` long, all at once."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vibe_rl.env.base import Environment
from vibe_rl.env.wrappers import with_episode_statistics
from vibe_rl.types import Key, PyTree


class EvalMetrics(NamedTuple):
    """What the episodes of one evaluation came to; returns are undiscounted and unscaled."""

    mean_return: Array
    std_return: Array  # population standard deviation over the episodes
    mean_length: Array  # env steps
    episode_returns: Array  # [n_episodes]
    episode_lengths: Array  # [n_episodes]
    finished: Array  # bool [n_episodes]; False where max_steps ended the watching


class _Episode(NamedTuple):
    key: Key
    obs: PyTree
    state: PyTree
    episode_return: Array
    length: Array
    done: Array


def _run_episode(
    policy: Callable[[PyTree], PyTree],
    env: Environment,
    env_params: PyTree,
    max_steps: int,
    key: Key,
) -> _Episode:
    def unfinished(episode: _Episode) -> Array:
        return ~episode.done & (episode.length < max_steps)

    def step(episode: _Episode) -> _Episode:
        key, step_key = jax.random.split(episode.key)
        after = env.step(step_key, episode.state, policy(episode.obs), env_params)
        return _Episode(
            key=key,
            obs=after.obs,
            state=after.state,
            episode_return=after.info["episode_return"],
            length=episode.length + 1,
            done=after.terminated | after.truncated,
        )

    key, reset_key = jax.random.split(key)
    obs, state = env.reset(reset_key, env_params)
    first = _Episode(key, obs, state, jnp.float32(0.0), jnp.int32(0), jnp.array(False))
    return jax.lax.while_loop(unfinished, step, first)


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
        env_params: the world.
        n_episodes: episodes.
        max_steps: env steps after which an episode is no longer watched.
        rng: split into one key per episode; never a key of the training stream.
    """
    env = with_episode_statistics(env)
    run = partial(_run_episode, partial(act_fn, agent_state), env, env_params, max_steps)
    episodes = jax.vmap(run)(jax.random.split(rng, n_episodes))
    return summary(episodes.episode_return, episodes.length, episodes.done)


def summary(
    returns: Float[Array, " n"], lengths: Int[Array, " n"], finished: Bool[Array, " n"]
) -> EvalMetrics:
    """Of single episodes."""
    return EvalMetrics(
        mean_return=returns.mean(),
        std_return=returns.std(),
        mean_length=lengths.astype(jnp.float32).mean(),
        episode_returns=returns,
        episode_lengths=lengths,
        finished=finished,
    )


jit_evaluate = jax.jit(evaluate, static_argnames=("act_fn", "env", "n_episodes", "max_steps"))
"""`evaluate`, compiled once for each act_fn, env, n_episodes and max_steps."""


def greedy_action(policy: tuple[Any, PyTree], obs: PyTree) -> PyTree:
    """The `act_fn` of any algorithm: `policy` is `(algorithm, agent_state)`.

    One function for all, so that a changed number in a config compiles nothing again.
    """
    algorithm, agent_state = policy
    return algorithm.greedy(agent_state, obs)
