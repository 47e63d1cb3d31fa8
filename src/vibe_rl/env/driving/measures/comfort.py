"""How comfortable the last second was: accelerations, jerk and turning, after Savitzky and Golay.

Derivatives are those of polynomials that are fitted to five frames in a row.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vibe_rl.env.driving.geometry import wrap
from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.scenarios.scenario import DT

FRAMES = 10
"""How many are looked at."""
FIRST = np.array([-2, -1, 0, 1, 2], np.float32) / np.float32(10 * DT)
SECOND = np.array([2, -1, -2, -1, 2], np.float32) / np.float32(7 * DT**2)
"""Weights of the first and of the second derivative in the middle of five frames."""


class Limits(NamedTuple):
    """What is comfortable; m/s2, m/s3, rad/s and rad/s2."""

    lateral: float
    braking: float
    accelerating: float
    jerk: float  # along the heading
    yaw_rate: float
    yaw_acceleration: float
    whole_jerk: float | None  # in any direction


LIMITS = {
    "vmax": Limits(2.0, 4.05, 2.40, 8.3, 0.95, 2.2, None),
    "nuplan": Limits(4.89, 4.05, 2.40, 4.13, 0.95, 1.93, 8.37),
}
"""V-Max's and nuPlan's."""


def derivative(weights: np.ndarray, x: Float[Array, " frames"]) -> Float[Array, " middles"]:
    """Of frames, the oldest first; in the middle of all five in a row."""
    count = x.shape[0] - len(weights) + 1
    pieces = (weight * x[i : i + count] for i, weight in enumerate(weights))
    return sum(pieces, jnp.zeros(count, jnp.float32))


def excesses(history: Motion, limits: Limits) -> Float[Array, " terms"]:
    """How far each term that has a limit was beyond it at worst; negative within all limits.

    Args:
        history: the last frames, the newest first.
        limits: see `LIMITS`.
    """
    x = Motion(*(row[::-1] for row in history))
    turns = jnp.cumsum(wrap(jnp.diff(x.yaw)))
    yaw = jnp.concatenate([jnp.zeros(1, jnp.float32), turns])
    ax, ay = derivative(FIRST, x.vx), derivative(FIRST, x.vy)
    jx, jy = derivative(SECOND, x.vx), derivative(SECOND, x.vy)
    c, s = jnp.cos(x.yaw[2:-2]), jnp.sin(x.yaw[2:-2])
    along, across = ax * c + ay * s, ay * c - ax * s
    terms = [
        jnp.abs(across) - limits.lateral,
        jnp.maximum(along - limits.accelerating, -along - limits.braking),
        jnp.abs(jx * c + jy * s) - limits.jerk,
        jnp.abs(derivative(FIRST, yaw)) - limits.yaw_rate,
        jnp.abs(derivative(SECOND, yaw)) - limits.yaw_acceleration,
    ]
    if limits.whole_jerk is not None:
        terms.append(jnp.sqrt(jx * jx + jy * jy) - limits.whole_jerk)
    return jnp.stack([term.max() for term in terms])


def soft(excess: Float[Array, " terms"]) -> Float[Array, ""]:
    """One number from 0 to 1: how near to all limits it was; the worst terms count most."""
    value = jnp.exp(-jnp.maximum(excess, 0))
    weight = jnp.exp(-value)
    return (value * weight).sum() / weight.sum()
