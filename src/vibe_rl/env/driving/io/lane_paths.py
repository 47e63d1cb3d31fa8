"""The ways that an ego may take: along lanes that lead on from where it is, the logged first."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.spatial import KDTree

from vibe_rl.env.driving.codes import FREEWAY_LANE, SURFACE_LANE
from vibe_rl.env.driving.io.own_routes import logged_way
from vibe_rl.env.driving.io.polylines import directions, every_metre, nearest, without_standing
from vibe_rl.env.driving.io.recording import Line, Recording, Way

ROOTS_WITHIN = (2.5, 5.0)
"""Metres from the ego to the lanes on which ways begin; the second if the first finds none."""
ALONG = 0.5
"""The least cosine between the ego and such a lane."""
DEEPEST, MOST = 10, 512
"""Lanes of a way, and ways that are looked at."""
JOINED, BEND = 1.0, np.cos(np.radians(30))
"""Metres and cosine between the ends of lanes that follow each other, where nothing says it."""
ON_LOG = 2.05
"""Metres from a way to the log, on average and at its end, within which it is the logged one."""
SAME = 0.5

Lanes = Mapping[int, Line]


def ways_of(window: Recording, count: int, points: int) -> list[Way]:
    """Up to `count` ways with points 1 m apart, the one first that the log took.

    That is the drive itself, going on straight, where no lane follows it to its end.
    """
    there = window.valid[window.ego]
    log, yaw = window.xy[window.ego, there], float(window.yaw[window.ego, there][0])
    given = [way.xy for way in window.ways] or _along_lanes(window.lines, log[0], yaw, points)
    cut = [_from(xy, log[0], points) for xy in given if len(xy) > 1]
    found = sorted((xy for xy in cut if len(xy) > 1), key=lambda xy: _distance(log, xy))
    if not found or not _follows(found[0], log):
        found.insert(0, logged_way(log, yaw, points))
    driven = found[0][: int(nearest(log[-1:], found[0])[0][0]) + 1]
    return [Way(xy, _begins_with(xy, driven)) for xy in found[:count]]


def _distance(log: np.ndarray, way: np.ndarray) -> float:
    return float(nearest(log, way)[1].sum())


def _follows(way: np.ndarray, log: np.ndarray) -> bool:
    distance = nearest(log, way)[1]
    return bool(distance.mean() < ON_LOG and distance[-1] < ON_LOG)


def _begins_with(way: np.ndarray, driven: np.ndarray) -> bool:
    """Whether a way goes where the logged one goes until the log ends."""
    return bool((nearest(driven, way)[1] < 2 * SAME).all())


def _from(xy: np.ndarray, start: np.ndarray, points: int) -> np.ndarray:
    way = every_metre(without_standing(xy))
    return way[int(nearest(start[None], way)[0][0]) :][:points]


def _along_lanes(
    lines: Sequence[Line], at: np.ndarray, yaw: float, points: int
) -> Iterator[np.ndarray]:
    """The polylines of all ways along lanes that begin here, none of them part of another."""
    lanes = {x.id: x for x in lines if x.kind in (FREEWAY_LANE, SURFACE_LANE) and len(x.xy) > 1}
    exits = _exits(lanes)
    walks: list[tuple[int, ...]] = []
    for root in _roots(lanes, at, yaw):
        walks += _walks(root, exits, MOST - len(walks))
    sets = [frozenset(walk) for walk in walks]
    for i, walk in enumerate(walks):
        if not any(sets[i] < other or (sets[i] == other and j < i) for j, other in enumerate(sets)):
            yield np.concatenate([lanes[lane].xy for lane in walk])


def _roots(lanes: Lanes, at: np.ndarray, yaw: float) -> list[int]:
    ahead = np.array([np.cos(yaw), np.sin(yaw)])
    for within in ROOTS_WITHIN:
        found = [lane for lane, line in lanes.items() if _beside(line.xy, at, ahead, within)]
        if found:
            return found
    return []


def _beside(xy: np.ndarray, at: np.ndarray, ahead: np.ndarray, within: float) -> bool:
    """Whether a lane has a point near a place that leads where `ahead` does."""
    if (xy.min(0) > at + within).any() or (xy.max(0) < at - within).any():
        return False
    fine = every_metre(without_standing(xy))
    near = np.linalg.norm(fine - at, axis=1) < within
    return bool((near & (directions(fine) @ ahead > ALONG)).any())


def _walks(root: int, exits: Mapping[int, Sequence[int]], most: int) -> list[tuple[int, ...]]:
    """The ways from a lane on, each to its end or `DEEPEST` lanes long."""
    ended, open_ = [], [(root,)]
    while open_ and len(ended) < most:
        walk = open_.pop()
        onward = [lane for lane in exits[walk[-1]] if lane not in walk]
        if onward and len(walk) < DEEPEST:
            open_ += [(*walk, lane) for lane in reversed(onward)]
        else:
            ended.append(walk)
    return ended


def _exits(lanes: Lanes) -> Mapping[int, Sequence[int]]:
    """The lanes that each leads to; by their ends if the recording says it of none."""
    said = {i: [x for x in lane.exits if x in lanes] for i, lane in lanes.items()}
    if any(said.values()) or not lanes:
        return said
    ids = [*lanes]
    begins = np.stack([lanes[i].xy[0] for i in ids])
    first = np.stack([directions(without_standing(lanes[i].xy))[0] for i in ids])
    tree = KDTree(begins)
    for i, lane in lanes.items():
        last = directions(without_standing(lane.xy))[-1]
        near = tree.query_ball_point(lane.xy[-1], JOINED)
        said[i] = [ids[j] for j in sorted(near) if ids[j] != i and first[j] @ last > BEND]
    return said
