"""The rules that a scenario has to keep, a line each; `validate` says which one it breaks."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.env.driving.scenarios.codes import (
    CAUTION_LIGHTS,
    EDGES,
    FAMILIES,
    GO_LIGHTS,
    LANES,
    OTHER,
    SPEED_BUMP,
    STOP_LIGHTS,
)
from vibe_rl.env.driving.scenarios.scenario import EGO, NO_STOP_LINE, Scenario, dtype_of
from vibe_rl.types import AnyArray

UNIT = 1e-3
"""How far from 1 the length of a direction may be."""
SPACING = (0.5, 1.05)
"""Metres between points of a path or route: a chord is shorter than the arc of 1 m."""
LAST_LIGHT = max(*STOP_LIGHTS, *CAUTION_LIGHTS, *GO_LIGHTS)


class Rule(NamedTuple):
    """Where a field is wrong, as a mask over its first axes, and what to do there."""

    field: str
    bad: Callable[[Scenario], AnyArray]
    remedy: str


def _not_finite(field: str, s: Scenario) -> AnyArray:
    return ~np.isfinite(getattr(s, field))


def _no_arc_length(field: str, s: Scenario) -> AnyArray:
    return ~(getattr(s, field) >= 0)


def _outside(field: str, least: int, most: int, s: Scenario) -> AnyArray:
    array = getattr(s, field)
    return (array < least) | (array > most)


def _ego_missing(s: Scenario) -> AnyArray:
    bad = np.zeros_like(s.log_valid)
    bad[EGO] = ~s.log_valid[EGO]
    return bad


def _turned(s: Scenario) -> AnyArray:
    return s.log_valid & (np.abs(s.log_yaw) > np.float32(np.pi))


def _no_size(s: Scenario) -> AnyArray:
    return s.log_valid.any(1)[:, None] & (s.size <= 0)


def _reacts_nowhere(s: Scenario) -> AnyArray:
    return s.reactive & (s.agent_route < 0)


def _map_steps(s: Scenario) -> AnyArray:
    """[P] whether a point has the id of the one before it, both valid."""
    same = (s.map_id[1:] == s.map_id[:-1]) & s.map_valid[1:] & s.map_valid[:-1]
    return np.concatenate([[False], same])


def _in_pieces(s: Scenario) -> AnyArray:
    """[P] first points of the second and later pieces of an id."""
    begins = np.flatnonzero(s.map_valid & ~_map_steps(s))
    bad = np.ones(len(s.map_id), bool)
    bad[begins[np.unique(s.map_id[begins], return_index=True)[1]]] = False
    later = np.zeros_like(bad)
    later[begins] = bad[begins]
    return later


def _mixed_types(s: Scenario) -> AnyArray:
    return _map_steps(s) & (s.map_type != np.concatenate([s.map_type[:1], s.map_type[:-1]]))


def _no_direction(s: Scenario) -> AnyArray:
    return s.map_valid & (np.abs(np.linalg.norm(s.map_dir, axis=1) - 1) > UNIT)


def _no_limit(s: Scenario) -> AnyArray:
    return s.map_valid & ~((s.map_speed > 0) | (s.map_speed == -1))


def _no_width(s: Scenario) -> AnyArray:
    return s.map_valid & np.isin(s.map_type, LANES) & (s.map_width <= 0)


def _no_road(s: Scenario) -> AnyArray:
    """[] whether none of the points is there that say where the road ends."""
    return ~(s.map_valid & np.isin(s.map_type, EDGES if s.has_edges else LANES)).any()


def _lights_of_no_lane(s: Scenario) -> AnyArray:
    lanes = s.map_id[s.map_valid & np.isin(s.map_type, LANES)]
    known = np.concatenate([lanes, s.path_lane[s.path_valid]])
    return s.light_valid & ~np.isin(s.light_lane, known)


def _light_states(s: Scenario) -> AnyArray:
    return s.light_valid[:, None] & _outside("light_state", 0, LAST_LIGHT, s)


def _no_logged_path(s: Scenario) -> AnyArray:
    bad = np.zeros_like(s.path_valid)
    bad[0, :2] = ~s.path_valid[0, :2]
    return bad


def _holes(s: Scenario) -> AnyArray:
    bad = np.zeros_like(s.path_valid)
    bad[:, :-1] = ~s.path_valid[:, :-1] & s.path_valid[:, 1:]
    return bad


def _later(valid: AnyArray, wrong: AnyArray) -> AnyArray:
    """A mask over points from one over the steps between those that are valid."""
    bad = np.zeros_like(valid)
    bad[:, 1:] = valid[:, 1:] & valid[:, :-1] & wrong
    return bad


def _spaced(xy: AnyArray) -> AnyArray:
    """Steps between points that are not 1 m apart."""
    step = np.hypot(*np.moveaxis(np.diff(xy, axis=1), -1, 0))
    return (step < SPACING[0]) | (step > SPACING[1])


def _backwards(s: Scenario) -> AnyArray:
    return _later(s.path_valid, np.diff(s.path_s, axis=1) <= 0)


def _path_steps(s: Scenario) -> AnyArray:
    return _later(s.path_valid, _spaced(s.path_xy))


def _off_the_log(s: Scenario) -> AnyArray:
    bad = np.zeros_like(s.path_on_route)
    bad[0] = not s.path_on_route[0]
    return bad


def _on_route(s: Scenario) -> AnyArray:
    """[R, Q] which points of the routes are within their lengths."""
    return np.arange(s.route_xy.shape[1]) <= s.route_len[:, None] - 1


def _route_lengths(s: Scenario) -> AnyArray:
    return ~((s.route_len >= 0) & (s.route_len <= s.route_xy.shape[1]))


def _route_steps(s: Scenario) -> AnyArray:
    return _later(_on_route(s), _spaced(s.route_xy))


def _wound(s: Scenario) -> AnyArray:
    return _later(_on_route(s), np.abs(np.diff(s.route_yaw, axis=1)) > np.pi)


def _no_speed(s: Scenario) -> AnyArray:
    return _on_route(s) & ~(s.route_vref > 0)


def _unknown_lights(s: Scenario) -> AnyArray:
    there = np.append(s.light_valid, False)  # the last is that of -1
    within = (s.route_light >= -1) & (s.route_light < len(s.light_valid))
    return ~within | ((s.route_light != -1) & ~there[np.where(within, s.route_light, -1)])


def _no_stop_line(s: Scenario) -> AnyArray:
    controlled = (s.route_light >= 0) & (s.route_len > 0)
    return ~(s.route_stop_s >= 0) | (controlled & (s.route_stop_s >= NO_STOP_LINE))


def _half_conflicts(s: Scenario) -> AnyArray:
    return np.isinf(s.conflict_s) != np.isinf(s.conflict_other_s)


def _both_yield(s: Scenario) -> AnyArray:
    return s.must_yield & (s.must_yield.T | ~np.isfinite(s.conflict_s))


def _no_route(s: Scenario) -> AnyArray:
    within = (s.agent_route >= -1) & (s.agent_route < len(s.route_len))
    there = np.append(s.route_len > 0, True)  # the last is that of -1
    return ~within | ~there[np.where(within, s.agent_route, -1)]


def _of_routed(wrong: Callable[[Scenario, AnyArray], AnyArray], s: Scenario) -> AnyArray:
    """A mask over road users that have a route; `wrong` gets its length."""
    routed = (s.agent_route >= 0) & ~_no_route(s)
    return routed & wrong(s, s.route_len[np.where(routed, s.agent_route, 0)])


_FLOATS = [field for field in Scenario._fields if dtype_of(field) == np.float32]
_CONFLICTS = ("conflict_s", "conflict_other_s")


def _codes(field: str, least: int, most: int) -> Rule:
    return Rule(field, partial(_outside, field, least, most), f"give a code from {least} to {most}")


def _routed(field: str, wrong: Callable[[Scenario, AnyArray], Any], remedy: str) -> Rule:
    return Rule(field, partial(_of_routed, wrong), remedy)


_ONE_METRE = "resample it, so that its points are 1 m apart"
RULES = (
    *(
        Rule(field, partial(_not_finite, field), "give a finite number, 0 where nothing is valid")
        for field in _FLOATS
        if field not in _CONFLICTS
    ),
    *(
        Rule(field, partial(_no_arc_length, field), "give an arc length, inf where there is none")
        for field in _CONFLICTS
    ),
    Rule(
        "log_valid",
        _ego_missing,
        "cut another window, or fill the gap: the ego has to be valid in every frame",
    ),
    Rule("log_yaw", _turned, "give an angle within (-pi, pi]"),
    Rule("size", _no_size, "give length, width and height above 0"),
    _codes("obj_type", 0, OTHER),
    Rule("reactive", _reacts_nowhere, "give it a route by agent_route, or let it follow its log"),
    _codes("map_type", -1, SPEED_BUMP),
    Rule("map_id", _in_pieces, "keep all points of an id together, or give each piece its own"),
    Rule("map_type", _mixed_types, "give all points of an id one type"),
    Rule("map_dir", _no_direction, "divide the direction by its length"),
    Rule("map_speed", _no_limit, "give a limit above 0 in m/s, or -1 where it is unknown"),
    Rule("map_width", _no_width, "give the lane's width in metres"),
    Rule("has_edges", _no_road, "give edges where it is True, lanes where it is False"),
    Rule("light_lane", _lights_of_no_lane, "name a lane of the map or of a path"),
    Rule("light_state", _light_states, f"give a code from 0 to {LAST_LIGHT}"),
    Rule("path_valid", _no_logged_path, "give the logged drive as path 0, at least 2 points of it"),
    Rule("path_valid", _holes, "move the valid points of a path to its front"),
    Rule("path_s", _backwards, "give arc lengths that grow along the path"),
    Rule("path_xy", _path_steps, _ONE_METRE),
    Rule("path_on_route", _off_the_log, "path 0 leads where the log does, for it is the log"),
    Rule("route_len", _route_lengths, "give a length from 0 to the number of its points"),
    Rule("route_xy", _route_steps, _ONE_METRE),
    Rule("route_yaw", _wound, "unwrap the headings along the route"),
    Rule("route_vref", _no_speed, "give a speed above 0"),
    Rule("route_light", _unknown_lights, "give the index of a valid light, or -1"),
    Rule("route_stop_s", _no_stop_line, f"give an arc length, {NO_STOP_LINE:g} only without light"),
    Rule("conflict_other_s", _half_conflicts, "give both arc lengths of a conflict, or inf twice"),
    Rule("must_yield", _both_yield, "let one of two routes yield, and only at a conflict"),
    Rule("agent_route", _no_route, "give the index of a route that has a length, or -1"),
    _routed("agent_s0", lambda s, end: (s.agent_s0 < 0) | (s.agent_s0 > end), "start on the route"),
    _routed("agent_v0", lambda s, _: s.agent_v0 < 0, "give a speed of 0 or more"),
    _routed("agent_speed_factor", lambda s, _: s.agent_speed_factor <= 0, "give one above 0"),
    Rule(
        "speed_limit_default", lambda s: s.speed_limit_default <= 0, "give a limit above 0 in m/s"
    ),
    _codes("family", 0, len(FAMILIES) - 1),
)
