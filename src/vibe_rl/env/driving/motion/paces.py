"""How fast one would drive along a route."""

import numpy as np

from vibe_rl.types import AnyArray

SMOOTHED = 5
"""Points over which curvature is averaged."""
LATERAL, EASY = 2.0, 1.5
"""m/s2: in bends, and braking before them."""


def paces(yaw: AnyArray, limit: AnyArray) -> AnyArray:
    """How fast one would drive at points a metre apart, m/s: slow enough for the bends to come."""
    bend = np.abs(np.convolve(np.pad(np.gradient(yaw), 2, "edge"), np.ones(5) / SMOOTHED, "valid"))
    squared = np.minimum(np.square(limit), LATERAL / np.maximum(bend, 1e-6))
    braked = squared + 2 * EASY * np.arange(len(yaw))
    return np.sqrt(np.minimum.accumulate(braked[::-1])[::-1] - 2 * EASY * np.arange(len(yaw)))
