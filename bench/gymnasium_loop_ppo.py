"""The PPO of `single_file_ppo.py` on Gymnasium's envs: a hand-written loop in Python.

Acting is one jitted call for all envs and the update another; rollouts are NumPy arrays.
"""

from functools import partial
from importlib.metadata import version
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium_loop import Envs, mean_return
from single_file_ppo import actor_critic, advantages, epoch, init_tower, optimizer, pick_action
from worker import flat, serve, whole_updates


class Rollout(NamedTuple):
    """[T, N, ...]"""

    obs: np.ndarray
    action: np.ndarray
    log_prob: np.ndarray
    value: np.ndarray
    reward: np.ndarray
    done: np.ndarray


@jax.jit
def act(params, obs, key):
    """What a step needs, and the next key."""
    key, action_key = jax.random.split(key)
    log_probs, value = actor_critic(params, obs)
    action = jax.random.categorical(action_key, log_probs)
    return action, pick_action(log_probs, action), value, key


def update(s, learner, rollout, last_obs, key):
    """Some epochs."""
    _, last_value = actor_critic(learner[0], last_obs)
    advantage = advantages(s, rollout, last_value)
    batch = (rollout, advantage, advantage + rollout.value)
    keys = jax.random.split(key, s.n_epochs)
    return jax.lax.scan(partial(epoch, s, actor_critic, batch), learner, keys)[0]


def empty(s):
    shape = (s.n_steps, s.num_envs)
    figures = [np.zeros(shape, np.float32) for _ in range(3)]
    obs, action = np.zeros((*shape, 4), np.float32), np.zeros(shape, np.int32)
    return Rollout(obs, action, *figures, np.zeros(shape, bool))


def collect(s, params, envs, key):
    """A rollout."""
    rollout = empty(s)
    for t in range(s.n_steps):
        rollout.obs[t] = envs.obs
        action, log_prob, value, key = act(params, envs.obs, key)
        rollout.action[t] = np.asarray(action)
        _, rollout.reward[t], _, rollout.done[t] = envs.step(rollout.action[t])
        rollout.log_prob[t], rollout.value[t] = np.asarray(log_prob), np.asarray(value)
    return rollout, key


def train(s, jitted_update, n_updates, seed):
    """One run; the mean return of its last episodes."""
    actor_key, critic_key, key = jax.random.split(jax.random.key(seed), 3)
    params = {
        "actor": init_tower(actor_key, s, 2, 0.01),
        "critic": init_tower(critic_key, s, 1, 1.0),
    }
    learner, envs = (params, optimizer(s).init(params)), Envs(s, seed)
    for _ in range(n_updates):
        rollout, key = collect(s, learner[0], envs, key)
        key, update_key = jax.random.split(key)
        learner = jitted_update(learner, rollout, jnp.asarray(envs.obs), update_key)
    jax.block_until_ready(learner)
    return mean_return(envs)


def prepare(settings):
    s = flat(settings)
    n_updates, steps = whole_updates(s)
    jitted_update = jax.jit(partial(update, s), donate_argnums=0)
    train(s, jitted_update, 2, 0)  # compiles
    versions = {name: version(name) for name in ("jax", "numpy", "optax", "gymnasium")}
    return lambda seed: partial(train, s, jitted_update, n_updates, seed), steps, versions


if __name__ == "__main__":
    serve(prepare)
