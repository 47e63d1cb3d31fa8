"""Cart and pole: keep a hinged pole upright by pushing its cart left or right.

Barto, Sutton and Anderson (1983), "Neuronlike adaptive elements that can solve difficult learning
control problems", with the constants and the explicit Euler step of Gymnasium's `CartPole-v1`
(2022). Unlike there, the time limit is part of the env, and the state is float32.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from vibe_rl.env.base import Step
from vibe_rl.env.params.bounds import ABOVE_0
from vibe_rl.env.pictures.canvas import BLUE, GRAY, INK, ORANGE, Canvas
from vibe_rl.spaces import Box, Discrete, static_bound
from vibe_rl.types import Key, f32, i32


class CartPoleParams(NamedTuple):
    """The constants of the environment, under Gymnasium's names; each can be vmapped."""

    gravity: Array = f32(9.8)  # m/s^2
    masscart: Array = f32(1.0)  # kg
    masspole: Array = f32(0.1)  # kg
    length: Array = f32(0.5)  # m, half the pole
    force_mag: Array = f32(10.0)  # N
    tau: Array = f32(0.02)  # s
    theta_threshold_radians: Array = f32(12 * 2 * np.pi / 360)  # rad, 12 degrees
    x_threshold: Array = f32(2.4)  # m
    max_steps: Array = i32(500)  # env steps

    BOUNDS = dict.fromkeys(("masscart", "masspole", "length", "tau"), ABOVE_0)


class CartPoleState(NamedTuple):
    """Where cart and pole are."""

    physics: Array  # float32[4]: x (m), x_dot (m/s), theta (rad, 0 upright), theta_dot (rad/s)
    time: Array  # int32, env steps


def accelerations(
    physics: Float[Array, "4"], force: Float[Array, ""], params: CartPoleParams
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Of the cart (m/s^2) and of the pole (rad/s^2): the paper's appendix, without friction."""
    theta, theta_dot = physics[2], physics[3]
    sin, cos = jnp.sin(theta), jnp.cos(theta)
    total_mass = params.masscart + params.masspole
    pole_moment = params.masspole * params.length
    push = (force + pole_moment * theta_dot**2 * sin) / total_mass
    inertia = params.length * (4.0 / 3.0 - params.masspole * cos**2 / total_mass)
    theta_acc = (params.gravity * sin - cos * push) / inertia
    return push - pole_moment * theta_acc * cos / total_mass, theta_acc


@dataclass(frozen=True)
class CartPole:
    """`CartPole-v1`: reward 1 per step while |x| <= 2.4 m and |theta| <= 12 degrees.

    Observation: float32[4] `x, x_dot, theta, theta_dot`. Action: 0 pushes left, 1 right.
    The reward of the last step is 1 too; the clock truncates after `max_steps` (500).
    """

    def default_params(self) -> CartPoleParams:
        """Gymnasium's constants."""
        return CartPoleParams()

    def observation_space(self, params: CartPoleParams) -> Box:
        """Twice the thresholds, so that the last observation lies inside; speeds are unbounded.

        Bounds are static: the widest where `params` has one entry per env, the defaults' where
        `params` is being traced.
        """
        x = static_bound(params.x_threshold, CartPoleParams().x_threshold)
        theta = static_bound(
            params.theta_threshold_radians, CartPoleParams().theta_threshold_radians
        )
        high = np.array([2 * x, np.inf, 2 * theta, np.inf], np.float32)
        return Box(-high, high)

    def action_space(self, params: CartPoleParams) -> Discrete:
        """Left or right."""
        return Discrete(2)

    def action_names(self) -> tuple[str, ...]:
        """What people call the actions."""
        return "left", "right"

    def keys(self) -> dict[str, int]:
        """The arrows."""
        return {"LEFT": 0, "RIGHT": 1}

    def reset(self, key: Key, params: CartPoleParams) -> tuple[Float[Array, "4"], CartPoleState]:
        """Every entry uniform in +-0.05."""
        physics = jax.random.uniform(key, (4,), jnp.float32, -0.05, 0.05)
        return physics, CartPoleState(physics, jnp.zeros((), jnp.int32))

    def step(
        self, key: Key, state: CartPoleState, action: Int[Array, ""], params: CartPoleParams
    ) -> Step:
        """One explicit Euler step of `tau` seconds: positions move with the old speeds."""
        _, x_dot, _, theta_dot = state.physics
        force = jnp.where(action == 1, params.force_mag, -params.force_mag)
        x_acc, theta_acc = accelerations(state.physics, force, params)
        change = jnp.stack([x_dot, x_acc, theta_dot, theta_acc])
        state = CartPoleState(state.physics + params.tau * change, state.time + 1)
        terminated = fallen(state.physics, params)
        truncated = state.time >= params.max_steps
        return Step(state.physics, state, jnp.ones((), jnp.float32), terminated, truncated, {})

    def actors(self) -> dict[str, Callable[..., Array]]:
        """Scripted players; see `vibe_rl.runner.actors`."""
        return {"lean": lean}

    def draw(self, state: CartPoleState, params: CartPoleParams) -> UInt8[np.ndarray, "h w 3"]:
        """The track with its ends, the cart and the pole, to scale."""
        x, _, theta, _ = np.asarray(state.physics).tolist()
        end, length = float(params.x_threshold), 2 * float(params.length)
        cart = end / 9  # m, half its width
        canvas = Canvas(-1.15 * end, 1.15 * end, -0.25 * end, 1.28 * end)
        canvas.line([(-1.15 * end, -cart), (1.15 * end, -cart)], 0.01 * end, GRAY)
        for limit in (-end, end):
            canvas.line([(limit, -1.7 * cart), (limit, -0.3 * cart)], 0.02 * end, GRAY)
        canvas.box((x - cart, -cart / 2), (x + cart, cart / 2), INK)
        for wheel in (x - cart / 2, x + cart / 2):
            canvas.circle((wheel, -0.7 * cart), 0.3 * cart, INK)
        tip = x + length * np.sin(theta), length * np.cos(theta)
        canvas.line([(x, 0.0), tip], 0.35 * cart, ORANGE)
        canvas.circle((x, 0.0), 0.2 * cart, BLUE)
        return canvas.image()


def lean(
    obs: Float[Array, "4"], state: CartPoleState, params: CartPoleParams, key: Key
) -> Int[Array, ""]:
    """Pushes the cart to the side to which the pole leans."""
    return (state.physics[2] > 0.0).astype(jnp.int32)


def fallen(physics: Float[Array, "4"], params: CartPoleParams) -> Bool[Array, ""]:
    """Whether the cart or the pole is out of bounds."""
    outside_track = jnp.abs(physics[0]) > params.x_threshold
    return outside_track | (jnp.abs(physics[2]) > params.theta_threshold_radians)
