"""PPO as one writes it in a single file: what a library must not be slower than.

One uninterrupted scan over updates, JAX's own Threefry, `random.permutation` in every epoch, values
and log-probabilities inside the rollout, an auto-resetting CartPole of its own or a game of gymnax.
Nothing is logged but one number per update. A time limit counts as a death, as it does in scripts
of this kind.
"""

from functools import partial
from importlib.metadata import version
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from plain import CART_POLE, Task, init_mlp, mlp, start, step
from worker import flat, serve, whole_updates


class Runner(NamedTuple):
    """The carry of the scan over updates."""

    params: dict
    opt_state: optax.OptState
    env_state: tuple
    key: jax.Array


class Transition(NamedTuple):
    """One step of every env; after a scan, [T, N, ...]."""

    obs: jax.Array
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    reward: jax.Array
    done: jax.Array
    finished_return: jax.Array  # zero where no episode ended


def optimizer(s):
    return optax.chain(optax.clip_by_global_norm(s.max_grad_norm), optax.adam(s.lr, eps=1e-5))


def init_tower(key, s, n_out, last_scale):
    """Orthogonal weights."""
    scales = [2**0.5] * len(s.hidden_sizes) + [last_scale]
    orthogonal = [jax.nn.initializers.orthogonal(scale) for scale in scales]
    return init_mlp(key, (4, *s.hidden_sizes, n_out), orthogonal)


def actor_critic(params, obs):
    """Log-probabilities [..., A] and values [...]."""
    logits = mlp(params["actor"], obs, jnp.tanh)
    return jax.nn.log_softmax(logits), mlp(params["critic"], obs, jnp.tanh)[..., 0]


def pick_action(log_probs, action):
    return jnp.take_along_axis(log_probs, action[..., None], -1)[..., 0]


def env_step(task, runner, _):
    """One step of the rollout in every env."""
    key, action_key, step_key = jax.random.split(runner.key, 3)
    obs = task.observe(runner.env_state)
    log_probs, value = task.network(runner.params, obs)
    action = jax.random.categorical(action_key, log_probs)
    keys = jax.random.split(step_key, len(obs))
    env_state, shown = jax.vmap(task.step)(keys, runner.env_state, action)
    log_prob = pick_action(log_probs, action)
    finished_return = jnp.where(shown.done, shown.episode_return, 0.0)
    transition = Transition(obs, action, log_prob, value, shown.reward, shown.done, finished_return)
    return runner._replace(env_state=env_state, key=key), transition


def advantages(s, rollout, last_value):
    """GAE, backwards in time."""

    def backward(carry, transition):
        advantage, next_value = carry
        alive = 1.0 - transition.done
        delta = transition.reward + s.gamma * next_value * alive - transition.value
        advantage = delta + s.gamma * s.gae_lambda * alive * advantage
        return (advantage, transition.value), advantage

    last = (jnp.zeros_like(last_value), last_value)
    return jax.lax.scan(backward, last, rollout, reverse=True)[1]


def loss(params, s, network, minibatch):
    """The clipped surrogate, the clipped value loss and the entropy bonus."""
    old, advantage, target = minibatch
    log_probs, value = network(params, old.obs)
    ratio = jnp.exp(pick_action(log_probs, old.action) - old.log_prob)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    clipped_ratio = jnp.clip(ratio, 1 - s.clip_eps, 1 + s.clip_eps)
    actor_loss = -jnp.minimum(ratio * advantage, clipped_ratio * advantage).mean()
    near_value = old.value + jnp.clip(value - old.value, -s.clip_eps, s.clip_eps)
    value_loss = 0.5 * jnp.maximum((value - target) ** 2, (near_value - target) ** 2).mean()
    entropy = -(jnp.exp(log_probs) * log_probs).sum(-1).mean()
    return actor_loss + s.vf_coef * value_loss - s.ent_coef * entropy


def minibatch_step(s, network, learner, minibatch):
    params, opt_state = learner
    grads = jax.grad(loss)(params, s, network, minibatch)
    updates, opt_state = optimizer(s).update(grads, opt_state)
    return (optax.apply_updates(params, updates), opt_state), None


def epoch(s, network, batch, learner, key):
    """One pass over the batch in a fresh order."""
    order = jax.random.permutation(key, batch[1].size)

    def split(x):  # [T, N, ...] -> [minibatches, B, ...]
        flat = x.reshape(-1, *x.shape[2:])
        return flat[order].reshape(s.n_minibatches, -1, *x.shape[2:])

    return jax.lax.scan(partial(minibatch_step, s, network), learner, jax.tree.map(split, batch))


def update(s, task, runner, _):
    """A rollout and its epochs; also the mean return of the episodes that ended, NaN for none."""
    runner, rollout = jax.lax.scan(partial(env_step, task), runner, None, s.n_steps)
    _, last_value = task.network(runner.params, task.observe(runner.env_state))
    advantage = advantages(s, rollout, last_value)
    batch = (rollout, advantage, advantage + rollout.value)
    key, *epoch_keys = jax.random.split(runner.key, s.n_epochs + 1)
    learner = (runner.params, runner.opt_state)
    learner, _ = jax.lax.scan(
        partial(epoch, s, task.network, batch), learner, jnp.stack(epoch_keys)
    )
    runner = runner._replace(params=learner[0], opt_state=learner[1], key=key)
    return runner, rollout.finished_return.sum() / rollout.done.sum()


def init_towers(s, key):
    """Of actor and critic, for CartPole."""
    actor_key, critic_key = jax.random.split(key)
    actor, critic = init_tower(actor_key, s, 2, 0.01), init_tower(critic_key, s, 1, 1.0)
    return {"actor": actor, "critic": critic}


def task_of(s):
    """CartPole, or the game of MinAtar that the settings name."""
    if s.env_id.startswith("gymnax:"):
        from plain_minatar import game  # gymnax is imported where it is needed

        return game(s)
    of_env = partial(start, CART_POLE), partial(step, CART_POLE)
    return Task(*of_env, lambda state: state.physics, init_towers, actor_critic)


def init(s, task, key):
    params_key, env_key, key = jax.random.split(key, 3)
    params = task.init(s, params_key)
    env_state = jax.vmap(task.start)(jax.random.split(env_key, s.num_envs))
    return Runner(params, optimizer(s).init(params), env_state, key)


def prepare(settings):
    s = flat(settings)
    n_updates, steps = whole_updates(s)
    task = task_of(s)

    @jax.jit
    def train(key):
        """Final parameters and the mean episode return of each update."""
        once = partial(update, s, task)
        runner, mean_returns = jax.lax.scan(once, init(s, task, key), None, n_updates)
        return runner.params, mean_returns

    compiled = train.lower(jax.random.key(0)).compile()

    def run(seed):
        _, mean_returns = jax.block_until_ready(compiled(jax.random.key(seed)))
        return lambda: last_known(np.asarray(mean_returns))

    return partial(partial, run), steps, {name: version(name) for name in ("jax", "numpy", "optax")}


def last_known(mean_returns):
    known = mean_returns[~np.isnan(mean_returns)]
    return float(known[-1]) if known.size else None


if __name__ == "__main__":
    serve(prepare)
