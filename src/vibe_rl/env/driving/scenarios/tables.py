"""What a bank of scenarios is looked up by: computed once, so that a step reads plain rows.

Points of lanes and edges, and those that are seen, lie in rows of x and of y. Where a slot holds no
such point, it lies `FAR` away.
"""

from typing import Any, NamedTuple

import numpy as np

from vibe_rl.env.driving.rows import WORD
from vibe_rl.env.driving.scenarios.codes import EDGES, FREEWAY_LANE, LANES, ROAD_EDGE, SURFACE_LANE
from vibe_rl.env.driving.scenarios.scenario import DT, EGO, FIRST_FRAME, NO_STOP_LINE, Scenario
from vibe_rl.errors import ConfigError
from vibe_rl.types import AnyArray

FAR = np.float32(1e6)
"""Metres."""
MPH = 0.44704
"""m/s."""
LIMITS = np.array((25, 35, 45, 70), np.float32) * np.float32(MPH)
"""Speed limits that there are, m/s."""
SLOWEST_PACE = 1.0
"""m/s, the least that progress is measured against."""
MOVED = 0.5
"""Metres; logged drives that are shorter stand."""

SEEN = (FREEWAY_LANE, SURFACE_LANE, ROAD_EDGE)
"""Kinds of points of the map that may be seen."""


class Tables(NamedTuple):
    """Rows of one scenario, float32 unless it says otherwise; a bank's have one more axis."""

    lane_x: AnyArray  # [P], of points of lanes
    lane_y: AnyArray
    lane_cos: AnyArray  # [P], of their heading
    lane_sin: AnyArray
    lane_half: AnyArray  # [P], half of the lane's width
    lane_limit: AnyArray  # [P], m/s
    edge_x: AnyArray  # [P], of points of edges
    edge_y: AnyArray
    seen: AnyArray  # int32 [M], the points of the map that may be seen
    seen_x: AnyArray  # [M]
    seen_y: AnyArray
    path_x: AnyArray  # [K, Q]
    path_y: AnyArray
    path_cos: AnyArray  # [K, Q], towards the next point
    path_sin: AnyArray
    path_pace: AnyArray  # [K, Q], m/s, how fast one would drive there
    path_first: AnyArray  # [K], the arc length where the log begins, at frame 10
    path_last: AnyArray  # [K], and where it ends
    path_end: AnyArray  # int32 [K], the last valid point
    main_path: AnyArray  # int32 [], the longest one that leads where the log does
    stop_s: AnyArray  # [L], where along the first path a light's lane begins
    log_s: AnyArray  # [T], metres driven in the log since frame 10


def prepare_tables(bank: Scenario, interval: int = 2, kinds: tuple[int, ...] = SEEN) -> Tables:
    """The tables of a bank, on the host.

    Args:
        bank: scenarios with a leading axis.
        interval: every how manyth of the points of the map may be seen.
        kinds: of points that may be seen; see `codes`.

    Raises:
        ConfigError: it is a single scenario.
    """
    if np.ndim(bank.scenario_uid) != 1:
        raise ConfigError("scenarios without a leading axis: make a bank with scenario.stacked.")
    host = Scenario(*(np.asarray(array) for array in bank))
    columns = {**_lanes(host), **_seen(host, interval, kinds), **_paths(host)}
    return Tables(**{name: _exact(array) for name, array in columns.items()})


def _exact(array: Any) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else np.int32)


def _lanes(bank: Scenario) -> dict[str, np.ndarray]:
    lane = bank.map_valid & np.isin(bank.map_type, LANES)
    edge = bank.map_valid & np.isin(bank.map_type, EDGES)
    return {
        "lane_x": np.where(lane, bank.map_xy[..., 0], FAR),
        "lane_y": np.where(lane, bank.map_xy[..., 1], FAR),
        "lane_cos": bank.map_dir[..., 0],
        "lane_sin": bank.map_dir[..., 1],
        "lane_half": np.where(lane, bank.map_width / 2, 0),
        "lane_limit": speed_limits(bank),
        "edge_x": np.where(edge, bank.map_xy[..., 0], FAR),
        "edge_y": np.where(edge, bank.map_xy[..., 1], FAR),
    }


def speed_limits(bank: Scenario) -> np.ndarray:
    """Of every point, m/s: the map's, or what kind of lane and the logged speeds suggest.

    Where the map does not say: 70 mph on freeways and 45 on streets, and the smallest usual limit
    above the fastest logged speed; the larger of the two on freeways, the smaller on streets.
    """
    speeds = np.linalg.norm(bank.log_vel, axis=-1) * bank.log_valid
    fastest = speeds.max((-1, -2))[..., None]
    above = np.minimum((fastest > LIMITS).sum(-1), len(LIMITS) - 1)
    usual = LIMITS[above][..., None]
    freeway = np.maximum(usual, np.float32(70 * MPH))
    street = np.minimum(usual, np.float32(45 * MPH))
    default = bank.speed_limit_default[..., None]
    other = np.where(default > 0, default, street)
    street = np.where(bank.map_type == SURFACE_LANE, street, other)
    guess = np.where(bank.map_type == FREEWAY_LANE, freeway, street)
    return np.where(bank.map_speed > 0, bank.map_speed, guess)


