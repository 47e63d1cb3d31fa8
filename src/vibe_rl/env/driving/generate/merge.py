"""A ramp that joins the right one of two lanes."""

import numpy as np

from vibe_rl.env.driving.generate import curves
from vibe_rl.env.driving.generate.network import WIDTH, Lane, RoadNetwork
from vibe_rl.env.driving.scenarios.codes import FREEWAY_LANE

LENGTH, JOIN, RAMP = 420.0, 210.0, 150.0
"""Metres: of the main road, up to where the ramp joins, and of the ramp along the road."""
SLOW = 20.0
"""m/s, the limit of the ramp."""


def build_roads(rng: np.random.Generator, scale: float) -> RoadNetwork:
    """Lanes: right up to the ramp, right beyond it, left, the ramp."""
    turn, speed = rng.uniform(-np.pi, np.pi), rng.uniform(22, 30) * scale
    angle = np.deg2rad(rng.uniform(6, 14))
    join = np.array([JOIN, 0.0])
    ramp_start = join - np.array([RAMP, RAMP * np.tan(angle) / 2])
    ramp = curves.bezier(ramp_start, angle, join, 0.0, rng.uniform(0.45, 0.55))
    main = [
        curves.straight(np.zeros(2), 0.0, JOIN),
        curves.straight(join, 0.0, LENGTH - JOIN),
        curves.straight(np.array([0, WIDTH]), 0.0, LENGTH),
    ]
    lanes = [Lane(curves.rotated(xy, turn), speed, kind=FREEWAY_LANE) for xy in main]
    slow = Lane(curves.rotated(ramp, turn), min(speed, SLOW * scale), 1, FREEWAY_LANE)
    return RoadNetwork([*lanes, slow], [(0, 1), (2,), (3, 1)], {}, [])
