"""Routes for road users of which only the log is known: each goes on where its log leads.

None of them conflicts with another, and none has a light.
"""

import numpy as np

from vibe_rl.env.driving.io.polylines import (
    every_metre,
    nearest_on_line,
    prolonged,
    without_standing,
)
from vibe_rl.env.driving.motion.paces import paces
from vibe_rl.env.driving.scenarios.codes import LANES
from vibe_rl.env.driving.scenarios.scenario import EGO, Scenario

BESIDE = 4.0
"""Metres from a lane within which its limit counts."""
_LEAST_SPEED = 1.0
_STEP = 0.5


def logged_way(log_xy: np.ndarray, heading: float, points: int) -> np.ndarray:
    """A drive `[t, 2]` as points 1 m apart, going on straight up to `points` of them."""
    driven = without_standing(np.asarray(log_xy, np.float64), _STEP)
    return every_metre(prolonged(driven, float(points), heading))[:points]


def fill_routes(s: Scenario) -> None:
    """Gives road users the ways of their logs as routes, in place: first the ego and who reacts."""
    points, there = s.route_xy.shape[1], s.log_valid.any(1)
    wanted = np.flatnonzero(there)
    order = wanted[np.argsort(~(s.reactive[wanted] | (wanted == EGO)), kind="stable")]
    for route, user in enumerate(order[: len(s.route_len)]):
        frames = np.flatnonzero(s.log_valid[user])
        way = logged_way(s.log_xy[user, frames], float(s.log_yaw[user, frames[0]]), points)
        s.route_xy[route, : len(way)] = way
        heading = np.arctan2(*np.diff(way, axis=0).T[::-1])
        s.route_yaw[route, : len(way)] = np.unwrap(np.append(heading, heading[-1]))
        s.route_len[route] = len(way) - 1
        speed = paces(s.route_yaw[route, : len(way)], limits(s, way))
        s.route_vref[route, : len(way)] = np.maximum(speed, _LEAST_SPEED)
        s.agent_route[user], s.agent_speed_factor[user] = route, 1.0
        s.agent_v0[user] = np.hypot(*s.log_vel[user, frames[0]])
    s.reactive[s.agent_route < 0] = False


def limits(s: Scenario, way: np.ndarray) -> np.ndarray:
    """The limit in m/s at every point of a way: the nearest lane's, or the scenario's."""
    lanes = np.flatnonzero(s.map_valid & np.isin(s.map_type, LANES) & (s.map_speed > 0))
    everywhere = np.full(len(way), s.speed_limit_default, np.float64)
    if not lanes.size:
        return everywhere
    index, distance = nearest_on_line(way, s.map_xy[lanes])
    return np.where(distance < BESIDE, s.map_speed[lanes][index], everywhere)
