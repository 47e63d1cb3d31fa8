"""A highway: two to four lanes side by side on one arc."""

import numpy as np

from vibe_rl.env.driving.generate import curves
from vibe_rl.env.driving.generate.network import WIDTH, Lane, RoadNetwork
from vibe_rl.env.driving.scenarios.codes import FREEWAY_LANE

LENGTH = 420.0
"""Metres."""


def build_roads(rng: np.random.Generator, scale: float) -> RoadNetwork:
    """A highway, its lanes from right to left; `scale` is times the speed limit."""
    count = int(rng.integers(2, 5))
    radius = rng.uniform(300, 1200) * rng.choice([-1, 1])
    speed = rng.uniform(24, 33) * scale
    middle = curves.arc(np.zeros(2), rng.uniform(-np.pi, np.pi), radius, LENGTH)
    lanes = [
        Lane(curves.offset(middle, WIDTH * (i - (count - 1) / 2)), speed, kind=FREEWAY_LANE)
        for i in range(count)
    ]
    return RoadNetwork(lanes, [(i,) for i in range(count)], {}, [])


def lane_change(lane: Lane, left: bool, start: float, length: float) -> Lane:
    """The way from a lane to its neighbour, which leaves it after `start` metres."""
    t = np.clip((curves.lengths_along(lane.xy) - start) / length, 0, 1)
    aside = WIDTH * t * t * (3 - 2 * t) * (1 if left else -1)
    return lane._replace(xy=curves.offset(lane.xy, aside), drawn=False)
