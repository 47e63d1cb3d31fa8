"""A scenario: the logged drive of everybody, the map, lights and routes; as arrays of one size.

Units are metres, radians in (-pi, pi], seconds. Slots that nobody fills are not valid, and zero. A
bank is a scenario whose arrays have one more axis in front.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from vibe_rl.errors import ConfigError
from vibe_rl.types import AnyArray

DT = 0.1
"""Seconds between two frames."""
FIRST_FRAME = 10
"""The frame at which an episode begins; those before are the past that is known."""
EGO = 0
"""The slot of the vehicle that is driven."""
NO_STOP_LINE = 1e6
"""The arc length of the stop line of a route that has none."""


class Dims(NamedTuple):
    """How many slots the arrays of a scenario have."""

    N: int = 16  # road users
    T: int = 91  # frames
    P: int = 2560  # map points
    L: int = 16  # lights
    K: int = 4  # paths that the ego may take
    Q: int = 320  # points of a path or route
    R: int = 16  # routes of road users that react


class Scenario(NamedTuple):
    """One scene of `T` frames; float32, int32 and bool, uint32 for `scenario_uid`."""

    log_xy: AnyArray  # [N, T, 2], the ego first
    log_yaw: AnyArray  # [N, T]
    log_vel: AnyArray  # [N, T, 2], m/s
    log_valid: AnyArray  # bool [N, T]
    size: AnyArray  # [N, 3] length, width, height
    obj_type: AnyArray  # int [N], see `codes`
    reactive: AnyArray  # bool [N], whether it may follow a route instead of its log
    map_xy: AnyArray  # [P, 2], lanes, lines, edges and crosswalks, each in one piece
    map_dir: AnyArray  # [P, 2], of length 1; an edge has the road on its left
    map_type: AnyArray  # int [P], see `codes`
    map_id: AnyArray  # int [P], of the lane, line or edge
    map_speed: AnyArray  # [P], the limit in m/s, -1 unknown
    map_width: AnyArray  # [P], of the lane
    map_valid: AnyArray  # bool [P]
    light_xy: AnyArray  # [L, 2], where to stop
    light_lane: AnyArray  # int [L], the lane behind the light
    light_state: AnyArray  # int [L, T], see `codes`
    light_valid: AnyArray  # bool [L]
    path_xy: AnyArray  # [K, Q, 2], ways that the ego may take, points 1 m apart; the logged first
    path_s: AnyArray  # [K, Q], arc length
    path_lane: AnyArray  # int [K, Q], the lane a point lies on
    path_valid: AnyArray  # bool [K, Q]
    path_on_route: AnyArray  # bool [K], whether it leads where the log does
    route_xy: AnyArray  # [R, Q, 2], points 1 m apart
    route_yaw: AnyArray  # [R, Q], unwrapped
    route_vref: AnyArray  # [R, Q], how fast one would drive there, m/s
    route_len: AnyArray  # [R], 0 where there is none
    route_stop_s: AnyArray  # [R], the stop line's arc length, `NO_STOP_LINE` if there is none
    route_light: AnyArray  # int [R], the light there, -1 if there is none
    conflict_s: AnyArray  # [R, R], where the first comes near the second, inf if it never does
    conflict_other_s: AnyArray  # [R, R], the same point along the second
    must_yield: AnyArray  # bool [R, R], whether the first has to let the second pass
    agent_route: AnyArray  # int [N], -1 if it has none
    agent_s0: AnyArray  # [N], arc length at frame 0
    agent_v0: AnyArray  # [N], m/s at frame 0
    agent_speed_factor: AnyArray  # [N], times a route's speed
    speed_limit_default: AnyArray  # [], m/s, where the map does not say
    family: AnyArray  # int [], see `codes`
    scenario_uid: AnyArray  # uint32 []
    has_edges: AnyArray  # bool [], whether edges and not lanes say where the road ends


_INTEGERS = (
    *("obj_type", "map_type", "map_id", "light_lane", "light_state", "path_lane"),
    *("route_light", "agent_route", "family"),
)
_FLAGS = (
    *("log_valid", "reactive", "map_valid", "light_valid", "path_valid", "path_on_route"),
    *("must_yield", "has_edges"),
)
_FILLING = {
    **dict.fromkeys(("map_type", "map_id", "map_speed", "light_lane", "path_lane"), -1),
    **dict.fromkeys(("route_light", "agent_route"), -1),
    **dict.fromkeys(("conflict_s", "conflict_other_s"), np.inf),
    "route_stop_s": NO_STOP_LINE,
}
_AXES = {
    **{"log_xy": "NT2", "log_yaw": "NT", "log_vel": "NT2", "log_valid": "NT", "size": "N3"},
    **dict.fromkeys(("obj_type", "reactive"), "N"),
    **dict.fromkeys(("map_xy", "map_dir"), "P2"),
    **dict.fromkeys(("map_type", "map_id", "map_speed", "map_width", "map_valid"), "P"),
    **{"light_xy": "L2", "light_lane": "L", "light_state": "LT", "light_valid": "L"},
    **{"path_xy": "KQ2", "path_s": "KQ", "path_lane": "KQ", "path_valid": "KQ"},
    **{"path_on_route": "K", "route_xy": "RQ2", "route_yaw": "RQ", "route_vref": "RQ"},
    **dict.fromkeys(("route_len", "route_stop_s", "route_light"), "R"),
    **dict.fromkeys(("conflict_s", "conflict_other_s", "must_yield"), "RR"),
    **dict.fromkeys(("agent_route", "agent_s0", "agent_v0", "agent_speed_factor"), "N"),
    **dict.fromkeys(("speed_limit_default", "family", "scenario_uid", "has_edges"), ""),
}


def dtype_of(field: str) -> np.dtype[Any]:
    """The type of a field's array."""
    if field == "scenario_uid":
        return np.dtype(np.uint32)
    if field in _FLAGS:
        return np.dtype(bool)
    return np.dtype(np.int32 if field in _INTEGERS else np.float32)


