"""A car in a valley, too weak to climb out at once: it must first go backwards to gain speed.

Moore (1990), "Efficient memory-based learning for robot control", with the constants of
Gymnasium's `MountainCar-v0` and `MountainCarContinuous-v0` (2022). Unlike there, the time limit is
part of the env, and the state is float32. The valley has the shape `sin(3 position)`; the unit of
time is a step.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from vibe_rl.env.base import Step
from vibe_rl.env.params.bounds import ABOVE_0
from vibe_rl.env.pictures.canvas import GRAY, GREEN, INK, ORANGE, Canvas
from vibe_rl.spaces import Box, Discrete, static_bound
from vibe_rl.types import Key, f32, i32


class MountainCarParams(NamedTuple):
    """The constants of the environment, under Gymnasium's names; each can be vmapped.

    The defaults are those of `MountainCar-v0`.
    """

    force: Array = f32(0.001)  # m/step^2 at full throttle; `power` in Gymnasium's continuous env
    gravity: Array = f32(0.0025)  # m/step^2 where the slope is steepest
    min_position: Array = f32(-1.2)  # m
    max_position: Array = f32(0.6)  # m
    max_speed: Array = f32(0.07)  # m/step
    goal_position: Array = f32(0.5)  # m
    goal_velocity: Array = f32(0.0)  # m/step, the least to arrive with
    max_steps: Array = i32(200)  # env steps

    BOUNDS = dict.fromkeys(("max_speed",), ABOVE_0)


class MountainCarState(NamedTuple):
    """Where the car is."""

    position: Array  # float32, m, about -0.52 at the bottom of the valley
    velocity: Array  # float32, m/step
    time: Array  # int32, env steps


def roll(state: MountainCarState, throttle: Array, params: MountainCarParams) -> MountainCarState:
    """The car a step later; `throttle` is the share of `force`, from -1 (left) to 1 (right).

    The wall at `min_position` stops the car; at `max_position` it keeps its speed.
    """
    slope = params.gravity * jnp.cos(3 * state.position)
    velocity = state.velocity + throttle * params.force - slope
    velocity = jnp.clip(velocity, -params.max_speed, params.max_speed)
    position = jnp.clip(state.position + velocity, params.min_position, params.max_position)
    stopped = (position <= params.min_position) & (velocity < 0)
    return MountainCarState(position, jnp.where(stopped, 0.0, velocity), state.time + 1)


def at_goal(state: MountainCarState, params: MountainCarParams) -> Bool[Array, ""]:
    """Whether the car has reached the flag, and fast enough."""
    return (state.position >= params.goal_position) & (state.velocity >= params.goal_velocity)


def observe(state: MountainCarState) -> Float[Array, "2"]:
    """Position and velocity."""
    return jnp.stack([state.position, state.velocity])


def height(position: Any) -> Any:
    """Of the valley in a picture, as Gymnasium draws it; its slope is `1.35 cos(3 position)`."""
    return 0.45 * np.sin(3 * position) + 0.55


@dataclass(frozen=True)
class MountainCar:
    """`MountainCar-v0`: reward -1 per step, the last one included, until the car is at 0.5 m.

    Observation: float32[2] `position, velocity` in m and m/step. Action: 0 drives left, 1 rolls, 2
    drives right. Reaching the goal terminates; the clock truncates after `max_steps` (200).
    """

    def default_params(self) -> MountainCarParams:
        """Gymnasium's constants."""
        return MountainCarParams()

    def observation_space(self, params: MountainCarParams) -> Box:
        """The valley and the speed limit (static: see `static_bound`)."""
        default = MountainCarParams()
        left = -static_bound(-params.min_position, -default.min_position)  # the least of several
        right = static_bound(params.max_position, default.max_position)
        speed = static_bound(params.max_speed, default.max_speed)
        return Box(np.array([left, -speed], np.float32), np.array([right, speed], np.float32))

    def action_space(self, params: MountainCarParams) -> Discrete | Box:
        """Left, nothing, right."""
        return Discrete(3)

    def action_names(self) -> tuple[str, ...]:
        """What people call the actions."""
        return "left", "nothing", "right"

    def keys(self) -> dict[str, int]:
        """The arrows."""
        return {"LEFT": 0, "DOWN": 1, "RIGHT": 2}

    def throttle(self, action: Array) -> Float[Array, ""]:
        """What an action does, as a share of the force."""
        return (action - 1).astype(jnp.float32)

    def reward(self, action: Array, terminated: Bool[Array, ""]) -> Float[Array, ""]:
        """A step costs 1, whatever happens."""
        return jnp.float32(-1.0)

    def reset(
        self, key: Key, params: MountainCarParams
    ) -> tuple[Float[Array, "2"], MountainCarState]:
        """At rest, uniformly between -0.6 m and -0.4 m."""
        position = jax.random.uniform(key, (), jnp.float32, -0.6, -0.4)
        state = MountainCarState(position, jnp.float32(0.0), jnp.zeros((), jnp.int32))
        return observe(state), state

    def step(
        self,
        key: Key,
        state: MountainCarState,
        action: Int[Array, ""] | Float[Array, "1"],
        params: MountainCarParams,
    ) -> Step:
        """One semi-implicit Euler step: the position moves with the new velocity."""
        state = roll(state, self.throttle(action), params)
        terminated = at_goal(state, params)
        reward, truncated = self.reward(action, terminated), state.time >= params.max_steps
        return Step(observe(state), state, reward, terminated, truncated, {})

    def draw(
        self, state: MountainCarState, params: MountainCarParams
    ) -> UInt8[np.ndarray, "h w 3"]:
        """The valley, the car on its slope and the flag at the goal."""
        left, right = float(params.min_position), float(params.max_position)
        canvas = Canvas(left - 0.05, right + 0.05, 0.0, 1.25)
        goal, x = float(params.goal_position), float(state.position)
        foot = height(goal)
        canvas.line([(goal, foot), (goal, foot + 0.2)], 0.012, INK)
        canvas.polygon([(goal, foot + 0.2), (goal + 0.1, foot + 0.165), (goal, foot + 0.13)], GREEN)
        canvas.ground(height, GRAY)
        along = np.array([1.0, 1.35 * np.cos(3 * x)]) / np.hypot(1.0, 1.35 * np.cos(3 * x))
        up = np.array([-along[1], along[0]])
        base = np.array([x, height(x)]) + 0.035 * up
        body = [
            (-0.07, 0.0),
            (0.07, 0.0),
            (0.06, 0.04),
            (0.03, 0.07),
            (-0.04, 0.07),
            (-0.065, 0.04),
        ]
        canvas.polygon([base + a * along + b * up for a, b in body], ORANGE)
        for wheel in (-0.04, 0.04):
            canvas.circle(base + wheel * along - 0.01 * up, 0.025, INK)
        return canvas.image()


