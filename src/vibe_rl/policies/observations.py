"""Observations of a policy at work, on which what is written of it is compared with it."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env.base import Environment
from vibe_rl.env.checks.traced import auto_resets
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.env.precision import in_single_precision
from vibe_rl.env.wrappers import AutoResetWrapper
from vibe_rl.ops import prng
from vibe_rl.runner.evaluator import greedy_action
from vibe_rl.runner.host_env import open_envs
from vibe_rl.spaces import Space, random_action
from vibe_rl.types import Key, PyTree, narrow

SIDE_BY_SIDE = 8
"""Envs."""
RANDOM_SHARE = 0.25
"""Of the actions, so that episodes differ."""


def observations(
    algorithm: Algorithm, state: PyTree, env: AnyEnvironment, env_params: PyTree, n: int
) -> PyTree:
    """`n` observations `[n, ...]`, in NumPy, of greedy episodes with some random actions.

    Args:
        algorithm: what acts.
        state: its state, on one device.
        env: with or without auto-reset, or on the host.
        env_params: constants that all envs share.
        n: how many.
    """
    agent, key, n_steps = narrow((algorithm, state)), prng.key(0), -(-n // SIDE_BY_SIDE)
    if isinstance(env, HostEnvironment):
        seen = _on_host(agent, env, key, n_steps)
    else:
        env = in_single_precision(env)
        env = env if auto_resets(env, env_params) else AutoResetWrapper(env)
        seen = on_device(agent, env, env_params, key, n_steps)
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:])[:n], seen)


@partial(jax.jit, static_argnames=("env", "n_steps"))
def on_device(
    agent: tuple[Any, PyTree], env: Environment, env_params: PyTree, key: Key, n_steps: int
) -> PyTree:
    """Observations `[n_steps, N, ...]` of envs that reset themselves."""
    key, reset_key = jax.random.split(key)
    reset_keys = jax.random.split(reset_key, SIDE_BY_SIDE)
    obs, env_state = jax.vmap(env.reset, (0, None))(reset_keys, env_params)

    def step(carry, key):
        obs, env_state = carry
        act_key, step_key = jax.random.split(key)
        action = some_random(agent, obs, act_key)
        keys = jax.random.split(step_key, SIDE_BY_SIDE)
        after = jax.vmap(env.step, (0, 0, 0, None))(keys, env_state, action, env_params)
        return (after.obs, after.state), obs

    return jax.lax.scan(step, (obs, env_state), jax.random.split(key, n_steps))[1]


def _on_host(agent: tuple[Any, PyTree], env: HostEnvironment, key: Key, n_steps: int) -> PyTree:
    """Observations `[n_steps, N, ...]` of envs that run in Python."""
    key, open_key = jax.random.split(key)
    seen = []
    with open_envs(env, open_key, SIDE_BY_SIDE) as envs:
        for act_key in jax.random.split(key, n_steps):
            seen.append(jax.tree.map(np.array, envs.obs))
            envs.step(jax.tree.map(np.asarray, jit_some_random(agent, envs.obs, act_key)))
    return jax.tree.map(lambda *arrays: np.stack(arrays), *seen)


def some_random(agent: tuple[Any, PyTree], obs: PyTree, key: Key) -> PyTree:
    """Greedy actions at a batch, some of them replaced by random ones."""
    space: Space = agent[0].action_space

    def action(obs: PyTree, key: Key) -> Array:
        draw_key, action_key = jax.random.split(key)
        greedy = greedy_action(agent, obs)
        random = random_action(space, obs, action_key).astype(greedy.dtype)
        draws = jax.random.uniform(draw_key, dtype=jnp.float32) < RANDOM_SHARE
        return jnp.where(draws, random, greedy)

    return jax.vmap(action)(obs, jax.random.split(key, SIDE_BY_SIDE))


jit_some_random = jax.jit(some_random)
