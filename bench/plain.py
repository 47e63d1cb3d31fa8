"""What the hand-written programs share: Gymnasium's two classic tasks, and a stack of layers.

Nothing of vibe_rl, and neither quicker nor slower than what such programs bring along.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Env(NamedTuple):
    """A task: `reset(key) -> physics`, `move(physics, action) -> (physics, reward, fallen)`."""

    reset: Callable
    move: Callable
    observe: Callable
    time_limit: int  # env steps


class Task(NamedTuple):
    """What PPO learns: an env that begins anew by itself, and the networks."""

    start: Callable  # key -> env_state
    step: Callable  # (key, env_state, action) -> (env_state, Step)
    observe: Callable  # the states of all envs -> obs
    init: Callable  # (s, key) -> params
    network: Callable  # (params, obs) -> log-probabilities [..., A] and values [...]


class EnvState(NamedTuple):
    """Where an episode is."""

    physics: jax.Array
    time: jax.Array
    episode_return: jax.Array


class Step(NamedTuple):
    """What a step shows; `next_obs` is the true successor, also where an episode ends."""

    reward: jax.Array
    terminated: jax.Array
    done: jax.Array
    next_obs: jax.Array
    episode_return: jax.Array  # of the episode so far


def start(env, key):
    return EnvState(env.reset(key), jnp.int32(0), jnp.float32(0))


def step(env, key, state, action):
    """The next state, fresh where an episode ended, and the step."""
    physics, reward, terminated = env.move(state.physics, action)
    after = EnvState(physics, state.time + 1, state.episode_return + reward)
    done = terminated | (after.time >= env.time_limit)
    shown = Step(reward, terminated, done, env.observe(physics), after.episode_return)
    pick = lambda fresh, going: jnp.where(done, fresh, going)  # noqa: E731
    return jax.tree.map(pick, start(env, key), after), shown


def reset_cart_pole(key):
    """The state (x, x_dot, theta, theta_dot) of CartPole-v1."""
    return jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)


def move_cart_pole(physics, action):
    """An Euler step; every step earns 1."""
    _, x_dot, theta, theta_dot = physics
    sin, cos = jnp.sin(theta), jnp.cos(theta)
    push = (jnp.where(action == 1, 10.0, -10.0) + 0.05 * theta_dot**2 * sin) / 1.1
    theta_acc = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    x_acc = push - 0.05 * theta_acc * cos / 1.1
    physics += 0.02 * jnp.stack([x_dot, x_acc, theta_dot, theta_acc])
    fallen = (jnp.abs(physics[0]) > 2.4) | (jnp.abs(physics[2]) > 12 * jnp.pi / 180)
    return physics, 1.0, fallen


def reset_pendulum(key):
    """The state (theta, theta_dot) of Pendulum-v1."""
    high = jnp.array([jnp.pi, 1.0])
    return jax.random.uniform(key, (2,), minval=-high, maxval=high)


def move_pendulum(physics, action):
    """A step of a rod with a torque in [-2, 2]; it never ends but by the clock."""
    theta, theta_dot = physics
    torque = jnp.clip(action[0], -2.0, 2.0)
    angle = (theta + jnp.pi) % (2 * jnp.pi) - jnp.pi
    cost = angle**2 + 0.1 * theta_dot**2 + 0.001 * torque**2
    theta_dot = jnp.clip(theta_dot + 0.05 * (15 * jnp.sin(theta) + 3 * torque), -8.0, 8.0)
    return jnp.stack([theta + 0.05 * theta_dot, theta_dot]), -cost, jnp.array(False)


def observe_pendulum(physics):
    theta, theta_dot = physics
    return jnp.stack([jnp.cos(theta), jnp.sin(theta), theta_dot])


CART_POLE = Env(reset_cart_pole, move_cart_pole, lambda physics: physics, 500)
PENDULUM = Env(reset_pendulum, move_pendulum, observe_pendulum, 200)


def init_mlp(key, sizes, initializers):
    """Weights by an initializer for each layer, and zero biases."""
    keys = jax.random.split(key, len(initializers))
    shapes = itertools.pairwise(sizes)
    return [
        (initialize(k, shape), jnp.zeros(shape[1]))
        for k, initialize, shape in zip(keys, initializers, shapes, strict=True)
    ]


def mlp(layers, x, activation=jax.nn.relu):
    *hidden, (last_weight, last_bias) = layers
    for weight, bias in hidden:
        x = activation(x @ weight + bias)
    return x @ last_weight + last_bias
