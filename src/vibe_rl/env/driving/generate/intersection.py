"""Two roads that cross, with lights: four arms, from each of which one goes three ways."""

import numpy as np

from vibe_rl.env.driving.generate import curves
from vibe_rl.env.driving.generate.network import WIDTH, Lane, RoadNetwork
from vibe_rl.types import AnyArray

ARM = 110.0
"""Metres."""
ARMS = 4
STRAIGHT = 2
"""How many arms further one leaves who goes straight on."""


def build_roads(rng: np.random.Generator, scale: float) -> RoadNetwork:
    """Lanes: four ways in, four ways out, twelve across."""
    half, turn = rng.uniform(11, 15), rng.uniform(-np.pi, np.pi)
    speed, handle = rng.uniform(11, 17) * scale, rng.uniform(0.45, 0.55)
    angles = turn + np.arange(ARMS) * np.pi / 2
    ways_in = [arm_in(angle, half, ARM) for angle in angles]
    ways_out = [arm_out(angle, half, ARM) for angle in angles]
    lanes = [Lane(xy, speed) for xy in (*ways_in, *ways_out)]
    routes, lights = [], {}
    for start in range(ARMS):
        for further in (1, STRAIGHT, 3):
            end = (start + further) % ARMS
            across = curves.bezier(
                ways_in[start][-1], angles[start] + np.pi, ways_out[end][0], angles[end], handle
            )
            routes.append((start, len(lanes), ARMS + end))
            lights[len(lanes)] = start % 2
            lanes.append(Lane(across, speed, 2 if further == STRAIGHT else 1))
    return RoadNetwork(lanes, routes, lights, [crosswalk(angle, half) for angle in angles])


def arm_in(angle: float, near: float, length: float) -> AnyArray:
    """The lane towards the middle along an arm that leads away by `angle`."""
    return curves.rotated(
        curves.straight(np.array([near + length, WIDTH / 2]), np.pi, length), angle
    )


def arm_out(angle: float, near: float, length: float) -> AnyArray:
    """The lane away from the middle."""
    return curves.rotated(curves.straight(np.array([near, -WIDTH / 2]), 0.0, length), angle)


def crosswalk(angle: float, half: float) -> AnyArray:
    """Its corners: across the arm just inside the stop lines, three metres wide."""
    x, y = half - np.array([4.0, 1.0]), WIDTH
    corners = np.array([[x[0], -y], [x[0], y], [x[1], y], [x[1], -y]])
    return curves.rotated(corners, angle)
