"""DQN as one writes it in a single file: what a library must not be slower than.

The whole run is one jitted scan: JAX's own Threefry, Adam over the tree of layers, a ring of
transitions in the carry, indices by `randint`, and a `lax.cond` each for the warm-up and for the
copy to the target. Only returns are kept. The clock's end is no death, gradients are not clipped.
"""

from functools import partial
from importlib.metadata import version
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import plain
from plain import CART_POLE
from worker import flat, mean_of_last_tenth, serve


class Transition(NamedTuple):
    """What is stored of a step; leaves [N, ...], in the ring [slots, N, ...]."""

    obs: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    next_obs: jax.Array


class Learner(NamedTuple):
    """What an update changes."""

    params: list
    target_params: list
    opt_state: optax.OptState
    updates: jax.Array


class Runner(NamedTuple):
    """The carry of the scan over steps of all envs."""

    learner: Learner
    ring: Transition
    env_state: plain.EnvState
    key: jax.Array


def init_learner(s, key):
    sizes = (4, *s.hidden_sizes, 2)
    params = plain.init_mlp(key, sizes, [jax.nn.initializers.lecun_normal()] * (len(sizes) - 1))
    return Learner(params, params, optax.adam(s.lr).init(params), jnp.int32(0))


def epsilon(s, env_steps):
    share = jnp.minimum(env_steps / s.epsilon_decay_steps, 1.0)
    return s.epsilon_start + share * (s.epsilon_end - s.epsilon_start)


def act(s, params, obs, env_steps, key):
    """An action for every env, epsilon-greedy."""
    explore_key, action_key = jax.random.split(key)
    greedy = plain.mlp(params, obs).argmax(-1)
    explore = jax.random.uniform(explore_key, greedy.shape) < epsilon(s, env_steps)
    return jnp.where(explore, jax.random.randint(action_key, greedy.shape, 0, 2), greedy)


def env_step(s, params, env_state, env_steps, key):
    """One step of every env: the next state, what to store, and what it showed."""
    action_key, step_key = jax.random.split(key)
    obs = env_state.physics
    action = act(s, params, obs, env_steps, action_key)
    keys = jax.random.split(step_key, len(obs))
    env_state, shown = jax.vmap(partial(plain.step, CART_POLE))(keys, env_state, action)
    stored = Transition(obs, action, shown.reward, shown.terminated, shown.next_obs)
    return env_state, stored, shown


def loss(params, s, target_params, batch):
    next_q = plain.mlp(target_params, batch.next_obs).max(-1)
    target = batch.reward + s.gamma * (1 - batch.terminated) * next_q
    q = jnp.take_along_axis(plain.mlp(params, batch.obs), batch.action[:, None], -1)[:, 0]
    return jnp.mean((q - target) ** 2)


def update(s, learner, batch):
    """A step of Adam, and now and then a new target."""
    grads = jax.grad(loss)(learner.params, s, learner.target_params, batch)
    changes, opt_state = optax.adam(s.lr).update(grads, learner.opt_state)
    params = optax.apply_updates(learner.params, changes)
    updates = learner.updates + 1
    target_params = jax.lax.cond(
        updates % s.target_update_freq == 0, lambda: params, lambda: learner.target_params
    )
    return Learner(params, target_params, opt_state, updates)


def sample(s, ring, filled, key):
    """A batch of the slots filled so far, with replacement."""
    slot_key, env_key = jax.random.split(key)
    slot = jax.random.randint(slot_key, (s.batch_size,), 0, filled)
    env = jax.random.randint(env_key, (s.batch_size,), 0, s.num_envs)
    return jax.tree.map(lambda x: x[slot, env], ring)


def iteration(s, runner, i):
    """A step of every env and an update; also how many episodes ended, and their summed return."""
    learner, ring, env_state, key = runner
    key, step_key, sample_key = jax.random.split(key, 3)
    env_state, stored, shown = env_step(s, learner.params, env_state, i * s.num_envs, step_key)
    slots = len(ring.reward)
    ring = jax.tree.map(lambda x, new: x.at[i % slots].set(new), ring, stored)
    learner = jax.lax.cond(
        i * s.num_envs >= s.warmup_steps,
        lambda: update(s, learner, sample(s, ring, jnp.minimum(i + 1, slots), sample_key)),
        lambda: learner,
    )
    finished = (shown.done.sum(), (shown.done * shown.episode_return).sum())
    return Runner(learner, ring, env_state, key), finished


def init(s, key):
    learner_key, env_key, key = jax.random.split(key, 3)
    env_state = jax.vmap(partial(plain.start, CART_POLE))(jax.random.split(env_key, s.num_envs))
    learner = init_learner(s, learner_key)
    stored = jax.eval_shape(partial(env_step, s), learner.params, env_state, 0, key)[1]
    return Runner(learner, empty_ring(s, stored), env_state, key)


def empty_ring(s, stored):
    """Room for `buffer_size` transitions over all envs, shaped as those stored of one step."""
    slots = s.buffer_size // s.num_envs
    return jax.tree.map(lambda x: jnp.zeros((slots, *x.shape), x.dtype), stored)


def prepare(settings, init=init, iteration=iteration):
    s = flat(settings)
    n_iterations = s.total_timesteps // s.num_envs

    @jax.jit
    def train(key):
        """What was learned, and what `iteration` says of every step."""
        steps = jnp.arange(n_iterations)
        runner, finished = jax.lax.scan(partial(iteration, s), init(s, key), steps)
        return runner.learner, finished

    compiled = train.lower(jax.random.key(0)).compile()

    def run(seed):
        _, finished = jax.block_until_ready(compiled(jax.random.key(seed)))
        return partial(final_return, *map(np.asarray, finished))

    versions = {name: version(name) for name in ("jax", "numpy", "optax")}
    return partial(partial, run), n_iterations * s.num_envs, versions


def final_return(episodes, returns):
    means = returns / np.maximum(episodes, 1)
    return mean_of_last_tenth(range(len(episodes)), episodes, means)


if __name__ == "__main__":
    serve(prepare)
