"""Recordings without numbers that nothing on a road has, which damaged files do have."""

import numpy as np

from vibe_rl.env.driving.io.polylines import arc_lengths
from vibe_rl.env.driving.io.recordings.recording import Light, Line, Recording, Way
from vibe_rl.errors import ConfigError

FARTHEST, FASTEST, LARGEST = 1e9, 200.0, 100.0
"""Metres from where a file counts from; m/s, of drives and of limits; metres of sizes."""
NEAR = 10_000.0
"""Metres from the ego, to each side, beyond which nothing belongs to a scene."""
LONGEST = 2e6
"""Metres of all lines of a map."""


def plausible(r: Recording) -> Recording:
    """The recording with what cannot be as not valid, or left out, and 0 where nothing is valid."""
    known = np.concatenate([r.xy, r.vel, r.yaw[..., None]], -1)
    most = np.array([FARTHEST, FARTHEST, FASTEST, FASTEST, FARTHEST])
    valid = r.valid & (np.abs(known) <= most).all(-1)
    known = np.where(valid[..., None], known, 0.0)
    return r._replace(
        **{"xy": known[..., :2], "vel": known[..., 2:4], "yaw": known[..., 4], "valid": valid},
        size=np.clip(r.size, 1 / LARGEST, LARGEST),
        lines=tuple(_plausible_line(line) for line in r.lines),
    )


def _plausible_line(line: Line) -> Line:
    there = (np.abs(line.xy) <= FARTHEST).all(1)
    z = None if line.z is None else np.clip(np.nan_to_num(line.z[there]), -FARTHEST, FARTHEST)
    speed, width = min(line.speed, FASTEST), min(line.width, LARGEST)
    return line._replace(xy=line.xy[there], z=z, speed=speed, width=width)


def nearby(window: Recording) -> Recording:
    """The window without what is far away from its origin.

    Raises:
        ConfigError: its lines are longer than those of any map.
    """
    lines = tuple(line for line in map(_near, window.lines) if len(line.xy))
    length = sum(float(arc_lengths(line.xy)[-1]) for line in lines)
    if length > LONGEST:
        raise ConfigError(
            f"{window.source} has lines of {length / 1000:.0f} km within {NEAR / 1000:.0f} km, "
            "more than any map: it is damaged, fetch it anew."
        )
    return window._replace(
        valid=window.valid & (np.abs(window.xy) <= NEAR).all(-1),
        lines=lines,
        lights=tuple(x for x in window.lights if _is_near(x)),
        ways=tuple(way for way in map(_near_way, window.ways) if len(way.xy) > 1),
    )


def _near(line: Line) -> Line:
    there = (np.abs(line.xy) <= NEAR).all(1)
    return line if there.all() else line._replace(xy=line.xy[there], z=None)


def _near_way(way: Way) -> Way:
    there = (np.abs(way.xy) <= NEAR).all(1)
    return way._replace(xy=way.xy[there], lane=way.lane[there])


def _is_near(light: Light) -> bool:
    return bool((np.abs(light.xy) <= NEAR).all())
