"""The ways that an ego may take: along lanes that lead on from where it is, the logged first."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.spatial import KDTree

from vibe_rl.env.driving.io.polylines import (
    arc_lengths,
    directions,
    every_metre,
    nearest_on_line,
    prolonged,
    without_standing,
)
from vibe_rl.env.driving.io.recordings.own_routes import logged_way
from vibe_rl.env.driving.io.recordings.recording import NO_LANE, Line, Recording, Way
from vibe_rl.env.driving.scenarios.codes import FREEWAY_LANE, SURFACE_LANE

ROOTS_WITHIN = (2.5, 5.0)
"""Metres from the ego to the lanes on which ways begin; the second if the first finds none."""
ALONG = 0.5
"""The least cosine between the ego and such a lane."""
DEEPEST, MOST = 10, 256
"""Lanes of a way, and ways that are looked at: those beside the log first."""
BEGINNING = 30
"""Metres of a lane that are compared with the log."""
JOINED, BEND = 1.0, np.cos(np.radians(30))
"""Metres and cosine between the ends of lanes that follow each other, where nothing says it."""
ON_LOG = 2.05
"""Metres from a way to the log, on average and at its end, within which it is the logged one."""
SAME = 0.5
"""Metres from one way to all of another that is as good as a part of it."""

Lanes = Mapping[int, Line]


def ways_of(window: Recording, count: int, points: int) -> list[Way]:
    """Up to `count` ways with points 1 m apart, the one first that the log took.

    That is the drive itself, going on straight, where no lane follows it to its end.
    """
    there = window.valid[window.ego]
    log, yaw = window.xy[window.ego, there], float(window.yaw[window.ego, there][0])
    given = window.ways or _along_lanes(window.lines, log, yaw, points)
    cut = [_from(way, log[0], points) for way in given if len(way.xy) > 1]
    found = sorted((x for x in cut if len(x.xy) > 1), key=lambda way: _order(log, way))
    if not found or not _follows(found[0].xy, log):
        found.insert(0, _logged(log, yaw, points))
    logged = found[0].xy
    driven = logged[: int(nearest_on_line(log[-1:], logged)[0][0]) + 1]
    chosen = _different(found, count)
    return [way._replace(on_route=_lies_on(driven, way.xy, 2 * SAME)) for way in chosen]


def _order(log: np.ndarray, way: Way) -> tuple[float, int]:
    """The nearest to the log first, of equal ones the longest."""
    return round(float(nearest_on_line(log, way.xy)[1].sum()), 1), -len(way.xy)


def _follows(way: np.ndarray, log: np.ndarray) -> bool:
    distance = nearest_on_line(log, way)[1]
    return bool(distance.mean() < ON_LOG and distance[-1] < ON_LOG)


def _logged(log: np.ndarray, yaw: float, points: int) -> Way:
    way = logged_way(log, yaw, points)
    return Way(way, True, np.full(len(way), NO_LANE))


def _different(ways: Sequence[Way], count: int) -> list[Way]:
    """The first ways none of which is a part of one before it."""
    chosen: list[Way] = []
    for way in ways:
        if len(chosen) < count and not any(_lies_on(way.xy, x.xy, SAME) for x in chosen):
            chosen.append(way)
    return chosen


def _lies_on(part: np.ndarray, way: np.ndarray, within: float) -> bool:
    return bool((nearest_on_line(part, way)[1] < within).all())


def _from(way: Way, start: np.ndarray, points: int) -> Way:
    """The way from the point nearest to a place on, with points 1 m apart."""
    s, xy = arc_lengths(way.xy), every_metre(way.xy)
    lane = way.lane[np.searchsorted(s, np.arange(len(xy)), "right") - 1]
    begin = int(nearest_on_line(start[None], xy)[0][0])
    return Way(xy[begin:][:points], way.on_route, lane[begin:][:points])


def _along_lanes(lines: Sequence[Line], log: np.ndarray, yaw: float, points: int) -> Iterator[Way]:
    """The ways along lanes that begin where the log does, none of them part of another."""
    lanes = {x.id: x for x in lines if x.kind in (FREEWAY_LANE, SURFACE_LANE) and len(x.xy) > 1}
    driven = every_metre(prolonged(without_standing(log), 2.0 * BEGINNING, yaw))
    onward = _beside_first(lanes, _exits(lanes), driven)
    lengths = {number: float(arc_lengths(line.xy)[-1]) for number, line in lanes.items()}
    walks: list[tuple[int, ...]] = []
    roots = _roots(lanes, log[0], yaw)
    for root in roots:
        lengths_on = {**lengths, root: 0.0}  # the ego may be at its end
        walks += _walks(root, onward, lengths_on, (points, max(MOST // len(roots), 1)))
    sets = [frozenset(walk) for walk in walks]
    for i, walk in enumerate(walks):
        if not any(sets[i] < other or (sets[i] == other and j < i) for j, other in enumerate(sets)):
            yield _joined([lanes[lane] for lane in walk])


def _beside_first(
    lanes: Lanes, exits: Mapping[int, Sequence[int]], driven: np.ndarray
) -> Mapping[int, Sequence[int]]:
    """The exits of each lane, those first whose beginnings lie beside what was driven."""
    several = {lane for onward in exits.values() if len(onward) > 1 for lane in onward}
    tree = KDTree(driven)
    begins = {lane: every_metre(lanes[lane].xy)[:BEGINNING] for lane in several}
    apart = {lane: float(tree.query(xy)[0].mean()) for lane, xy in begins.items()}
    return {i: sorted(onward, key=lambda x: apart.get(x, 0.0)) for i, onward in exits.items()}


def _joined(lanes: Sequence[Line]) -> Way:
    """One polyline along lanes; where the next begins behind the end of one, that part is cut."""
    parts = [lanes[0].xy]
    for lane in lanes[1:]:
        end = parts[-1][-1]
        ahead = (lane.xy - end) @ directions(without_standing(parts[-1]))[-1]
        near = np.linalg.norm(lane.xy - end, axis=1) < JOINED + SAME
        behind = int(np.argmin(np.append(near & (ahead < SAME / 2), False)))
        parts.append(lane.xy[min(behind, len(lane.xy) - 1) :])
    ids = np.repeat([lane.id for lane in lanes], [len(part) for part in parts])
    return Way(np.concatenate(parts), False, ids)


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


def _walks(
    root: int,
    exits: Mapping[int, Sequence[int]],
    lengths: Mapping[int, float],
    limits: tuple[int, int],
) -> list[tuple[int, ...]]:
    """The ways from a lane on, each to its end, `DEEPEST` lanes or so many metres long.

    Args:
        root: the lane.
        exits: of each lane, those first that are to be looked at first.
        lengths: of each lane, m.
        limits: the metres of a way, and the number of ways.
    """
    ended, open_ = [], [(root,)]
    while open_ and len(ended) < limits[1]:
        walk = open_.pop()
        onward = [lane for lane in exits[walk[-1]] if lane not in walk]
        short = len(walk) < DEEPEST and sum(lengths[lane] for lane in walk) < limits[0]
        if onward and short:
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
