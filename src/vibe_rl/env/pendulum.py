"""A pendulum to swing up and hold upright with a torque too weak to lift it at once.

The dynamics and constants of Gymnasium's `Pendulum-v1` (2022); the time limit is part of the env,
and the state is float32. Nothing terminates: every episode is cut by the clock.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from vibe_rl.env.base import Step
from vibe_rl.env.params.bounds import ABOVE_0
from vibe_rl.env.pictures.canvas import GRAY, INK, ORANGE, Canvas
from vibe_rl.spaces import Box, static_bound
from vibe_rl.types import Key, f32, i32


class PendulumParams(NamedTuple):
    """The constants of the environment, under Gymnasium's names; each can be vmapped."""

    max_speed: Array = f32(8.0)  # rad/s
    max_torque: Array = f32(2.0)  # N m
    dt: Array = f32(0.05)  # s
    g: Array = f32(10.0)  # m/s^2
    m: Array = f32(1.0)  # kg
    l: Array = f32(1.0)  # noqa: E741  # m
    max_steps: Array = i32(200)  # env steps

    BOUNDS = dict.fromkeys(("max_speed", "max_torque", "dt", "m", "l"), ABOVE_0)


class PendulumState(NamedTuple):
    """Where the pendulum is."""

    theta: Array  # float32, rad, 0 upright, not wrapped
    theta_dot: Array  # float32, rad/s
    time: Array  # int32, env steps


def wrap_angle(theta: Float[Array, ""]) -> Float[Array, ""]:
    """The same angle in [-pi, pi)."""
    return (theta + jnp.pi) % (2 * jnp.pi) - jnp.pi


def cost(state: PendulumState, torque: Float[Array, ""]) -> Float[Array, ""]:
    """What a step costs: the angle counts most, then the speed, then the effort."""
    return wrap_angle(state.theta) ** 2 + 0.1 * state.theta_dot**2 + 0.001 * torque**2


def swing(
    state: PendulumState, torque: Float[Array, ""], params: PendulumParams
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Angle and speed after `dt`: semi-implicit Euler for a rod hinged at one end."""
    gravity = 3 * params.g / (2 * params.l) * jnp.sin(state.theta)
    theta_acc = gravity + 3 / (params.m * params.l**2) * torque
    theta_dot = state.theta_dot + theta_acc * params.dt
    theta_dot = jnp.clip(theta_dot, -params.max_speed, params.max_speed)
    return state.theta + theta_dot * params.dt, theta_dot


def observe(state: PendulumState) -> Float[Array, "3"]:
    """The angle as a point of the circle, and the speed."""
    return jnp.stack([jnp.cos(state.theta), jnp.sin(state.theta), state.theta_dot])


@dataclass(frozen=True)
class Pendulum:
    """`Pendulum-v1`: reward -(theta^2 + 0.1 theta_dot^2 + 0.001 torque^2), angle in [-pi, pi).

    Observation: float32[3] `cos theta, sin theta, theta_dot`. Action: float32[1], the torque in
    N m, clipped to +-`max_torque`. The clock truncates after `max_steps` (200).
    """

    def default_params(self) -> PendulumParams:
        """Gymnasium's constants."""
        return PendulumParams()

    def observation_space(self, params: PendulumParams) -> Box:
        """The unit circle's box and the speed limit (static: see `static_bound`)."""
        speed = static_bound(params.max_speed, PendulumParams().max_speed)
        high = np.array([1.0, 1.0, speed], np.float32)
        return Box(-high, high)

    def action_space(self, params: PendulumParams) -> Box:
        """The torques within the limit (static: see `static_bound`)."""
        torque = static_bound(params.max_torque, PendulumParams().max_torque)
        return Box(-torque, torque, (1,))

    def reset(self, key: Key, params: PendulumParams) -> tuple[Float[Array, "3"], PendulumState]:
        """Any angle, and a speed of at most 1 rad/s, both uniform."""
        high = np.array([np.pi, 1.0], np.float32)
        theta, theta_dot = jax.random.uniform(key, (2,), jnp.float32, -high, high)
        state = PendulumState(theta, theta_dot, jnp.zeros((), jnp.int32))
        return observe(state), state

    def step(
        self, key: Key, state: PendulumState, action: Float[Array, "1"], params: PendulumParams
    ) -> Step:
        """Turns for `dt` seconds; the reward is that of the state before the step."""
        torque = jnp.clip(action.reshape(()), -params.max_torque, params.max_torque)
        theta, theta_dot = swing(state, torque, params)
        after = PendulumState(theta, theta_dot, state.time + 1)
        truncated = after.time >= params.max_steps
        return Step(observe(after), after, -cost(state, torque), jnp.array(False), truncated, {})

    def draw(self, state: PendulumState, params: PendulumParams) -> UInt8[np.ndarray, "h w 3"]:
        """The rod, to scale, within the circle of its end."""
        theta, length = float(state.theta), float(params.l)
        canvas = Canvas(-1.2 * length, 1.2 * length, -1.2 * length, 1.2 * length)
        circle = np.linspace(0.0, 2 * np.pi, 49)
        canvas.line(length * np.stack([np.sin(circle), np.cos(circle)], 1), 0.01 * length, GRAY)
        end = length * np.array([-np.sin(theta), np.cos(theta)])  # angles turn to the left
        canvas.line([(0.0, 0.0), end], 0.16 * length, ORANGE)
        canvas.circle((0.0, 0.0), 0.05 * length, INK)
        return canvas.image()
