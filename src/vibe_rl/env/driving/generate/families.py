"""The four kinds of scenes: their roads, and where people are on them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vibe_rl.env.driving.generate import highway, intersection, merge, roundabout
from vibe_rl.env.driving.generate.network import RoadNetwork, Route
from vibe_rl.env.driving.generate.spawning import Places

SECONDS = 9.0
"""The length of a log."""
MARGIN = 12.0
"""Metres before the end of the road at which the ego is no later."""


class Family(NamedTuple):
    """A kind of scene."""

    build: Callable[[np.random.Generator, float], RoadNetwork]
    places: Callable[[list[Route]], Places]


def _on_highway(routes: list[Route]) -> Places:
    last = highway.LENGTH - MARGIN - SECONDS * 1.05 * routes[0].pace.max()
    ego = (60.0, min(150.0, max(last, 61.0)))
    return Places([(way, ego) for way in range(len(routes))], _spread(len(routes), 10.0, 330.0))


def _at_merge(routes: list[Route]) -> Places:
    ramp, main = 2, 0
    others = {main: (0.0, 300.0), 1: (0.0, 300.0), ramp: (0.0, 120.0)}
    mostly = 4 * [(ramp, (10.0, 90.0))]
    return Places([*mostly, (main, (60.0, 100.0))], others)


def _at_intersection(routes: list[Route]) -> Places:
    ways = range(len(routes))
    return Places([(way, (40.0, 95.0)) for way in ways], dict.fromkeys(ways, (2.0, 105.0)))


def _at_roundabout(routes: list[Route]) -> Places:
    ways = range(len(routes))
    return Places([(way, (35.0, 80.0)) for way in ways], dict.fromkeys(ways, (2.0, 85.0)))


def _spread(count: int, least: float, most: float) -> dict[int, tuple[float, float]]:
    return dict.fromkeys(range(count), (least, most))


TABLE: dict[str, Family] = {
    "highway": Family(highway.build_roads, _on_highway),
    "merge": Family(merge.build_roads, _at_merge),
    "intersection": Family(intersection.build_roads, _at_intersection),
    "roundabout": Family(roundabout.build_roads, _at_roundabout),
}
"""By the names in `codes.GENERATED`."""
