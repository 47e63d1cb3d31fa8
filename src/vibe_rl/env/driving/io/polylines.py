"""Polylines: resampled to a metre, their directions and lengths, and what lies nearest to them."""

from math import hypot

import numpy as np
from scipy.spatial import KDTree

from vibe_rl.errors import ConfigError

FINEST, COARSEST = 0.75, 1.25
"""Metres between points of a line of a map that stays as it is: median at least, at most."""
TOLERANCE = 0.05
"""Metres by which the points of a path may be nearer or farther than 1 m."""
STANDING = 0.05
LONGEST = 100_000
"""Metres of a line or a drive, which has about as many points."""


def arc_lengths(xy: np.ndarray) -> np.ndarray:
    """Metres `[n]` from the first point along a polyline `[n, 2]`."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(xy, axis=0), axis=1))])


def directions(xy: np.ndarray) -> np.ndarray:
    """Unit vectors `[n, 2]` to the next point; the last has that of the one before, one alone x."""
    if len(xy) < 2:
        return np.tile([1.0, 0.0], (len(xy), 1))
    steps = np.diff(xy, axis=0)
    units = steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-9)
    return np.concatenate([units, units[-1:]])


def without_standing(xy: np.ndarray, apart: float = STANDING) -> np.ndarray:
    """The points that are so many metres apart from the one that was kept before."""
    if (np.linalg.norm(np.diff(xy, axis=0), axis=1) > apart).all():
        return xy
    kept = [0]
    for i in range(1, len(xy)):
        if hypot(*(xy[i] - xy[kept[-1]])) > apart:
            kept.append(i)
    return xy[kept]


def every_metre(xy: np.ndarray) -> np.ndarray:
    """Points 1 m apart along a polyline, its first among them.

    Raises:
        ConfigError: it is longer than any road of a scene.
    """
    s = _short_arc_lengths(xy)
    return _at(xy, s, np.arange(0.0, s[-1] + 1e-6))


def a_metre_apart(xy: np.ndarray) -> np.ndarray:
    """`every_metre`; the polyline itself if its points are 1 m apart already."""
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    return xy if (np.abs(steps - 1) < TOLERANCE).all() else every_metre(xy)


def about_a_metre(xy: np.ndarray) -> np.ndarray:
    """A polyline from the same first to the same last point, with points about 1 m apart.

    Raises:
        ConfigError: it is longer than any road of a scene.
    """
    xy = without_standing(xy)
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    if not steps.size or (steps.max() <= COARSEST and np.median(steps) >= FINEST):
        return xy
    s = _short_arc_lengths(xy)
    return _at(xy, s, np.linspace(0.0, s[-1], round(max(s[-1], 1.0)) + 1))


def _short_arc_lengths(xy: np.ndarray) -> np.ndarray:
    s = arc_lengths(xy)
    if not s[-1] <= LONGEST:
        raise ConfigError(f"a line or a drive is {s[-1]:.3g} m long: give {LONGEST:,} m at most.")
    return s


def _at(xy: np.ndarray, s: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(at, s, xy[:, 0]), np.interp(at, s, xy[:, 1])], 1)


def prolonged(xy: np.ndarray, metres: float, heading: float) -> np.ndarray:
    """A polyline that goes on straight, in its last direction; a point alone along `heading`."""
    ahead = directions(xy)[-1] if len(xy) > 1 else np.array([np.cos(heading), np.sin(heading)])
    return np.concatenate([xy, xy[-1:] + metres * ahead])


def nearest_on_line(points: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For points `[n, 2]` the nearest of `to` `[m, 2]`: its index, and its distance in metres."""
    distance, index = KDTree(to).query(points)
    return np.asarray(index), np.asarray(distance)
