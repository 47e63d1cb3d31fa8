"""Where the road ends: lines half a lane beside lanes, except where other lanes go on."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from vibe_rl.env.driving.generate import curves
from vibe_rl.env.driving.generate.network import WIDTH, RoadNetwork
from vibe_rl.types import AnyArray

CLEAR = WIDTH / 2 + 0.1
"""Metres from other lanes' middles; what is nearer is inside the road."""
NEIGHBOURS = 4
"""Points within `CLEAR` that are looked at: at most three are of the own lane."""


class _Line(NamedTuple):
    """Points of an edge, the road on their left."""

    xy: AnyArray  # [n, 2]
    direction: AnyArray  # [n, 2]


def road_edges(network: RoadNetwork) -> list[_Line]:
    """The edges of the road, each in one piece."""
    lanes = [(i, lane.xy) for i, lane in enumerate(network.lanes) if lane.drawn]
    sides = [(i, side) for i, xy in lanes for side in _sides(xy)]
    owner = np.concatenate([np.full(len(xy), i) for i, xy in lanes])
    tree = KDTree(np.concatenate([xy for _, xy in lanes]))
    points = np.concatenate([side.xy for _, side in sides])
    of_points = np.concatenate([np.full(len(side.xy), i) for i, side in sides])
    _, near = tree.query(points, NEIGHBOURS, distance_upper_bound=CLEAR)
    near_owner = np.append(owner, -1)[near]
    free = ((near_owner == of_points[:, None]) | (near_owner < 0)).all(1)
    ends = np.cumsum([len(side.xy) for _, side in sides])[:-1]
    kept = zip(sides, np.split(free, ends), strict=True)
    return [piece for (_, side), mask in kept for piece in _pieces(side, mask)]


def _sides(xy: AnyArray) -> tuple[_Line, _Line]:
    ahead = curves.direction(curves.headings(xy))
    right, left = curves.offset(xy, -WIDTH / 2), curves.offset(xy, WIDTH / 2)
    return _Line(right, ahead), _Line(left[::-1], -ahead[::-1])


def _pieces(side: _Line, mask: AnyArray) -> list[_Line]:
    """The runs of points that are kept, of two points or more."""
    steps = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    runs = zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True)
    return [_Line(side.xy[a:b], side.direction[a:b]) for a, b in runs if b - a > 1]
