"""Scenarios from recordings: windows of them, the nearest road users, and the map around."""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import pairwise
from math import inf

import numpy as np

from vibe_rl.env.driving.io.polylines import about_a_metre, nearest_on_line
from vibe_rl.env.driving.io.recordings.inferred import (
    edges_bound,
    usual_limit,
    with_limits,
    with_velocities,
)
from vibe_rl.env.driving.io.recordings.lane_paths import ways_of
from vibe_rl.env.driving.io.recordings.plausible import nearby, plausible
from vibe_rl.env.driving.io.recordings.recording import (
    NO_LANE,
    Line,
    Recording,
    has_overpass,
    windows_of_recording,
)
from vibe_rl.env.driving.io.tables.columns import Table
from vibe_rl.env.driving.io.tables.from_tables import MOST_UID, from_tables
from vibe_rl.env.driving.scenarios.codes import LANES, LINES, VEHICLE
from vibe_rl.env.driving.scenarios.scenario import Dims, Scenario
from vibe_rl.env.driving.scenarios.validate import problems_of_scenario
from vibe_rl.system.notices import say_once

MARGINS = (60.0, 50.0, 40.0, 30.0, 20.0)
"""Metres around the box of the ego's log that the map reaches: the first that fits its slots."""
MOVES = 2.0
"""Metres that a vehicle has to drive if it is to react."""


def scenarios_of_recordings(
    recordings: Iterable[Recording], dims: Dims
) -> Iterator[tuple[str, Scenario]]:
    """The scenarios of recordings, each after its group.

    Recordings with overpasses and windows that `validate` refuses are left out, and counted in a
    notice at the end, as are recordings that have no window.
    """
    uids, left_out = set[int](), Counter[str]()
    for recording in map(with_velocities, map(plausible, recordings)):
        for start, window in _cut(recording, dims.T, left_out):
            scenario = _scenario(window, dims, _uid(recording, start, uids))
            if problems_of_scenario(scenario):
                left_out["windows that validate refuses"] += 1
            else:
                yield recording.group, scenario
    for what, count in left_out.items():
        say_once(f"Left out: {count} {what}.")


def _cut(r: Recording, frames: int, left_out: Counter[str]) -> list[tuple[int, Recording]]:
    """The windows of a recording; where it has none, it is counted by the reason."""
    if has_overpass(r):
        left_out["recordings with an overpass"] += 1
        return []
    found = [*windows_of_recording(r, frames)]
    if not found:
        left_out[f"recordings in which the ego is not there for {frames} frames"] += 1
    return found


def _uid(recording: Recording, start: int, used: set[int]) -> int:
    """A number that follows from the recording and the frame, the next free one if it is taken."""
    uid = int(sha256(f"{recording.source}:{start}".encode()).hexdigest()[:8], 16)
    while uid in used:
        uid = (uid + 1) % (MOST_UID + 1)
    used.add(uid)
    return uid


def _scenario(cut: Recording, dims: Dims, uid: int) -> Scenario:
    window = with_limits(nearby(cut))
    lines = _lines_that_fit(window, dims.P)
    tables = {
        "scenario": _facts(window, [line for _, line in lines]),
        "tracks": _tracks(window, dims.N),
        "map": _map(lines),
        "lights": _lights(window, lines, dims.L),
        "paths": _paths(window, lines, dims),
    }
    tables = {
        name: {"uid": np.full(len(next(iter(table.values()))), uid), **table}
        for name, table in tables.items()
    }
    return next(from_tables(tables, dims))[1]


def _facts(window: Recording, lines: list[Line]) -> Table:
    log = window.xy[window.ego, window.valid[window.ego]]
    return {
        "group": np.array([window.group]),
        "family": np.array(["imported"]),
        "split": np.array([""]),
        "speed_limit": np.array([usual_limit(window)]),
        "has_edges": np.array([int(edges_bound(lines, log))]),
    }


def nearest_users(r: Recording, count: int) -> np.ndarray:
    """The ego, and the road users that were nearest to it when they came and when they went."""
    distance = np.full(len(r.valid), inf)
    for user in np.flatnonzero(r.valid.any(1)):
        together = np.flatnonzero(r.valid[user] & r.valid[r.ego])
        ends = together[[0, -1]] if together.size else []
        apart = r.xy[user, ends] - r.xy[r.ego, ends]
        distance[user] = np.linalg.norm(apart, axis=1).mean() if together.size else inf
    distance[r.ego] = -1.0
    order = np.argsort(distance, kind="stable")
    return order[distance[order] < inf][:count]


def _tracks(r: Recording, count: int) -> Table:
    chosen = nearest_users(r, count)
    obj, t = np.nonzero(r.valid[chosen])
    user = chosen[obj]
    length, width, height = r.size[user].T
    return {
        **{"obj": obj, "t": t, "x": r.xy[user, t, 0], "y": r.xy[user, t, 1]},
        **{"yaw": r.yaw[user, t], "vx": r.vel[user, t, 0], "vy": r.vel[user, t, 1]},
        **{"valid": np.ones(len(t), int), "length": length, "width": width, "height": height},
        **{"type": r.kind[user], "reactive": _reacts(r)[user].astype(int)},
    }