def _seen(bank: Scenario, interval: int, kinds: tuple[int, ...]) -> dict[str, np.ndarray]:
    mask = bank.map_valid & np.isin(bank.map_type, kinds)
    every = mask & ((np.cumsum(mask, -1) - 1) % interval == 0)
    points = mask.shape[-1]
    room = -(-points // (interval * WORD)) * WORD
    order = np.argsort(~every, axis=-1, kind="stable")[..., :room]
    there = np.take_along_axis(every, order, -1)
    rows = {"seen": order}
    for name, axis in (("seen_x", 0), ("seen_y", 1)):
        taken = np.take_along_axis(bank.map_xy[..., axis], order, -1)
        rows[name] = np.where(there, taken, FAR)
    short = room - order.shape[-1]
    filling = {"seen": 0, "seen_x": FAR, "seen_y": FAR}
    pad = [(0, 0)] * (mask.ndim - 1) + [(0, short)]
    return {k: np.pad(row, pad, constant_values=filling[k]) for k, row in rows.items()}


def _paths(bank: Scenario) -> dict[str, np.ndarray]:
    valid, xy = bank.path_valid, bank.path_xy
    end = np.maximum(valid.sum(-1) - 1, 0)
    steps = np.diff(xy, axis=-2)
    steps = np.concatenate([steps, np.zeros_like(steps[..., :1, :])], -2)
    index = np.minimum(np.arange(xy.shape[-2]), np.maximum(end - 1, 0)[..., None])
    steps = np.take_along_axis(steps, index[..., None], -2)
    heading = np.arctan2(steps[..., 1], steps[..., 0])
    lengths = np.take_along_axis(bank.path_s, end[..., None], -1)[..., 0]
    on_route = bank.path_on_route & valid.any(-1)
    rows = {
        "path_x": np.where(valid, xy[..., 0], FAR),
        "path_y": np.where(valid, xy[..., 1], FAR),
        "path_cos": np.cos(heading),
        "path_sin": np.sin(heading),
        "path_end": end,
        "main_path": np.argmax(np.where(on_route, lengths, -1.0), -1),
        "stop_s": stop_lines(bank),
    }
    log = bank.log_xy[..., EGO, :, :]
    first, last = (_along(bank, rows, log[..., frame, :]) for frame in (FIRST_FRAME, -1))
    driven = np.linalg.norm(np.diff(log[..., FIRST_FRAME:, :], axis=-2), axis=-1).cumsum(-1)
    log_s = np.zeros(log.shape[:-1])
    log_s[..., FIRST_FRAME + 1 :] = driven
    seconds = (log.shape[-2] - 1 - FIRST_FRAME) * DT
    mean = np.maximum(driven[..., -1] / seconds, SLOWEST_PACE)
    pace = {"path_pace": _paces(bank, mean)}
    return {**rows, **pace, "path_first": first, "path_last": last, "log_s": log_s}


def _along(bank: Scenario, rows: dict[str, np.ndarray], at: np.ndarray) -> np.ndarray:
    """The arc length of points `[S, 2]` along each path `[S, K]`."""
    dx = at[..., None, None, 0] - rows["path_x"]
    dy = at[..., None, None, 1] - rows["path_y"]
    nearest = np.argmin(dx * dx + dy * dy, -1)[..., None]

    def there(row: np.ndarray) -> np.ndarray:
        return np.take_along_axis(row, nearest, -1)[..., 0]

    ahead = there(dx) * there(rows["path_cos"]) + there(dy) * there(rows["path_sin"])
    return there(bank.path_s) + np.clip(ahead, -1, 1)


def stop_lines(bank: Scenario) -> np.ndarray:
    """Where along the first path the lane of each light begins `[S, L]`.

    That is at the light's stop point, less than a metre before the first point of the lane.
    """
    lanes = np.where(bank.path_valid[..., 0, :], bank.path_lane[..., 0, :], -1)
    same = lanes[..., None, :] == bank.light_lane[..., :, None]
    same &= bank.light_valid[..., None] & (bank.light_lane >= 0)[..., None]
    first = np.argmax(same, -1)
    s = np.take_along_axis(bank.path_s[..., 0, :], first, -1)
    path = bank.path_xy[..., 0, :, :]
    point, before = (np.take_along_axis(path, i[..., None], -2) for i in (first, first - 1))
    ahead = ((bank.light_xy - point) * (point - before)).sum(-1)  # points are a metre apart
    s = s + np.where(first > 0, np.clip(ahead, -1, 0), 0)
    return np.where(same.any(-1), s, NO_STOP_LINE)


def _paces(bank: Scenario, mean: np.ndarray) -> np.ndarray:
    """The speed of the ego's route at every point of the paths, or else its mean in the log."""
    count, paths, points = bank.path_s.shape
    paces = np.broadcast_to(mean[:, None, None], (count, paths, points)).copy()
    for i, route in enumerate(bank.agent_route[:, EGO]):
        if route >= 0 and bank.route_len[i, route] > 0:
            paces[i] = _route_paces(bank, i, int(route))
    return np.maximum(paces, SLOWEST_PACE)


def _route_paces(bank: Scenario, i: int, route: int) -> np.ndarray:
    """Paths and routes have a point every metre: they differ by where they begin."""
    used = int(np.ceil(bank.route_len[i, route])) or 1
    xy = bank.route_xy[i, route, :used]
    begins = bank.path_xy[i, :, 0]
    distances = np.linalg.norm(begins[:, None] - xy[None], axis=-1)
    shift = np.argmin(distances, -1)[:, None]
    index = shift + np.arange(bank.path_s.shape[-1])
    return bank.route_vref[i, route][np.minimum(index, used - 1)]
