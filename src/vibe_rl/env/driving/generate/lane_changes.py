"""Vehicles that change lanes on a highway: before the ego, or anywhere."""

import numpy as np

from vibe_rl.env.driving.generate import spawning
from vibe_rl.env.driving.generate.highway import LENGTH, lane_change
from vibe_rl.env.driving.generate.network import Lane, RoadNetwork, Route, route_of
from vibe_rl.env.driving.generate.spawning import Driver
from vibe_rl.env.driving.knobs import Knobs

AHEAD = (10.0, 25.0)
"""Metres before the ego at which a neighbour is who changes into its lane."""
DURING = (40.0, 60.0)
"""Metres that a change takes."""
SOON = (2.0, 15.0)
"""Metres after which it begins."""
FACTOR = (0.6, 0.9)
"""Times the road's speed: slower than most."""


def add_lane_changes(
    rng: np.random.Generator, network: RoadNetwork, routes: list[Route], ego: Driver, knobs: Knobs
) -> list[Driver]:
    """Those who change lanes; their ways are added to the network and the routes."""
    count, everybody = len(network.lanes), [ego]
    if rng.random() < knobs.lane_change_in_front_rate:
        lane = _neighbour(rng, ego.route, count)
        s = ego.s + rng.uniform(*AHEAD)
        everybody += _changer(rng, network, routes, everybody, (lane, ego.route, s), knobs)
    if rng.random() < knobs.cut_in_rate:
        lane = int(rng.integers(count))
        s, to = rng.uniform(20, LENGTH - 150), _neighbour(rng, lane, count)
        everybody += _changer(rng, network, routes, everybody, (lane, to, s), knobs)
    return everybody[1:]


def _neighbour(rng: np.random.Generator, lane: int, count: int) -> int:
    return int(rng.choice([i for i in (lane - 1, lane + 1) if 0 <= i < count]))


def _changer(
    rng: np.random.Generator,
    network: RoadNetwork,
    routes: list[Route],
    everybody: list[Driver],
    change: tuple[int, int, float],
    knobs: Knobs,
) -> list[Driver]:
    """One who goes from a lane to another, at a place; nobody where there is no room."""
    lane, to, s = change
    way: Lane = lane_change(
        network.lanes[lane], to > lane, s + rng.uniform(*SOON), rng.uniform(*DURING)
    )
    network.lanes.append(way)
    network.routes.append((len(network.lanes) - 1,))
    routes.append(route_of(network, network.routes[-1]))
    new = spawning.draw_driver(rng, routes, len(routes) - 1, s, knobs)
    factor = rng.uniform(*FACTOR)
    new = new._replace(factor=factor, v=routes[-1].pace[int(s)] * factor)
    return [new] if spawning.is_free(routes, everybody, new) else []
