"""PPO as one writes it in a single file: what a library must not be slower than.

One uninterrupted scan over updates, JAX's own Threefry, `random.permutation` in every epoch, values
and log-probabilities inside the rollout, an auto-resetting CartPole of its own. Nothing is logged
but one number per update. A time limit counts as a death, as it does in scripts of this kind.
"""

import itertools
from importlib.metadata import version
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from worker import serve

N_STEPS, N_EPOCHS, N_MINIBATCHES = 128, 4, 4
GAMMA, GAE_LAMBDA, CLIP_EPS, ENT_COEF, VF_COEF = 0.99, 0.95, 0.2, 0.01, 0.5
TX = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(2.5e-4, eps=1e-5))


class Runner(NamedTuple):
    """The carry of the scan over updates."""

    params: dict
    opt_state: optax.OptState
    env_state: tuple
    episode_return: jax.Array  # [N], of the episodes under way
    key: jax.Array


class Transition(NamedTuple):
    """One step of every env; after a scan, [T, N, ...]."""

    obs: jax.Array
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    done: jax.Array
    finished_return: jax.Array  # zero where no episode ended


def reset(key):
    """CartPole-v1's start: (x, x_dot, theta, theta_dot) and the clock."""
    return jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05), jnp.int32(0)


def step(key, state, action):
    """CartPole-v1's Euler step, fresh where an episode ended: (state, done)."""
    physics, time = state
    _, x_dot, theta, theta_dot = physics
    sin, cos = jnp.sin(theta), jnp.cos(theta)
    push = (jnp.where(action == 1, 10.0, -10.0) + 0.05 * theta_dot**2 * sin) / 1.1
    theta_acc = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    x_acc = push - 0.05 * theta_acc * cos / 1.1
    physics += 0.02 * jnp.stack([x_dot, x_acc, theta_dot, theta_acc])
    fallen = (jnp.abs(physics[0]) > 2.4) | (jnp.abs(physics[2]) > 12 * jnp.pi / 180)
    done = fallen | (time + 1 >= 500)
    pick = lambda fresh, going: jnp.where(done, fresh, going)  # noqa: E731
    return jax.tree.map(pick, reset(key), (physics, time + 1)), done


def init_mlp(key, sizes, last_scale):
    """Orthogonal weights and zero biases, layer by layer."""
    scales = [2**0.5] * (len(sizes) - 2) + [last_scale]
    keys = jax.random.split(key, len(scales))
    shapes = itertools.pairwise(sizes)
    return [
        (jax.nn.initializers.orthogonal(scale)(k, shape), jnp.zeros(shape[1]))
        for k, scale, shape in zip(keys, scales, shapes, strict=True)
    ]


def mlp(layers, x):
    *hidden, (last_weight, last_bias) = layers
    for weight, bias in hidden:
        x = jnp.tanh(x @ weight + bias)
    return x @ last_weight + last_bias


def actor_critic(params, obs):
    """Log-probabilities [..., A] and values [...]."""
    return jax.nn.log_softmax(mlp(params["actor"], obs)), mlp(params["critic"], obs)[..., 0]


def pick_action(log_probs, action):
    return jnp.take_along_axis(log_probs, action[..., None], -1)[..., 0]


def env_step(runner, _):
    """One step of the rollout in every env."""
    key, action_key, step_key = jax.random.split(runner.key, 3)
    obs = runner.env_state[0]
    log_probs, value = actor_critic(runner.params, obs)
    action = jax.random.categorical(action_key, log_probs)
    env_state, done = jax.vmap(step)(jax.random.split(step_key, len(obs)), runner.env_state, action)
    total = runner.episode_return + 1.0
    transition = Transition(
        obs, action, pick_action(log_probs, action), value, done, jnp.where(done, total, 0.0)
    )
    episode_return = jnp.where(done, 0.0, total)
    return runner._replace(env_state=env_state, episode_return=episode_return, key=key), transition


