"""Straight roads with two lanes, other vehicles and a light, written by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vibe_rl.env.driving.scenarios import codes
from vibe_rl.env.driving.scenarios.scenario import DT, Dims, Scenario, empty_scenario, stacked

DIMS = Dims(N=4, T=91, P=512, L=2, K=2, Q=160, R=2)
WIDTH = 3.7
LENGTH = 120


def straight(
    speed: float = 10.0,
    others: Sequence[tuple[float, int, float]] = ((40.0, 0, 5.0),),
    red: bool = False,
    edges: bool = False,
    dims: Dims = DIMS,
    uid: int = 0,
    limit: float = 15.0,
) -> Scenario:
    """The ego drives along x from x = 10 in the right one of two lanes.

    Args:
        speed: of the ego, m/s.
        others: x at frame 0, lane (0 the ego's, 1 to its left) and speed.
        red: whether a light at x = 80 is red, and not green.
        edges: whether edges say where the road ends.
        dims: slots.
        uid: of the scene.
        limit: m/s.
    """
    scene = empty_scenario(dims)
    _drive(scene, 0, 10.0, 0.0, speed)
    for i, (x, lane, v) in enumerate(others, 1):
        _drive(scene, i, x, lane * WIDTH, v)
    at = 0
    for lane in (0, 1):
        at = _line(scene, at, codes.SURFACE_LANE, lane, lane * WIDTH, limit=limit)
    at = _line(scene, at, codes.ROAD_EDGE, 10, -WIDTH / 2)
    _line(scene, at, codes.ROAD_EDGE, 11, 1.5 * WIDTH, back=True)
    for k in (0, 1):
        _path(scene, k)
    scene.light_xy[0], scene.light_lane[0], scene.light_valid[0] = (80, 0), 5, True
    scene.light_state[0] = codes.RED if red else codes.GREEN
    _route(scene, speed)
    return scene._replace(
        has_edges=np.bool_(edges),
        family=np.int32(4),
        scenario_uid=np.uint32(uid),
        speed_limit_default=np.float32(limit),
    )


def _drive(scene: Scenario, i: int, x: float, y: float, speed: float) -> None:
    frames = scene.log_yaw.shape[1]
    scene.log_xy[i, :, 0] = x + speed * DT * np.arange(frames)
    scene.log_xy[i, :, 1] = y
    scene.log_vel[i, :, 0] = speed
    scene.log_valid[i] = True
    scene.size[i] = (4.0, 2.0, 1.5)
    scene.obj_type[i] = codes.VEHICLE


def _line(
    scene: Scenario,
    at: int,
    kind: int,
    number: int,
    y: float,
    back: bool = False,
    limit: float = -1.0,
) -> int:
    x = np.arange(LENGTH)[:: -1 if back else 1]
    own = slice(at, at + LENGTH)
    scene.map_xy[own] = np.stack([x, np.full(LENGTH, y)], -1)
    scene.map_dir[own] = (-1 if back else 1, 0)
    scene.map_type[own], scene.map_id[own], scene.map_valid[own] = kind, number, True
    scene.map_width[own], scene.map_speed[own] = WIDTH, limit
    return at + LENGTH


def _path(scene: Scenario, k: int) -> None:
    points = LENGTH - 10
    s = np.arange(points, dtype=np.float32)
    scene.path_xy[k, :points] = np.stack([10 + s, np.full(points, k * WIDTH)], -1)
    scene.path_s[k, :points] = s
    scene.path_lane[k, :points] = np.where(s < 70, k, 5 + k)
    scene.path_valid[k, :points] = True
    scene.path_on_route[k] = k == 0


def _route(scene: Scenario, speed: float) -> None:
    scene.route_xy[0, :LENGTH] = np.stack([np.arange(LENGTH), np.zeros(LENGTH)], -1)
    scene.route_vref[0], scene.route_len[0] = max(speed, 1.0), LENGTH
    scene.route_stop_s[0], scene.route_light[0] = 80.0, 0
    scene.agent_route[0], scene.agent_s0[0], scene.agent_v0[0] = 0, 10.0, speed
    scene.agent_speed_factor[0] = 1.0


def bank(**kwargs: Any) -> Scenario:
    """Four different ones, with the same arguments of `straight` for all."""
    return stacked(
        [
            straight(uid=0, **kwargs),
            straight(8.0, others=((35.0, 0, 3.0), (0.0, 1, 12.0)), uid=1, **kwargs),
            straight(6.0, others=(), red=True, uid=2, **kwargs),
            straight(5.0, others=((30.0, 1, 2.0),), uid=3, **kwargs),
        ]
    )
