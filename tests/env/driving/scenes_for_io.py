"""A small scene: a straight road along x with a light, two vehicles, a path and two routes."""

import numpy as np

from vibe_rl.env.driving.scenarios.codes import GREEN, RED, SURFACE_LANE, VEHICLE
from vibe_rl.env.driving.scenarios.scenario import DT, Dims, Scenario, empty_scenario

DIMS = Dims(N=3, T=14, P=80, L=2, K=2, Q=24, R=3)
LANE, OTHER_LANE = 7, 9


def scene(uid: int = 1, speed: float = 5.0, family: int = 2, dims: Dims = DIMS) -> Scenario:
    """The ego drives along the lane `LANE` from (0, 0); a second one beside it, to the left."""
    s = empty_scenario(dims)
    t = np.arange(dims.T) * DT
    for user, y in enumerate((0.0, 4.0)):
        s.log_xy[user] = np.stack([speed * t, np.full(dims.T, y)], 1)
        s.log_vel[user] = speed, 0.0
        s.log_valid[user] = True
        s.size[user] = 4.5, 1.9, 1.6
        s.obj_type[user] = VEHICLE
        s.agent_route[user] = user
        s.agent_v0[user] = speed
        s.agent_speed_factor[user] = 1.0
    s.reactive[1] = True
    _road(s)
    _ways(s)
    return s._replace(
        speed_limit_default=np.float32(13.0),
        family=np.int32(family),
        scenario_uid=np.uint32(uid),
    )


def _road(s: Scenario) -> None:
    """Two lanes of 30 points, a light on the first."""
    for lane, (begin, y) in {LANE: (0, 0.0), OTHER_LANE: (30, 4.0)}.items():
        points = slice(begin, begin + 30)
        s.map_xy[points] = np.stack([np.arange(30.0), np.full(30, y)], 1)
        s.map_dir[points] = 1.0, 0.0
        s.map_type[points] = SURFACE_LANE
        s.map_id[points] = lane
        s.map_speed[points] = 13.0
        s.map_width[points] = 3.7
        s.map_valid[points] = True
    s.light_xy[0] = 15.0, 0.0
    s.light_lane[0] = LANE
    s.light_state[0] = [GREEN] * 7 + [RED] * (s.light_state.shape[1] - 7)
    s.light_valid[0] = True


def _ways(s: Scenario) -> None:
    points = s.path_s.shape[1]
    along = np.arange(points, dtype=np.float32)
    s.path_xy[0] = np.stack([along, np.zeros(points)], 1)
    s.path_s[0] = along
    s.path_lane[0] = LANE
    s.path_valid[0] = True
    s.path_on_route[0] = True
    for route, y in enumerate((0.0, 4.0)):
        s.route_xy[route] = np.stack([along, np.full(points, y)], 1)
        s.route_vref[route] = 13.0
        s.route_len[route] = points - 1
    s.route_light[0], s.route_stop_s[0] = 0, 15.0
    s.conflict_s[0, 1] = s.conflict_other_s[0, 1] = 8.0
    s.must_yield[0, 1] = True