def _reacts(r: Recording) -> np.ndarray:
    """Vehicles that are there from the beginning, and drive."""
    known = r.valid[..., None]
    spread = np.where(known, r.xy, -inf).max(1) - np.where(known, r.xy, inf).min(1)
    reacts = r.valid[:, 0] & (r.kind == VEHICLE) & (spread.max(1) > MOVES)
    reacts[r.ego] = False
    return reacts


def _lines_that_fit(window: Recording, slots: int) -> list[tuple[int, Line]]:
    """Pieces of lines near the ego, each with the id of its whole line."""
    log = window.xy[window.ego, window.valid[window.ego]]
    low, high = log.min(0) - MARGINS[0], log.max(0) + MARGINS[0]
    near = [x for x in window.lines if len(x.xy) and _reaches(x.xy, low, high)]
    fine = [line._replace(xy=about_a_metre(line.xy)) for line in near]
    plain = [line for line in fine if line.kind not in LINES]
    pieces: list[tuple[int, Line]] = []
    for margin in MARGINS:
        for lines in (fine, plain):
            pieces = _numbered(lines, log.min(0) - margin, log.max(0) + margin)
            if sum(len(piece.xy) for _, piece in pieces) <= slots:
                return pieces
    return pieces


def _reaches(xy: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether a polyline may come into a box."""
    return bool(((xy.min(0) <= high) & (xy.max(0) >= low)).all())


def _numbered(lines: list[Line], low: np.ndarray, high: np.ndarray) -> list[tuple[int, Line]]:
    found, fresh = [], max((line.id for line in lines), default=0) + 1
    for line in lines:
        for i, xy in enumerate(_pieces(line.xy, low, high)):
            found.append((line.id, line._replace(xy=xy, id=fresh if i else line.id)))
            fresh += bool(i)
    return found


def _pieces(xy: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
    """The parts of a polyline within a box; of more than one point, unless it is a point."""
    inside = ((xy >= low) & (xy <= high)).all(1)
    bounds = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    least = min(len(xy), 2)
    return [xy[a:b] for a, b in [*pairwise(bounds)][::2] if b - a >= least]


def _map(lines: list[tuple[int, Line]]) -> Table:
    lengths = [len(line.xy) for _, line in lines]

    def column(values: Iterable[float]) -> np.ndarray:
        return np.repeat(np.array([*values]), lengths) if lengths else np.zeros(0)

    xy = np.concatenate([np.zeros((0, 2)), *(line.xy for _, line in lines)])
    return {
        **{"id": column(line.id for _, line in lines)},
        "type": column(line.kind for _, line in lines),
        "seq": np.concatenate([np.zeros(0, int), *map(np.arange, lengths)]),
        **{"x": xy[:, 0], "y": xy[:, 1]},
        "speed": column(line.speed for _, line in lines),
        "width": column(line.width for _, line in lines),
    }


def _lights(window: Recording, lines: list[tuple[int, Line]], slots: int) -> Table:
    """The lights of lanes that are there, the nearest to the ego's drive if they are too many."""
    log = window.xy[window.ego, window.valid[window.ego]]
    lanes = {whole for whole, piece in lines if piece.kind in LANES}
    there = [x for x in window.lights if x.lane in lanes]
    there.sort(key=lambda light: float(nearest_on_line(light.xy[None], log)[1][0]))
    chosen, frames = there[:slots], window.valid.shape[1]
    of = [int(_pieces_at(lines, x.lane, x.xy[None])[0]) for x in chosen]
    xy = np.array([light.xy for light in chosen]).reshape(-1, 2).repeat(frames, 0)
    return {
        "light": np.arange(len(chosen)).repeat(frames),
        "lane": np.array(of, int).repeat(frames),
        "t": np.tile(np.arange(frames), len(chosen)),
        **{"x": xy[:, 0], "y": xy[:, 1]},
        "state": np.concatenate([np.zeros(0, int), *(light.state for light in chosen)]),
    }


def _pieces_at(lines: list[tuple[int, Line]], whole: int, points: np.ndarray) -> np.ndarray:
    """The ids of the pieces of a line that points are nearest to; its own where none is there."""
    pieces = [piece for number, piece in lines if number == whole]
    if not pieces:
        return np.full(len(points), whole)
    ids = np.repeat([piece.id for piece in pieces], [len(piece.xy) for piece in pieces])
    return ids[nearest_on_line(points, np.concatenate([piece.xy for piece in pieces]))[0]]


def _paths(window: Recording, lines: list[tuple[int, Line]], dims: Dims) -> Table:
    ways = ways_of(window, dims.K, dims.Q)
    lengths = [len(way.xy) for way in ways]
    xy, whole = np.concatenate([way.xy for way in ways]), np.concatenate([x.lane for x in ways])
    lane = whole.copy()
    for number in np.unique(whole[whole != NO_LANE]).tolist():
        lane[whole == number] = _pieces_at(lines, number, xy[whole == number])
    return {
        "path": np.arange(len(ways)).repeat(lengths),
        "seq": np.concatenate([np.arange(n) for n in lengths]),
        **{"x": xy[:, 0], "y": xy[:, 1]},
        "lane": lane,
        "on_route": np.repeat([int(way.on_route) for way in ways], lengths),
    }