@dataclass(frozen=True)
class MountainCarContinuous(MountainCar):
    """`MountainCarContinuous-v0`: reward 100 at 0.45 m, and -0.1 throttle^2 on every step.

    Observation as in `MountainCar`. Action: float32[1], the throttle from -1 (left) to 1 (right);
    what exceeds it moves the car no faster but is paid for. Reaching the goal terminates; the clock
    truncates after `max_steps` (999).
    """

    def default_params(self) -> MountainCarParams:
        """Gymnasium's constants: a stronger engine, a nearer goal, more time."""
        return MountainCarParams(force=f32(0.0015), goal_position=f32(0.45), max_steps=i32(999))

    def action_space(self, params: MountainCarParams) -> Box:
        """Throttles within the limit."""
        return Box(-1.0, 1.0, (1,))

    def throttle(self, action: Array) -> Float[Array, ""]:
        """The action itself, clipped."""
        return jnp.clip(action.reshape(()), -1.0, 1.0)

    def reward(self, action: Array, terminated: Bool[Array, ""]) -> Float[Array, ""]:
        """The prize at the goal, less the cost of the action as it was given, not clipped."""
        prize = jnp.where(terminated, np.float32(100.0), np.float32(0.0))
        return prize - 0.1 * action.reshape(()) ** 2