def shape_of(field: str, dims: Dims) -> tuple[int, ...]:
    """The shape of a field's array in one scenario."""
    return tuple(int(axis) if axis.isdigit() else getattr(dims, axis) for axis in _AXES[field])


def empty_scenario(dims: Dims = Dims()) -> Scenario:  # noqa: B008 - immutable
    """A scenario in which nothing is valid."""
    return Scenario(
        *(
            np.full(shape_of(field, dims), _FILLING.get(field, 0), dtype_of(field))
            for field in Scenario._fields
        )
    )


def dims_of(scenario: Scenario) -> Dims:
    """The slots that the arrays of a scenario, or of a bank, have."""
    users, frames = scenario.log_yaw.shape[-2:]
    paths, points = scenario.path_s.shape[-2:]
    return Dims(
        N=users,
        T=frames,
        P=scenario.map_type.shape[-1],
        L=scenario.light_lane.shape[-1],
        K=paths,
        Q=points,
        R=scenario.route_len.shape[-1],
    )


def bytes_of(count: int, dims: Dims = Dims()) -> int:  # noqa: B008 - immutable
    """The bytes that a bank of `count` scenarios takes."""
    sizes = (
        int(np.prod(shape_of(field, dims))) * dtype_of(field).itemsize for field in Scenario._fields
    )
    return count * sum(sizes)


def padded_scenario(scenario: Scenario, dims: Dims) -> Scenario:
    """The scenario with as many slots as `dims` says; those that are added are not valid.

    Raises:
        ConfigError: an array is larger than that.
    """
    return Scenario(
        *(
            _padded(field, np.asarray(array), shape_of(field, dims))
            for field, array in zip(Scenario._fields, scenario, strict=True)
        )
    )


def _padded(field: str, array: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    if array.ndim != len(shape) or any(np.greater(array.shape, shape)):
        raise ConfigError(
            f"{field} of a scenario has the shape {array.shape}: give more slots than {shape}, or "
            "leave some of them away."
        )
    whole = np.full(shape, _FILLING.get(field, 0), dtype_of(field))
    whole[tuple(slice(size) for size in array.shape)] = array
    return whole


def stacked(scenarios: Sequence[Scenario]) -> Scenario:
    """A bank of scenarios that have the same slots."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *scenarios)


def chosen(bank: Scenario, index: Any) -> Scenario:
    """One scenario of a bank, or the bank of some."""
    return jax.tree.map(lambda array: array[index], bank)


def count_of(bank: Scenario) -> int:
    """How many scenarios a bank has."""
    return len(bank.scenario_uid)
