"""A scene drawn at random: a road, the people on it, and the lights."""

import numpy as np

from vibe_rl.env.driving.generate import spawning
from vibe_rl.env.driving.generate.families import TABLE
from vibe_rl.env.driving.generate.lane_changes import add_lane_changes
from vibe_rl.env.driving.generate.network import RoadNetwork, Route, route_of
from vibe_rl.env.driving.generate.signals import SignalPlan, signal_plan_of
from vibe_rl.env.driving.generate.spawning import Driver
from vibe_rl.env.driving.generate.tables import DrawnScene
from vibe_rl.env.driving.generate.walking import crossing
from vibe_rl.env.driving.knobs import Knobs

MOST = 16
"""Road users."""


def draw_scene(rng: np.random.Generator, family: str, knobs: Knobs) -> DrawnScene:
    """One scene of a family, which may turn out not to be one that can be driven."""
    network = TABLE[family].build(rng, knobs.speed_scale)
    routes = [route_of(network, lanes) for lanes in network.routes]
    places = TABLE[family].places(routes)
    everybody = [spawning.ego(rng, routes, places, knobs)]
    if family == "highway":
        everybody += add_lane_changes(rng, network, routes, everybody[0], knobs)
    everybody = spawning.fill(rng, routes, places, everybody, knobs)
    plan = _plan(rng, network, routes, everybody[0], knobs)
    walkers = crossing(rng, network, knobs.pedestrian_rate, MOST - len(everybody))
    return DrawnScene(family, network, routes, everybody, plan, walkers)


def _plan(
    rng: np.random.Generator, network: RoadNetwork, routes: list[Route], ego: Driver, knobs: Knobs
) -> SignalPlan | None:
    if not network.lights:
        return None
    if rng.random() >= knobs.red_on_arrival_rate:
        return signal_plan_of(rng, knobs.yellow, None)
    route = routes[ego.route]
    lane = next(lane for lane in route.lanes if lane in network.lights)
    distance = route.starts[route.lanes.index(lane)] - ego.s
    arrival = max(distance, 0.0) / max(ego.v, 1.0)
    return signal_plan_of(rng, knobs.yellow, (network.lights[lane], arrival))
