"""Who drives where at the beginning, how fast, and how large they are."""

from typing import NamedTuple

import numpy as np

from vibe_rl.env.driving.generate.network import Route
from vibe_rl.env.driving.knobs import Knobs
from vibe_rl.types import AnyArray

SAME_LANE, APART = 14.0, 9.0
"""Metres between the middles of those on one lane, and of any two."""
TRIES = 12
"""Places that are tried for each of the others."""
GENTLE = 2.5
"""m/s2, with which one could stop behind whoever is ahead at the beginning."""
SIDE_BY_SIDE = 3.0
"""Metres between those who drive beside each other on the lanes of one road."""


class Driver(NamedTuple):
    """One road user at frame 0."""

    route: int
    s: float  # metres along the route
    v: float  # m/s
    factor: float  # times the route's speed
    size: tuple[float, float, float]  # metres: length, width, height


class Places(NamedTuple):
    """Where a family puts people, in metres along their routes."""

    ego: list[tuple[int, tuple[float, float]]]  # routes, one of which is drawn
    others: dict[int, tuple[float, float]]  # by route


def ego(rng: np.random.Generator, routes: list[Route], places: Places, knobs: Knobs) -> Driver:
    """The vehicle that is driven."""
    route, where = places.ego[rng.integers(len(places.ego))]
    return draw_driver(rng, routes, route, rng.uniform(*where), knobs)


def fill(
    rng: np.random.Generator,
    routes: list[Route],
    places: Places,
    everybody: list[Driver],
    knobs: Knobs,
) -> list[Driver]:
    """Those that are there, the ego first, and as many more as the scene is to have."""
    wanted = 1 + int(rng.integers(knobs.fewest_agents, knobs.most_agents + 1))
    everybody = everybody[:wanted]
    if len(everybody) < wanted and rng.random() < knobs.slow_leader_rate:
        everybody = everybody + _slow_leader(rng, routes, everybody, knobs)
    for _ in range(TRIES * wanted):
        if len(everybody) == wanted:
            break
        way = int(rng.choice(list(places.others)))
        new = draw_driver(rng, routes, way, rng.uniform(*places.others[way]), knobs)
        if is_free(routes, everybody, new):
            everybody = [*everybody, new]
    return careful(routes, everybody)


def is_free(routes: list[Route], everybody: list[Driver], new: Driver) -> bool:
    """Whether nobody is near the place of a new one."""
    xy, lane = _place(routes, new)
    for old in everybody:
        old_xy, old_lane = _place(routes, old)
        room = (old.size[0] + new.size[0]) / 2
        least = max(SAME_LANE, room + 5) if lane == old_lane else max(APART, room + 2)
        if lane != old_lane and _beside(routes, old, new):
            least = SIDE_BY_SIDE
        if np.hypot(*(xy - old_xy)) < least:
            return False
    return True


def _beside(routes: list[Route], a: Driver, b: Driver) -> bool:
    """Whether they drive the same way, on other lanes."""
    turn = routes[a.route].yaw[int(a.s)] - routes[b.route].yaw[int(b.s)]
    return bool(np.cos(turn) > np.cos(np.deg2rad(5)))


def careful(routes: list[Route], everybody: list[Driver]) -> list[Driver]:
    """The same, none so fast that the next on its lane cannot be kept from."""
    places = [_place(routes, driver) for driver in everybody]
    order = sorted(range(len(everybody)), key=lambda i: -everybody[i].s)
    calm = list(everybody)
    for i in order:
        for j in order:
            ahead = calm[j].s - calm[i].s
            if places[i][1] != places[j][1] or ahead <= 0:
                continue
            room = np.hypot(*(places[i][0] - places[j][0]))
            room -= (calm[i].size[0] + calm[j].size[0]) / 2 + 2
            most = np.sqrt(calm[j].v ** 2 + 2 * GENTLE * max(room, 0))
            calm[i] = calm[i]._replace(v=min(calm[i].v, float(most)))
    return calm


def _size_of(rng: np.random.Generator, truck_share: float) -> tuple[float, float, float]:
    """Of a car, or of a truck."""
    if rng.random() < truck_share:
        return rng.uniform(7, 10), 2.3, rng.uniform(2.8, 3.8)
    return rng.uniform(4.2, 5.2), rng.uniform(1.75, 2.05), rng.uniform(1.4, 1.8)


def draw_driver(
    rng: np.random.Generator, routes: list[Route], route: int, s: float, knobs: Knobs
) -> Driver:
    """A road user at a place of a route."""
    factor, pace = rng.uniform(0.75, 1.05), routes[route].pace[int(s)]
    v = pace * factor * rng.uniform(0.7, 1)
    return Driver(route, s, v, factor, _size_of(rng, knobs.truck_share))


def _slow_leader(
    rng: np.random.Generator, routes: list[Route], everybody: list[Driver], knobs: Knobs
) -> list[Driver]:
    first, factor = everybody[0], rng.uniform(0.3, 0.7)
    s = first.s + rng.uniform(12, 45)
    if s > len(routes[first.route].pace) - 1:
        return []
    leader = draw_driver(rng, routes, first.route, s, knobs)
    v = routes[first.route].pace[int(s)] * factor * rng.uniform(0.7, 1)
    leader = leader._replace(factor=factor, v=v)
    return [leader] if is_free(routes, everybody, leader) else []


def _place(routes: list[Route], driver: Driver) -> tuple[AnyArray, int]:
    route = routes[driver.route]
    return route.xy[int(driver.s)], int(route.lane[int(driver.s)])
