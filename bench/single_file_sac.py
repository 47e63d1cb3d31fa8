"""SAC as one writes it in a single file: what a library must not be slower than.

As `single_file_dqn.py`: one jitted scan, Threefry, a ring in the carry, `randint`, a `lax.cond` for
the warm-up; two critics as one vmapped network, Adam over the trees, a learned temperature.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import plain
from plain import PENDULUM
from single_file_dqn import Runner, Transition, empty_ring, prepare, sample
from worker import serve

OBS, ACTION, BOUND = 3, 1, 2.0
TARGET_ENTROPY = -float(ACTION)


class Learner(NamedTuple):
    """What an update changes; critics have a leading axis of two."""

    actor: list
    critics: list
    target_critics: list
    log_alpha: jax.Array
    opt_states: tuple  # of actor, critics, temperature


def optimizers(s):
    return optax.adam(s.actor_lr), optax.adam(s.critic_lr), optax.adam(s.alpha_lr)


def init_network(key, s, n_in, n_out):
    initializers = [jax.nn.initializers.lecun_normal()] * (len(s.hidden_sizes) + 1)
    return plain.init_mlp(key, (n_in, *s.hidden_sizes, n_out), initializers)


def init_learner(s, key):
    actor_key, critic_key = jax.random.split(key)
    actor = init_network(actor_key, s, OBS, 2 * ACTION)
    critic_keys = jax.random.split(critic_key)
    critics = jax.vmap(lambda k: init_network(k, s, OBS + ACTION, 1))(critic_keys)
    learned = (actor, critics, jnp.float32(0.0))
    opt_states = tuple(tx.init(x) for tx, x in zip(optimizers(s), learned, strict=True))
    return Learner(actor, critics, critics, learned[2], opt_states)


def policy(actor, obs, key):
    """A tanh-squashed Gaussian action in [-1, 1] and its log-probability."""
    mean, log_std = jnp.split(plain.mlp(actor, obs), 2, axis=-1)
    log_std = jnp.clip(log_std, -20.0, 2.0)
    noise = jax.random.normal(key, mean.shape)
    raw = mean + jnp.exp(log_std) * noise
    log_normal = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)
    log_slope = 2 * (math.log(2) - raw - jax.nn.softplus(-2 * raw))  # of tanh
    return jnp.tanh(raw), (log_normal - log_slope).sum(-1)


def values(critics, obs, action):
    """Q of both critics, [2, B]."""
    x = jnp.concatenate([obs, action], -1)
    return jax.vmap(plain.mlp, (0, None))(critics, x)[..., 0]


def critic_loss(critics, target, batch):
    return ((values(critics, batch.obs, batch.action) - target) ** 2).mean(1).sum()


def actor_loss(actor, critics, alpha, obs, key):
    action, log_prob = policy(actor, obs, key)
    return (alpha * log_prob - values(critics, obs, action).min(0)).mean(), log_prob


def alpha_loss(log_alpha, log_prob):
    return -(jnp.exp(log_alpha) * (log_prob + TARGET_ENTROPY)).mean()


def targets(s, learner, batch, key):
    """What both critics are fitted to, [B]."""
    action, log_prob = policy(learner.actor, batch.next_obs, key)
    next_q = values(learner.target_critics, batch.next_obs, action).min(0)
    next_value = next_q - jnp.exp(learner.log_alpha) * log_prob
    return batch.reward + s.gamma * (1 - batch.terminated) * next_value


def stepped(tx, grads, opt_state, params):
    changes, opt_state = tx.update(grads, opt_state)
    return optax.apply_updates(params, changes), opt_state


def update(s, learner, batch, key):
    """Critics, then actor, then temperature, then the targets."""
    target_key, actor_key = jax.random.split(key)
    (actor_tx, critic_tx, alpha_tx), (actor_opt, critic_opt, alpha_opt) = (
        optimizers(s),
        learner.opt_states,
    )
    target = targets(s, learner, batch, target_key)
    grads = jax.grad(critic_loss)(learner.critics, target, batch)
    critics, critic_opt = stepped(critic_tx, grads, critic_opt, learner.critics)
    alpha = jnp.exp(learner.log_alpha)
    grads, log_prob = jax.grad(actor_loss, has_aux=True)(
        learner.actor, critics, alpha, batch.obs, actor_key
    )
    actor, actor_opt = stepped(actor_tx, grads, actor_opt, learner.actor)
    grad = jax.grad(alpha_loss)(learner.log_alpha, log_prob)
    log_alpha, alpha_opt = stepped(alpha_tx, grad, alpha_opt, learner.log_alpha)
    target_critics = optax.incremental_update(critics, learner.target_critics, s.tau)
    return Learner(actor, critics, target_critics, log_alpha, (actor_opt, critic_opt, alpha_opt))


def env_step(s, actor, env_state, warm, key):
    """One step of every env, uniformly at random until it is warm."""
    uniform_key, policy_key, step_key = jax.random.split(key, 3)
    obs = jax.vmap(PENDULUM.observe)(env_state.physics)
    random = jax.random.uniform(uniform_key, (len(obs), ACTION), minval=-1.0)
    action = jnp.where(warm, policy(actor, obs, policy_key)[0], random)
    keys = jax.random.split(step_key, len(obs))
    env_state, shown = jax.vmap(partial(plain.step, PENDULUM))(keys, env_state, BOUND * action)
    stored = Transition(obs, action, shown.reward, shown.terminated, shown.next_obs)
    return env_state, stored, shown


def iteration(s, runner, i):
    """A step of every env and an update; also how many episodes ended, and their summed return."""
    learner, ring, env_state, key = runner
    key, step_key, sample_key, update_key = jax.random.split(key, 4)
    warm = i * s.num_envs >= s.warmup_steps
    env_state, stored, shown = env_step(s, learner.actor, env_state, warm, step_key)
    slots = len(ring.reward)
    ring = jax.tree.map(lambda x, new: x.at[i % slots].set(new), ring, stored)

    def learn():
        batch = sample(s, ring, jnp.minimum(i + 1, slots), sample_key)
        return update(s, learner, batch, update_key)

    learner = jax.lax.cond(warm, learn, lambda: learner)
    finished = (shown.done.sum(), (shown.done * shown.episode_return).sum())
    return Runner(learner, ring, env_state, key), finished


def init(s, key):
    learner_key, env_key, key = jax.random.split(key, 3)
    env_state = jax.vmap(partial(plain.start, PENDULUM))(jax.random.split(env_key, s.num_envs))
    learner = init_learner(s, learner_key)
    stored = jax.eval_shape(partial(env_step, s), learner.actor, env_state, True, key)[1]
    return Runner(learner, empty_ring(s, stored), env_state, key)


if __name__ == "__main__":
    serve(partial(prepare, init=init, iteration=iteration))
