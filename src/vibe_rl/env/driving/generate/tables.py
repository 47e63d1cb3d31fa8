"""What a drawn scene is as arrays: map, paths, routes, lights and users, without their logs."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.env.driving.generate import curves
from vibe_rl.env.driving.generate.conflicts import conflicts_of
from vibe_rl.env.driving.generate.edges import road_edges
from vibe_rl.env.driving.generate.network import WIDTH, RoadNetwork, Route
from vibe_rl.env.driving.generate.signals import SignalPlan, states
from vibe_rl.env.driving.generate.spawning import Driver
from vibe_rl.env.driving.generate.walking import Walker, put_walkers
from vibe_rl.env.driving.scenarios.codes import CROSSWALK, FAMILIES, ROAD_EDGE, VEHICLE
from vibe_rl.env.driving.scenarios.scenario import NO_STOP_LINE, Dims, Scenario, empty_scenario
from vibe_rl.types import AnyArray

BEHIND = 5.0
"""Metres of a route behind where somebody begins on it."""


class DrawnScene(NamedTuple):
    """All that was decided at random of a scene."""

    family: str
    network: RoadNetwork
    routes: list[Route]
    drivers: list[Driver]  # the ego first
    plan: SignalPlan | None  # of the lights
    walkers: list[Walker]


def scenario_of(drawn: DrawnScene, uid: int, dims: Dims) -> Scenario:
    """The scenario; of logs it has only those of people who walk."""
    scenario = empty_scenario(dims)._replace(
        speed_limit_default=np.float32(max(lane.speed for lane in drawn.network.lanes)),
        family=np.int32(FAMILIES.index(drawn.family)),
        scenario_uid=np.uint32(uid),
    )
    _map(scenario, drawn.network)
    _lights(scenario, drawn)
    _users(scenario, drawn.drivers)
    put_walkers(scenario, len(drawn.drivers), drawn.walkers)
    _routes(scenario, drawn)
    _conflicts(scenario, drawn)
    _paths(scenario, drawn)
    return scenario


def _map(scenario: Scenario, network: RoadNetwork) -> None:
    at = 0
    for i, piece in enumerate(_pieces(network)):
        end = at + len(piece["map_xy"])
        for field, value in ({"map_id": len(network.lanes) + i} | piece).items():
            getattr(scenario, field)[at:end] = value
        scenario.map_valid[at:end] = True
        at = end


def _pieces(network: RoadNetwork) -> Iterator[dict[str, Any]]:
    """Fields of the lanes, edges and crosswalks; lanes say their id."""
    for i, lane in enumerate(network.lanes):
        if lane.drawn:
            of_lane = {"map_id": i, "map_speed": lane.speed, "map_width": WIDTH}
            yield _piece(lane.xy, curves.direction(curves.headings(lane.xy)), lane.kind) | of_lane
    for line in road_edges(network):
        yield _piece(line.xy, line.direction, ROAD_EDGE)
    for corners in network.crossings:
        outline = curves.resampled(np.concatenate([corners, corners[:1]]))
        yield _piece(outline, curves.direction(curves.headings(outline)), CROSSWALK)


def _piece(xy: AnyArray, ahead: AnyArray, kind: int) -> dict[str, Any]:
    return {"map_xy": xy, "map_dir": ahead, "map_type": kind}


def _lights(scenario: Scenario, drawn: DrawnScene) -> None:
    if drawn.plan is None:
        return
    for i, (lane, phase) in enumerate(drawn.network.lights.items()):
        scenario.light_xy[i] = drawn.network.lanes[lane].xy[0]
        scenario.light_lane[i], scenario.light_valid[i] = lane, True
        scenario.light_state[i] = states(drawn.plan, phase, scenario.light_state.shape[1])


def _users(scenario: Scenario, drivers: list[Driver]) -> None:
    n = len(drivers)
    scenario.obj_type[:n] = VEHICLE
    scenario.agent_route[:n] = np.arange(n)
    scenario.size[:n] = [driver.size for driver in drivers]
    scenario.agent_v0[:n] = [driver.v for driver in drivers]
    scenario.agent_speed_factor[:n] = [driver.factor for driver in drivers]
    scenario.agent_s0[:n] = [driver.s - _cut(driver) for driver in drivers]


def _cut(driver: Driver) -> float:
    """Metres of its route that are left away, a whole number of them."""
    return float(max(int(driver.s - BEHIND), 0))


def _routes(scenario: Scenario, drawn: DrawnScene) -> None:
    """Everybody's own, cut short behind them."""
    lights = list(drawn.network.lights)
    n = scenario.route_vref.shape[1]
    for i, driver in enumerate(drawn.drivers):
        route, first = drawn.routes[driver.route], int(_cut(driver))
        scenario.route_xy[i] = _extended(route, first, n)
        scenario.route_yaw[i] = _held(route.yaw[first:], n)
        scenario.route_vref[i] = _held(route.pace[first:], n)
        scenario.route_len[i] = n - 1
        for lane, start in zip(route.lanes, route.starts, strict=True):
            if drawn.plan is not None and lane in lights and start >= first:
                scenario.route_light[i] = lights.index(lane)
                scenario.route_stop_s[i] = min(start - first, NO_STOP_LINE)


def _extended(route: Route, first: int, n: int) -> Any:
    """Points from `first` on, straight on beyond the last."""
    xy = route.xy[first : first + n]
    beyond = np.arange(1, n - len(xy) + 1)[:, None] * curves.direction(route.yaw[-1])
    return np.concatenate([xy, xy[-1] + beyond])


def _held(x: Any, n: int) -> Any:
    return np.pad(x[:n], (0, max(0, n - len(x))), "edge")


def _conflicts(scenario: Scenario, drawn: DrawnScene) -> None:
    """Those between the ways that were cut short: what lies behind is none."""
    of_routes = conflicts_of(drawn.network, drawn.routes)
    way = [driver.route for driver in drawn.drivers]
    behind = np.array([_cut(driver) for driver in drawn.drivers])
    n, pairs = len(way), np.ix_(way, way)
    s = of_routes.s[pairs] - behind[:, None]
    other_s = of_routes.other_s[pairs] - behind[None]
    there = np.isfinite(s) & (s >= 0) & (other_s >= 0)
    scenario.conflict_s[:n, :n] = np.where(there, s, np.inf)
    scenario.conflict_other_s[:n, :n] = np.where(there, other_s, np.inf)
    scenario.must_yield[:n, :n] = of_routes.must_yield[pairs] & there


def _paths(scenario: Scenario, drawn: DrawnScene) -> None:
    """The ego's way first, then the others that begin on its lane."""
    ego = drawn.drivers[0]
    first, own = int(_cut(ego)), drawn.routes[ego.route]
    others = [
        route
        for route in drawn.routes
        if route.lanes[0] == own.lanes[0] and route.lanes != own.lanes
    ]
    for k, route in enumerate([own, *others][: len(scenario.path_on_route)]):
        n = min(len(route.xy) - first, scenario.path_s.shape[1])
        scenario.path_xy[k, :n] = route.xy[first : first + n]
        scenario.path_lane[k, :n] = route.lane[first : first + n]
        scenario.path_s[k, :n] = np.arange(n)
        scenario.path_valid[k, :n] = True
