"""Two links hanging from a bar, to swing up by a torque at the joint between them.

Sutton (1996), "Generalization in reinforcement learning: successful examples using sparse coarse
coding", with the equations as Sutton and Barto's "Reinforcement Learning" (2018) corrects them,
and the constants of Gymnasium's `Acrobot-v1` (2022). Unlike there, the time limit is part of the
env, the state is float32, and the height to be reached is measured with the links' own lengths.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, UInt8

from vibe_rl.env.base import Step
from vibe_rl.env.params.bounds import ABOVE_0
from vibe_rl.env.pendulum import wrap_angle
from vibe_rl.env.pictures.canvas import BLUE, GRAY, INK, ORANGE, Canvas
from vibe_rl.spaces import Box, Discrete, static_bound
from vibe_rl.types import Key, f32, i32

POSITIVE = (
    *("link_length_1", "link_length_2", "link_mass_1", "link_mass_2", "link_moi"),
    *("max_vel_1", "max_vel_2", "dt"),
)


class AcrobotParams(NamedTuple):
    """The constants of the environment, most under Gymnasium's names; each can be vmapped.

    Link 1 hangs from the bar, link 2 from link 1.
    """

    gravity: Array = f32(9.8)  # m/s^2
    link_length_1: Array = f32(1.0)  # m
    link_length_2: Array = f32(1.0)  # m
    link_mass_1: Array = f32(1.0)  # kg
    link_mass_2: Array = f32(1.0)  # kg
    link_com_pos_1: Array = f32(0.5)  # m, from the upper joint to the centre of mass
    link_com_pos_2: Array = f32(0.5)  # m
    link_moi: Array = f32(1.0)  # kg m^2, of each link about its centre of mass
    torque: Array = f32(1.0)  # N m
    max_vel_1: Array = f32(4 * np.pi)  # rad/s
    max_vel_2: Array = f32(9 * np.pi)  # rad/s
    target_height: Array = f32(1.0)  # m above the bar
    dt: Array = f32(0.2)  # s
    max_steps: Array = i32(500)  # env steps

    BOUNDS = dict.fromkeys(POSITIVE, ABOVE_0)


class AcrobotState(NamedTuple):
    """Where the links are."""

    physics: Array  # float32[4]: theta1 (rad, 0 down), theta2 (rad, from link 1), their speeds
    time: Array  # int32, env steps


def accelerations(
    physics: Float[Array, "4"], torque: Float[Array, ""], params: AcrobotParams
) -> Float[Array, "2"]:
    """Of both angles (rad/s^2): the book's equations, solved as a linear system of two.

    With its names, `d1 a1 + d2 a2 = -phi1` and `d2 a1 + i2 a2 = push2`, where `push2` is the torque
    less what gravity and the turning of link 1 oppose to it. One division by the determinant is as
    exact as the book's nested ones, and cheaper.
    """
    theta1, theta2, speed1, speed2 = physics
    coupling = params.link_mass_2 * params.link_length_1 * params.link_com_pos_2
    cos, sin = coupling * jnp.cos(theta2), coupling * jnp.sin(theta2)
    i2 = params.link_mass_2 * params.link_com_pos_2**2 + params.link_moi
    d2 = i2 + cos
    d1 = params.link_mass_1 * params.link_com_pos_1**2 + params.link_moi
    d1 = d1 + params.link_mass_2 * params.link_length_1**2 + cos + d2
    pull1 = params.link_mass_1 * params.link_com_pos_1 + params.link_mass_2 * params.link_length_1
    pull2 = params.link_mass_2 * params.link_com_pos_2
    phi2 = params.gravity * pull2 * jnp.sin(theta1 + theta2)
    phi1 = params.gravity * pull1 * jnp.sin(theta1) + phi2 - sin * speed2 * (speed2 + 2 * speed1)
    push2 = torque - sin * speed1**2 - phi2
    numerators = jnp.stack([-i2 * phi1 - d2 * push2, d2 * phi1 + d1 * push2])
    return numerators / (d1 * i2 - d2**2)


def runge_kutta(
    slope: Callable[[Array], Array], y: Float[Array, " n"], dt: ArrayLike
) -> Float[Array, " n"]:
    """`y` after `dt`, where `slope(y)` is its derivative: the classical method of fourth order."""
    k1 = slope(y)
    k2 = slope(y + dt / 2 * k1)
    k3 = slope(y + dt / 2 * k2)
    k4 = slope(y + dt * k3)
    return y + dt / 6 * (k1 + 2 * (k2 + k3) + k4)


def swing(
    physics: Float[Array, "4"], torque: Float[Array, ""], params: AcrobotParams
) -> Float[Array, "4"]:
    """Angles, wrapped, and speeds, clipped, after `dt`."""

    def slope(physics: Array) -> Array:
        return jnp.concatenate([physics[2:], accelerations(physics, torque, params)])

    theta1, theta2, speed1, speed2 = runge_kutta(slope, physics, params.dt)
    speed1 = jnp.clip(speed1, -params.max_vel_1, params.max_vel_1)
    speed2 = jnp.clip(speed2, -params.max_vel_2, params.max_vel_2)
    return jnp.stack([wrap_angle(theta1), wrap_angle(theta2), speed1, speed2])


def observe(physics: Float[Array, "4"]) -> Float[Array, "6"]:
    """Each angle as a point of the circle, and the speeds."""
    theta1, theta2, speed1, speed2 = physics
    points = jnp.cos(theta1), jnp.sin(theta1), jnp.cos(theta2), jnp.sin(theta2)
    return jnp.stack([*points, speed1, speed2])


def tip_height(obs: Float[Array, "6"], params: AcrobotParams) -> Float[Array, ""]:
    """Of the free end above the bar (m); `cos(theta1 + theta2)` from what was computed already."""
    cos1, sin1, cos2, sin2 = obs[:4]
    return -params.link_length_1 * cos1 - params.link_length_2 * (cos1 * cos2 - sin1 * sin2)


@dataclass(frozen=True)
class Acrobot:
    """`Acrobot-v1`: reward -1 per step, and 0 for the one that lifts the free end above 1 m.

    Observation: float32[6] `cos theta1, sin theta1, cos theta2, sin theta2`, and the two speeds in
    rad/s. Action: 0 turns the joint by -1 N m, 1 by nothing, 2 by 1 N m. Reaching the height
    terminates; the clock truncates after `max_steps` (500).
    """

    def default_params(self) -> AcrobotParams:
        """Gymnasium's constants."""
        return AcrobotParams()

    def observation_space(self, params: AcrobotParams) -> Box:
        """The circles' boxes and the speed limits (static: see `static_bound`)."""
        speed1 = static_bound(params.max_vel_1, AcrobotParams().max_vel_1)
        speed2 = static_bound(params.max_vel_2, AcrobotParams().max_vel_2)
        high = np.array([1.0, 1.0, 1.0, 1.0, speed1, speed2], np.float32)
        return Box(-high, high)

    def action_space(self, params: AcrobotParams) -> Discrete:
        """Back, nothing, forth."""
        return Discrete(3)

    def action_names(self) -> tuple[str, ...]:
        """What people call the actions."""
        return "back", "nothing", "forth"

    def keys(self) -> dict[str, int]:
        """The arrows."""
        return {"LEFT": 0, "DOWN": 1, "RIGHT": 2}

    def reset(self, key: Key, params: AcrobotParams) -> tuple[Float[Array, "6"], AcrobotState]:
        """Hanging down, but for angles and speeds uniform in +-0.1."""
        physics = jax.random.uniform(key, (4,), jnp.float32, -0.1, 0.1)
        return observe(physics), AcrobotState(physics, jnp.zeros((), jnp.int32))

    def step(
        self, key: Key, state: AcrobotState, action: Int[Array, ""], params: AcrobotParams
    ) -> Step:
        """Swings for `dt` seconds under a constant torque."""
        physics = swing(state.physics, (action - 1) * params.torque, params)
        obs, state = observe(physics), AcrobotState(physics, state.time + 1)
        terminated = tip_height(obs, params) > params.target_height
        reward = jnp.where(terminated, jnp.float32(0.0), jnp.float32(-1.0))
        return Step(obs, state, reward, terminated, state.time >= params.max_steps, {})

    def draw(self, state: AcrobotState, params: AcrobotParams) -> UInt8[np.ndarray, "h w 3"]:
        """The bar, both links to scale, and the height to be reached."""
        theta1, theta2 = np.asarray(state.physics)[:2].tolist()
        length1, length2 = float(params.link_length_1), float(params.link_length_2)
        reach, target = length1 + length2, float(params.target_height)
        canvas = Canvas(-1.15 * reach, 1.15 * reach, -1.15 * reach, 1.15 * reach)
        canvas.line([(-1.15 * reach, target), (1.15 * reach, target)], 0.01 * reach, GRAY)
        elbow = length1 * np.array([np.sin(theta1), -np.cos(theta1)])
        both = theta1 + theta2
        tip = elbow + length2 * np.array([np.sin(both), -np.cos(both)])
        canvas.line([(0.0, 0.0), elbow], 0.06 * reach, BLUE)
        canvas.line([elbow, tip], 0.06 * reach, ORANGE)
        for joint in ((0.0, 0.0), elbow):
            canvas.circle(joint, 0.04 * reach, INK)
        return canvas.image()
