"""Curves that roads are made of, as points about a metre apart: `[n, 2]`, metres and radians."""

import numpy as np

from vibe_rl.types import AnyArray

SPACING = 1.0
"""Metres between points."""


def straight(start: AnyArray, heading: float, length: float) -> AnyArray:
    """A straight line of that length."""
    along = np.linspace(0, length, _count(length))[:, None]
    return np.asarray(start) + along * direction(heading)


def arc(start: AnyArray, heading: float, radius: float, length: float) -> AnyArray:
    """An arc that turns to the left, or to the right where the radius is negative."""
    turned = heading + np.linspace(0, length, _count(length)) / radius
    centre = np.asarray(start) + radius * direction(heading + np.pi / 2)
    return centre + radius * np.stack([np.sin(turned), -np.cos(turned)], -1)


def bezier(
    start: AnyArray, heading: float, end: AnyArray, end_heading: float, handle: float = 0.5
) -> AnyArray:
    """A cubic Bezier curve with headings at both ends.

    Args:
        start: the first point.
        heading: there.
        end: the last point.
        end_heading: there.
        handle: how long its handles are, as a share of the chord.
    """
    start, end = np.asarray(start), np.asarray(end)
    reach = handle * np.hypot(*(end - start))
    t = np.linspace(0, 1, 65)[:, None]
    inner = start + reach * direction(heading), end - reach * direction(end_heading)
    curve = (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * inner[0]
    return resampled(curve + 3 * (1 - t) * t**2 * inner[1] + t**3 * end)


def resampled(xy: AnyArray, spacing: float = SPACING, exact: bool = False) -> AnyArray:
    """The same line with even points, its ends included; with `exact`, the spacing is kept.

    With `exact` up to a spacing of the end is left away.
    """
    at = lengths_along(xy)
    if exact:
        wanted = np.arange(int(at[-1] / spacing + 1e-9) + 1) * spacing
    else:
        wanted = np.linspace(0, at[-1], _count(at[-1], spacing))
    return interpolated(at, xy, wanted)


def interpolated(at: AnyArray, xy: AnyArray, wanted: AnyArray) -> AnyArray:
    """Points at arc lengths of a line."""
    return np.stack([np.interp(wanted, at, xy[:, 0]), np.interp(wanted, at, xy[:, 1])], -1)


def lengths_along(xy: AnyArray) -> AnyArray:
    """Of every point, from the first."""
    return np.append(0, np.cumsum(np.hypot(*np.diff(xy, axis=0).T)))


def headings(xy: AnyArray) -> AnyArray:
    """By finite differences, unwrapped."""
    dx, dy = np.gradient(xy[:, 0]), np.gradient(xy[:, 1])
    return np.unwrap(np.arctan2(dy, dx))


def offset(xy: AnyArray, left: float | AnyArray) -> AnyArray:
    """The line that many metres to the left."""
    yaw = headings(xy)
    return xy + np.reshape(left, (-1, 1)) * np.stack([-np.sin(yaw), np.cos(yaw)], -1)


def direction(heading: float | AnyArray) -> AnyArray:
    """Of length 1."""
    return np.stack([np.cos(heading), np.sin(heading)], -1)


def rotated(xy: AnyArray, angle: float) -> AnyArray:
    """Points turned to the left about the origin."""
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(xy) @ np.array([[c, s], [-s, c]])


def _count(length: float, spacing: float = SPACING) -> int:
    return max(2, int(np.ceil(length / spacing - 1e-9)) + 1)
