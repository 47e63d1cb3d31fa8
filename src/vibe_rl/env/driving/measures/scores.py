"""The scores of a whole episode: nuPlan's (2023) and V-Max's (2025), each from 0 to 1.

Both multiply what must not happen with a weighted mean of how well the rest went. They are computed
with our metrics, and are not the official ones.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.types import AnyArray

SPEEDING = np.float32(2.23)
"""m/s above the limit, on the whole way, that leave nothing of the compliance."""


class Drive(NamedTuple):
    """What the scores are made of, numbers from 0 to 1."""

    at_fault: AnyArray
    offroad: AnyArray
    red_light: AnyArray
    making_progress: AnyArray
    direction: AnyArray
    ttc: AnyArray
    progress: AnyArray  # more than 1 counts as 1
    speed: AnyArray
    lanes: AnyArray
    comfort: AnyArray


def nuplan_score(drive: Drive) -> Array:
    """nuPlan's: red lights and lanes do not count."""
    weighted = 5 * drive.ttc + 5 * jnp.clip(drive.progress, 0, 1)
    return _held(drive) * (weighted + 4 * drive.speed + 2 * drive.comfort) / 16


def vmax_score(drive: Drive) -> Array:
    """V-Max's."""
    weighted = 5 * drive.ttc + 5 * jnp.clip(drive.progress, 0, 1) + 4 * drive.speed
    weighted = weighted + 3 * drive.lanes + 2 * drive.comfort
    return _held(drive) * (1 - drive.red_light) * weighted / 19


def _held(drive: Drive) -> Array:
    safe = (1 - drive.at_fault) * (1 - drive.offroad)
    return safe * drive.making_progress * drive.direction


def speed_compliance(overspeed: Array, duration: Array) -> Array:
    """How well the limit was kept.

    Args:
        overspeed: the sum over steps of 0.1 s of the m/s above the limit.
        duration: s.
    """
    return jnp.maximum(0, 1 - np.float32(0.1) * overspeed / (SPEEDING * duration))


def direction_score(distance: Array) -> Array:
    """From the metres driven in the wrong direction: 1 up to 2, a half up to 6, then 0."""
    return _graded(distance, 2.0, 6.0)


def lanes_score(seconds: Array) -> Array:
    """From the time astride lanes: 1 up to 3 s, a half up to 5.7 s, then 0."""
    return _graded(seconds, 3.0, 5.7)


def _graded(x: Array, good: float, fair: float) -> Array:
    worse = jnp.where(x <= fair, np.float32(0.5), np.float32(0))
    return jnp.where(x <= good, np.float32(1), worse)
