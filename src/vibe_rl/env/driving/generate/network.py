"""Lanes, and the routes that lead over them."""

from typing import NamedTuple

import numpy as np

from vibe_rl.env.driving.generate import curves
from vibe_rl.env.driving.motion.paces import paces
from vibe_rl.env.driving.scenarios.codes import SURFACE_LANE
from vibe_rl.types import AnyArray

WIDTH = 3.7
"""Metres, of a lane."""


class Lane(NamedTuple):
    """A lane by its middle."""

    xy: AnyArray  # [n, 2], about a metre apart
    speed: float  # m/s
    priority: int = 2  # 1 where one has to let those of 2 pass
    kind: int = SURFACE_LANE
    drawn: bool = True  # whether it is on the map; a change of lanes is not


class RoadNetwork(NamedTuple):
    """A road network; lanes are known by their places in the list."""

    lanes: list[Lane]
    routes: list[tuple[int, ...]]
    lights: dict[int, int]  # the phase of each lane that has a light at its beginning
    crossings: list[AnyArray]  # [4, 2], the corners of crosswalks, in order along them


class Route(NamedTuple):
    """A route as points exactly a metre apart."""

    xy: AnyArray  # [n, 2]
    yaw: AnyArray  # [n], unwrapped
    pace: AnyArray  # [n], m/s
    lane: AnyArray  # int [n]
    starts: AnyArray  # [lanes], metres from the beginning at which they begin
    lanes: tuple[int, ...]


def route_of(network: RoadNetwork, lanes: tuple[int, ...]) -> Route:
    """The route over lanes that follow each other."""
    pieces = [network.lanes[i].xy for i in lanes]
    whole = np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])
    ends = np.cumsum([len(pieces[0]), *(len(piece) - 1 for piece in pieces[1:])]) - 1
    at = curves.lengths_along(whole)
    wanted = np.arange(int(at[-1]) + 1.0)
    xy = curves.interpolated(at, whole, wanted)
    starts = np.append(0, at[ends[:-1]])
    which = np.searchsorted(starts, wanted, side="right") - 1
    limit = np.array([network.lanes[i].speed for i in lanes])[which]
    yaw = curves.headings(xy)
    return Route(xy, yaw, paces(yaw, limit), np.array(lanes)[which], starts, lanes)