def advantages(rollout, last_value):
    """GAE, backwards in time; every reward is 1."""

    def backward(carry, transition):
        advantage, next_value = carry
        alive = 1.0 - transition.done
        delta = 1.0 + GAMMA * next_value * alive - transition.value
        advantage = delta + GAMMA * GAE_LAMBDA * alive * advantage
        return (advantage, transition.value), advantage

    start = (jnp.zeros_like(last_value), last_value)
    return jax.lax.scan(backward, start, rollout, reverse=True)[1]


def loss(params, minibatch):
    """The clipped surrogate, the clipped value loss and the entropy bonus."""
    old, advantage, target = minibatch
    log_probs, value = actor_critic(params, old.obs)
    ratio = jnp.exp(pick_action(log_probs, old.action) - old.log_prob)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    clipped_ratio = jnp.clip(ratio, 1 - CLIP_EPS, 1 + CLIP_EPS)
    actor_loss = -jnp.minimum(ratio * advantage, clipped_ratio * advantage).mean()
    near_value = old.value + jnp.clip(value - old.value, -CLIP_EPS, CLIP_EPS)
    value_loss = 0.5 * jnp.maximum((value - target) ** 2, (near_value - target) ** 2).mean()
    entropy = -(jnp.exp(log_probs) * log_probs).sum(-1).mean()
    return actor_loss + VF_COEF * value_loss - ENT_COEF * entropy


def minibatch_step(learner, minibatch):
    params, opt_state = learner
    updates, opt_state = TX.update(jax.grad(loss)(params, minibatch), opt_state)
    return (optax.apply_updates(params, updates), opt_state), None


def epoch(learner, key, batch):
    """One pass over the batch in a fresh order."""
    order = jax.random.permutation(key, batch[1].size)

    def split(x):  # [T, N, ...] -> [minibatches, B, ...]
        flat = x.reshape(-1, *x.shape[2:])
        return flat[order].reshape(N_MINIBATCHES, -1, *x.shape[2:])

    return jax.lax.scan(minibatch_step, learner, jax.tree.map(split, batch))


def update(runner, _):
    """A rollout and its epochs; also the mean return of the episodes that ended, NaN for none."""
    runner, rollout = jax.lax.scan(env_step, runner, None, N_STEPS)
    _, last_value = actor_critic(runner.params, runner.env_state[0])
    advantage = advantages(rollout, last_value)
    batch = (rollout, advantage, advantage + rollout.value)
    key, *epoch_keys = jax.random.split(runner.key, N_EPOCHS + 1)
    learner = (runner.params, runner.opt_state)
    learner, _ = jax.lax.scan(lambda c, k: epoch(c, k, batch), learner, jnp.stack(epoch_keys))
    runner = runner._replace(params=learner[0], opt_state=learner[1], key=key)
    return runner, rollout.finished_return.sum() / rollout.done.sum()


def start(key, num_envs):
    actor_key, critic_key, env_key, key = jax.random.split(key, 4)
    params = {
        "actor": init_mlp(actor_key, (4, 64, 64, 2), 0.01),
        "critic": init_mlp(critic_key, (4, 64, 64, 1), 1.0),
    }
    env_state = jax.vmap(reset)(jax.random.split(env_key, num_envs))
    return Runner(params, TX.init(params), env_state, jnp.zeros(num_envs), key)


def make_train(num_envs, total_timesteps):
    """A jitted `train(key) -> (params, mean episode return of each update)`."""
    n_updates = total_timesteps // (N_STEPS * num_envs)

    def train(key):
        runner, mean_returns = jax.lax.scan(update, start(key, num_envs), None, n_updates)
        return runner.params, mean_returns

    return jax.jit(train)


def prepare(num_envs, total_timesteps):
    train = make_train(num_envs, total_timesteps).lower(jax.random.key(0)).compile()
    steps = total_timesteps // (N_STEPS * num_envs) * N_STEPS * num_envs

    def run(seed):
        _, mean_returns = jax.block_until_ready(train(jax.random.key(seed)))
        return lambda: last_known(np.asarray(mean_returns))

    return run, steps, {name: version(name) for name in ("jax", "numpy", "optax")}


def last_known(mean_returns):
    known = mean_returns[~np.isnan(mean_returns)]
    return float(known[-1]) if known.size else None


if __name__ == "__main__":
    serve(prepare)
