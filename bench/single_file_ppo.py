"""A plain single-file PPO, as one writes it by hand: what a library must not be slower than.

One uninterrupted scan over updates, JAX's own Threefry, `random.permutation` in every epoch, values
and log-probabilities inside the rollout, an auto-resetting CartPole of its own, nothing logged.
"""

import jax
import jax.numpy as jnp
import optax

from worker import serve

N_STEPS, N_EPOCHS, N_MINIBATCHES = 128, 4, 4
GAMMA, GAE_LAMBDA, CLIP_EPS, ENT_COEF, VF_COEF, LR = 0.99, 0.95, 0.2, 0.01, 0.5, 2.5e-4


def reset(key):
    physics = jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)
    return physics, jnp.int32(0)


def step(key, state, action):
    (_, x_dot, theta, theta_dot), time = state
    force = jnp.where(action == 1, 10.0, -10.0)
    sin, cos = jnp.sin(theta), jnp.cos(theta)
    push = (force + 0.05 * theta_dot**2 * sin) / 1.1
    theta_acc = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos**2 / 1.1))
    x_acc = push - 0.05 * theta_acc * cos / 1.1
    change = jnp.stack([x_dot, x_acc, theta_dot, theta_acc])
    physics, time = state[0] + 0.02 * change, time + 1
    done = (jnp.abs(physics[0]) > 2.4) | (jnp.abs(physics[2]) > 0.2094395) | (time >= 500)
    fresh = reset(key)
    return jax.tree.map(lambda a, b: jnp.where(done, a, b), fresh, (physics, time)), done


def init_tower(key, sizes, last_scale):
    layers = []
    for i, layer_key in enumerate(jax.random.split(key, len(sizes) - 1)):
        scale = last_scale if i == len(sizes) - 2 else jnp.sqrt(2.0)
        weight = jax.nn.initializers.orthogonal(scale)(layer_key, (sizes[i], sizes[i + 1]))
        layers.append((weight, jnp.zeros(sizes[i + 1])))
    return layers


def tower(layers, x):
    for weight, bias in layers[:-1]:
        x = jnp.tanh(x @ weight + bias)
    return x @ layers[-1][0] + layers[-1][1]


def log_probs(params, obs):
    return jax.nn.log_softmax(tower(params["actor"], obs))


def value(params, obs):
    return tower(params["critic"], obs)[..., 0]


def loss(params, batch):
    obs, action, old_log_prob, old_value, advantage, target = batch
    log_p = log_probs(params, obs)
    log_prob = jnp.take_along_axis(log_p, action[:, None], 1)[:, 0]
    ratio = jnp.exp(log_prob - old_log_prob)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    clipped = jnp.clip(ratio, 1.0 - CLIP_EPS, 1.0 + CLIP_EPS)
    actor = -jnp.minimum(ratio * advantage, clipped * advantage).mean()
    v = value(params, obs)
    v_clipped = old_value + jnp.clip(v - old_value, -CLIP_EPS, CLIP_EPS)
    critic = 0.5 * jnp.maximum((v - target) ** 2, (v_clipped - target) ** 2).mean()
    entropy = -(jnp.exp(log_p) * log_p).sum(-1).mean()
    return actor + VF_COEF * critic - ENT_COEF * entropy


def make_train(num_envs, n_updates):  # noqa: C901, PLR0915 - as such scripts are written
    tx = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(LR, eps=1e-5))

    def env_step(carry, _):
        params, state, returns, key = carry
        key, action_key, step_key = jax.random.split(key, 3)
        obs = state[0]
        log_p = log_probs(params, obs)
        action = jax.random.categorical(action_key, log_p)
        log_prob = jnp.take_along_axis(log_p, action[:, None], 1)[:, 0]
        state, done = jax.vmap(step)(jax.random.split(step_key, num_envs), state, action)
        finished = (jnp.where(done, returns + 1.0, 0.0).sum(), done.sum())
        returns = jnp.where(done, 0.0, returns + 1.0)
        kept = (obs, action, log_prob, value(params, obs), done, finished)
        return (params, state, returns, key), kept

    def advantages(values, done, last_value):
        def backward(carry, t):
            advantage, next_value = carry
            v, d = t
            delta = 1.0 + GAMMA * next_value * (1 - d) - v
            advantage = delta + GAMMA * GAE_LAMBDA * (1 - d) * advantage
            return (advantage, v), advantage

        start = (jnp.zeros_like(last_value), last_value)
        return jax.lax.scan(backward, start, (values, done), reverse=True)[1]

    def minibatch_step(carry, batch):
        params, opt_state = carry
        updates, opt_state = tx.update(jax.grad(loss)(params, batch), opt_state)
        return (optax.apply_updates(params, updates), opt_state), None

    def update(carry, _):
        params, opt_state, state, returns, key = carry
        (_, state, returns, key), rollout = jax.lax.scan(
            env_step, (params, state, returns, key), None, N_STEPS
        )
        obs, action, log_prob, values, done, finished = rollout
        advantage = advantages(values, done, value(params, state[0]))
        data = (obs, action, log_prob, values, advantage, advantage + values)
        data = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), data)

        def epoch(carry, key):
            order = jax.random.permutation(key, N_STEPS * num_envs)
            batches = jax.tree.map(
                lambda x: x[order].reshape(N_MINIBATCHES, -1, *x.shape[1:]), data
            )
            return jax.lax.scan(minibatch_step, carry, batches)

        key, *epoch_keys = jax.random.split(key, N_EPOCHS + 1)
        (params, opt_state), _ = jax.lax.scan(epoch, (params, opt_state), jnp.stack(epoch_keys))
        total, episodes = jax.tree.map(jnp.sum, finished)
        return (params, opt_state, state, returns, key), total / jnp.maximum(episodes, 1)

    def train(key):
        actor_key, critic_key, env_key, key = jax.random.split(key, 4)
        params = {
            "actor": init_tower(actor_key, (4, 64, 64, 2), 0.01),
            "critic": init_tower(critic_key, (4, 64, 64, 1), 1.0),
        }
        state = jax.vmap(reset)(jax.random.split(env_key, num_envs))
        carry = (params, tx.init(params), state, jnp.zeros(num_envs), key)
        (params, *_), mean_returns = jax.lax.scan(update, carry, None, n_updates)
        return params, mean_returns

    return jax.jit(train)


def prepare(num_envs, total_timesteps):
    n_updates = total_timesteps // (N_STEPS * num_envs)
    train = make_train(num_envs, n_updates).lower(jax.random.key(0)).compile()

    def run(seed):
        return float(jax.block_until_ready(train(jax.random.key(seed)))[1][-1])

    return run, n_updates * N_STEPS * num_envs, {"jax": jax.__version__}


if __name__ == "__main__":
    serve(prepare)
