"""Where routes come near each other, and who lets whom pass."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from vibe_rl.env.driving.generate import curves
from vibe_rl.env.driving.generate.network import RoadNetwork, Route
from vibe_rl.types import AnyArray

NEAR = 2.4
"""Metres between the middles of two ways that conflict."""


class Conflicts(NamedTuple):
    """Of every pair of routes, `[routes, routes]`."""

    s: AnyArray  # metres along the first, inf where it never comes near the second
    other_s: AnyArray  # the same point along the second
    must_yield: AnyArray  # bool, whether the first has to let the second pass


def conflicts_of(network: RoadNetwork, routes: list[Route]) -> Conflicts:
    """Where routes that begin on different lanes come nearer than `NEAR`, first of all."""
    n = len(routes)
    s, other_s = np.full((n, n), np.inf), np.full((n, n), np.inf)
    first, second = _near_points(network)
    along, own = _along(network, routes), _priorities(network)
    yields = np.zeros((n, n), bool)
    for a in range(n):
        others = [b for b in range(n) if routes[b].lanes[0] != routes[a].lanes[0]]
        on_a = np.flatnonzero(np.isfinite(along[a, first]))
        on_a = on_a[np.argsort(along[a, first[on_a]], kind="stable")]
        there = np.isfinite(along[others][:, second[on_a]])
        found = there.any(1)
        at = on_a[there.argmax(1)] if len(on_a) else np.zeros(len(others), int)
        for b, pair, is_near in zip(others, at, found, strict=True):
            if is_near:
                s[a, b], other_s[a, b] = along[a, first[pair]], along[b, second[pair]]
                yields[a, b] = own[first[pair]] < own[second[pair]]
    return Conflicts(s, other_s, yields & ~(yields.T & np.tri(n, dtype=bool)))


def _near_points(network: RoadNetwork) -> tuple[AnyArray, AnyArray]:
    """Pairs of points of lanes that are near each other, the nearest pairs of a point first."""
    points = np.concatenate([lane.xy for lane in network.lanes])
    pairs = KDTree(points).query_pairs(NEAR, output_type="ndarray")
    itself = np.arange(len(points))
    first = np.concatenate([pairs[:, 0], pairs[:, 1], itself])
    second = np.concatenate([pairs[:, 1], pairs[:, 0], itself])
    order = np.argsort(np.hypot(*(points[first] - points[second]).T), kind="stable")
    return first[order], second[order]


def _along(network: RoadNetwork, routes: list[Route]) -> AnyArray:
    """`[routes, points of all lanes]`: arc lengths, inf off the route."""
    lanes = [curves.lengths_along(lane.xy) for lane in network.lanes]
    begins = np.cumsum([0, *map(len, lanes)])
    along = np.full((len(routes), begins[-1]), np.inf)
    for row, route in zip(along, routes, strict=True):
        for lane, start in zip(route.lanes, route.starts, strict=True):
            row[begins[lane] : begins[lane + 1]] = start + lanes[lane]
    return along


def _priorities(network: RoadNetwork) -> AnyArray:
    return np.concatenate([np.full(len(lane.xy), lane.priority) for lane in network.lanes])
