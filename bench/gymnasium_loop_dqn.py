"""The DQN of `single_file_dqn.py` on Gymnasium's envs: a hand-written loop in Python.

Acting is one jitted call for all envs and the update another; between them a NumPy ring.
"""

from functools import partial
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium_loop import Envs, mean_return
from python_loop_dqn import Buffer
from single_file_dqn import Transition, act, init_learner, update
from worker import flat, serve


def train(s, jitted, n_iterations, seed):
    """One run; the mean return of its last episodes."""
    act, update = jitted
    buffer, rng, envs = Buffer(s.buffer_size), np.random.default_rng(seed), Envs(s, seed)
    key, learner_key = jax.random.split(jax.random.key(seed))
    learner = jax.tree.map(jnp.array, init_learner(s, learner_key))  # no array twice: donated
    for i in range(n_iterations):
        obs = envs.obs
        action, key = act(learner.params, obs, i * s.num_envs, key)
        action = np.asarray(action)
        next_obs, reward, terminated, _ = envs.step(action)
        buffer.insert(Transition(obs, action, reward, terminated, next_obs))
        if i * s.num_envs >= s.warmup_steps:
            learner = update(learner, buffer.sample(rng, s.batch_size))
    jax.block_until_ready(learner)
    return mean_return(envs)


def act_and_split(s, params, obs, env_steps, key):
    """Actions, and the next key."""
    key, action_key = jax.random.split(key)
    return act(s, params, obs, env_steps, action_key), key


def prepare(settings):
    s = flat(settings)
    jitted = jax.jit(partial(act_and_split, s)), jax.jit(partial(update, s), donate_argnums=0)
    n_iterations = s.total_timesteps // s.num_envs
    train(s, jitted, s.warmup_steps // s.num_envs + 2, 0)  # compiles
    versions = {name: version(name) for name in ("jax", "numpy", "optax", "gymnasium")}
    start = lambda seed: partial(train, s, jitted, n_iterations, seed)  # noqa: E731
    return start, n_iterations * s.num_envs, versions


if __name__ == "__main__":
    serve(prepare)
