"""How a vehicle moves: a bicycle that is steered and accelerated, or displacements as they come.

The bicycle is Waymax's invertible one (2023), with a signed speed that stays between 0 and 45 m/s,
so that braking ends in standing still.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vibe_rl.env.driving.geometry import wrap
from vibe_rl.env.driving.scenarios.scenario import DT
from vibe_rl.types import AnyArray

STEP = np.float32(DT)
MAX_ACCELERATION = np.float32(6.0)
"""m/s2."""
MAX_CURVATURE = np.float32(0.3)
"""1/m."""
MAX_LATERAL = np.float32(5.0)
"""m/s2, what full steering asks for with `steering="lateral"`."""
MAX_SPEED = np.float32(45.0)
"""m/s."""
SLOW = np.float32(0.6)
"""m/s, below which a pose says nothing of steering."""
DELTAS = (4.5, 1.0, 0.5)
"""Metres ahead, metres to the left and radians that one step of displacements covers at most."""
WIDE_DELTAS = (6.0, 6.0, np.pi)
"""The same as Waymax has it."""


class Motion(NamedTuple):
    """Where a vehicle is and how it moves; float32 scalars."""

    x: AnyArray  # m
    y: AnyArray
    yaw: AnyArray  # rad
    speed: AnyArray  # m/s, along the heading
    vx: AnyArray  # m/s
    vy: AnyArray


def moving(x: Array, y: Array, yaw: Array, speed: Array) -> Motion:
    """A motion along its heading."""
    return Motion(x, y, yaw, speed, speed * jnp.cos(yaw), speed * jnp.sin(yaw))


def curvature_limit(speed: Array, steering: str) -> Array:
    """The curvature of full steering, in 1/m.

    Args:
        speed: m/s.
        steering: "curvature": the same at every speed; "lateral": no more than 5 m/s2 to the side.
    """
    if steering == "curvature":
        return jnp.full_like(speed, MAX_CURVATURE)
    return jnp.minimum(MAX_CURVATURE, MAX_LATERAL / jnp.square(jnp.maximum(speed, np.float32(0.1))))


def bicycle(motion: Motion, action: Float[Array, "2"], steering: str = "curvature") -> Motion:
    """The motion after 0.1 s of an acceleration and a steering, both from -1 to 1."""
    action = jnp.clip(action, -1, 1)
    speed = jnp.clip(motion.speed + action[0] * MAX_ACCELERATION * STEP, 0, MAX_SPEED)
    way = (motion.speed + speed) * (STEP / 2)
    curvature = action[1] * curvature_limit(motion.speed, steering)
    x = motion.x + way * jnp.cos(motion.yaw)
    y = motion.y + way * jnp.sin(motion.yaw)
    return moving(x, y, wrap(motion.yaw + curvature * way), speed)


def bicycle_inverse(
    before: Motion, after: Motion, steering: str = "curvature"
) -> Float[Array, "2"]:
    """The action that leads from one motion to the next, as far as one from -1 to 1 does."""
    acceleration = (after.speed - before.speed) / STEP
    way = (before.speed + after.speed) * (STEP / 2)
    curvature = wrap(after.yaw - before.yaw) / jnp.maximum(way, np.float32(1e-3))
    slow = jnp.minimum(before.speed, after.speed) < SLOW
    steer = jnp.where(slow, 0, curvature / curvature_limit(before.speed, steering))
    return jnp.clip(jnp.stack([acceleration / MAX_ACCELERATION, steer]), -1, 1)


def _shifted(motion: Motion, dx: Array, dy: Array, turn: Array) -> Motion:
    """The motion after 0.1 s in which a vehicle moved by metres along the axes, and turned."""
    vx, vy, yaw = dx / STEP, dy / STEP, wrap(motion.yaw + turn)
    speed = vx * jnp.cos(yaw) + vy * jnp.sin(yaw)
    return Motion(motion.x + dx, motion.y + dy, yaw, speed, vx, vy)


def delta_local(
    motion: Motion, action: Float[Array, "3"], limits: tuple[float, float, float] = DELTAS
) -> Motion:
    """The motion after a displacement ahead, to the left and of the heading, each from -1 to 1."""
    ahead, left, turn = jnp.clip(action, -1, 1) * np.array(limits, np.float32)
    c, s = jnp.cos(motion.yaw), jnp.sin(motion.yaw)
    return _shifted(motion, c * ahead - s * left, s * ahead + c * left, turn)


def delta_global(
    motion: Motion, action: Float[Array, "3"], limits: tuple[float, float, float] = WIDE_DELTAS
) -> Motion:
    """The motion after a displacement along x, along y and of the heading, each from -1 to 1."""
    dx, dy, turn = jnp.clip(action, -1, 1) * np.array(limits, np.float32)
    return _shifted(motion, dx, dy, turn)


def delta_inverse(
    before: Motion,
    after: Motion,
    local: bool = True,
    limits: tuple[float, float, float] = DELTAS,
) -> Float[Array, "3"]:
    """The displacement that leads from one motion to the next, as far as one from -1 to 1 does."""
    dx, dy = after.x - before.x, after.y - before.y
    if local:
        c, s = jnp.cos(before.yaw), jnp.sin(before.yaw)
        dx, dy = c * dx + s * dy, c * dy - s * dx
    moves = jnp.stack([dx, dy, wrap(after.yaw - before.yaw)])
    return jnp.clip(moves / np.array(limits, np.float32), -1, 1)


def bin_values(number: Int[Array, ""], bins: tuple[int, ...]) -> Float[Array, " n"]:
    """The action of a bin: the last entry varies fastest; `k` of `n` bins stands for its middle."""
    entries = []
    for n in reversed(bins):
        entries.append(bin_middle(number % n, n))
        number = number // n
    return jnp.stack(entries[::-1])


def bin_middle(k: Array, n: int) -> Array:
    """Values that lie evenly from -1 to 1, both included; the only one of a single bin is 0."""
    return k.astype(jnp.float32) * np.float32(2 / max(n - 1, 1)) - np.float32(n > 1)


def nearest_bin(action: Float[Array, " n"], bins: tuple[int, ...]) -> Int[Array, ""]:
    """The bin whose values are nearest to an action."""
    number = jnp.int32(0)
    for i, n in enumerate(bins):
        k = jnp.round((jnp.clip(action[i], -1, 1) + 1) * np.float32((n - 1) / 2))
        number = number * n + k.astype(jnp.int32)
    return number
