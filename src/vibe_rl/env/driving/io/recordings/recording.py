"""What importers make of files: everybody's drives and the map, as long and wide as recorded."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from vibe_rl.env.driving.scenarios.codes import EDGES
from vibe_rl.env.driving.scenarios.scenario import FIRST_FRAME

STRIDE = 40
"""Frames between the beginnings of two windows."""
STACKED, HEIGHT = 0.8, 4.0
"""Metres between edges that lie above each other: sideways at most, upwards at least."""
BESIDE = 32
"""Points that are compared with each."""

NO_LANE = -1
KMH, MPH = 1 / 3.6, 0.44704
"""m/s of one."""


class Line(NamedTuple):
    """A lane, line, edge, crosswalk or sign."""

    id: int
    kind: int  # see `codes`
    xy: np.ndarray  # float64 [n, 2]
    z: np.ndarray | None = None  # [n]
    speed: float = -1.0  # the limit in m/s, -1 unknown
    width: float = 3.7
    exits: tuple[int, ...] = ()  # lanes that it leads to


class Light(NamedTuple):
    """A light at the end or at the beginning of a lane."""

    lane: int
    xy: np.ndarray  # float64 [2]
    state: np.ndarray  # int [T], see `codes`


class Way(NamedTuple):
    """A way that the ego may take."""

    xy: np.ndarray  # float64 [n, 2]
    on_route: bool
    lane: np.ndarray  # int [n], the line that each point lies on, `NO_LANE` if it is not known


class Recording(NamedTuple):
    """`T` frames of 0.1 s with `N` road users, in any coordinates; float64, m and rad."""

    group: str  # what it was cut from: held out as a whole
    source: str  # what messages call it
    ego: int
    xy: np.ndarray  # [N, T, 2]
    yaw: np.ndarray  # [N, T]
    vel: np.ndarray  # [N, T, 2]
    valid: np.ndarray  # bool [N, T]
    size: np.ndarray  # [N, 3]
    kind: np.ndarray  # int [N], see `codes`
    lines: tuple[Line, ...]
    lights: tuple[Light, ...] = ()
    ways: tuple[Way, ...] = ()


def has_overpass(recording: Recording) -> bool:
    """Whether edges lie above each other, which a flat map cannot say."""
    edges = [x for x in recording.lines if x.kind in EDGES and x.z is not None]
    if not edges:
        return False
    xy = np.concatenate([x.xy for x in edges])
    z = np.concatenate([x.z for x in edges if x.z is not None])
    cells = np.round(np.column_stack([xy / (STACKED / 2), z / (HEIGHT / 2)]))
    kept = np.unique(cells, axis=0, return_index=True)[1]  # edges may have points without number
    xy, z = xy[kept], np.append(z[kept], np.nan)
    _, near = KDTree(xy).query(xy, k=BESIDE, distance_upper_bound=STACKED)
    return bool((np.abs(z[near] - z[:-1, None]) > HEIGHT).any())


def windows_of_recording(recording: Recording, frames: int) -> Iterator[tuple[int, Recording]]:
    """The first frame and the recording of each window in which the ego is there all the time.

    Coordinates are those of the ego's position where its episode begins.
    """
    there = recording.valid[recording.ego]
    for start in range(0, len(there) - frames + 1, STRIDE):
        if there[start : start + frames].all():
            yield start, _window(recording, slice(start, start + frames))


def _window(r: Recording, when: slice) -> Recording:
    origin = r.xy[r.ego, when.start + FIRST_FRAME]
    return r._replace(
        xy=r.xy[:, when] - origin,
        yaw=r.yaw[:, when],
        vel=r.vel[:, when],
        valid=r.valid[:, when],
        lines=tuple(line._replace(xy=line.xy - origin) for line in r.lines),
        lights=tuple(x._replace(xy=x.xy - origin, state=x.state[when]) for x in r.lights),
        ways=tuple(way._replace(xy=way.xy - origin) for way in r.ways),
    )
