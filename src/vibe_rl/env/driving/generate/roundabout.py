"""A roundabout of four arms: who is on it passes first."""

import numpy as np

from vibe_rl.env.driving.generate import curves
from vibe_rl.env.driving.generate.intersection import ARMS, arm_in, arm_out
from vibe_rl.env.driving.generate.network import Lane, RoadNetwork
from vibe_rl.types import AnyArray

ARM, APPROACH = 90.0, 12.0
"""Metres: of an arm, and between its end and the circle."""
OPENING = np.deg2rad(28) * 18
"""Metres along the circle from the middle of an arm to where one enters or leaves."""


def build_roads(rng: np.random.Generator, scale: float) -> RoadNetwork:
    """Lanes: ways in, ways out, entries, exits, arcs across arms, arcs between arms; four each."""
    radius, turn = rng.uniform(14, 22), rng.uniform(-np.pi, np.pi)
    speed, handle = rng.uniform(9, 13) * scale, rng.uniform(0.45, 0.55)
    angles, opening = turn + np.arange(ARMS) * np.pi / 2, OPENING / radius
    ways_in = [arm_in(angle, radius + APPROACH, ARM) for angle in angles]
    ways_out = [arm_out(angle, radius + APPROACH, ARM) for angle in angles]
    entries = [
        curves.bezier(
            way[-1],
            angle + np.pi,
            radius * curves.direction(angle + opening),
            angle + opening + np.pi / 2,
            handle,
        )
        for way, angle in zip(ways_in, angles, strict=True)
    ]
    exits = [
        curves.bezier(
            radius * curves.direction(angle - opening),
            angle - opening + np.pi / 2,
            way[0],
            angle,
            handle,
        )
        for way, angle in zip(ways_out, angles, strict=True)
    ]
    across = [on_circle(radius, angle - opening, 2 * opening) for angle in angles]
    between = [on_circle(radius, angle + opening, np.pi / 2 - 2 * opening) for angle in angles]
    lanes = [Lane(xy, speed) for xy in (*ways_in, *ways_out, *entries, *exits, *across, *between)]
    for i in (*range(ARMS), *range(2 * ARMS, 3 * ARMS)):
        lanes[i] = lanes[i]._replace(priority=1)
    return RoadNetwork(lanes, [way(i, n) for i in range(ARMS) for n in (1, 2, 3)], {}, [])


def on_circle(radius: float, angle: float, turned: float) -> AnyArray:
    """An arc of the circle, to the left."""
    start = radius * curves.direction(angle)
    return curves.arc(start, angle + np.pi / 2, radius, radius * turned)


def way(start: int, further: int) -> tuple[int, ...]:
    """The lanes of the route that leaves so many arms further."""
    on = [5 * ARMS + start]
    for i in range(1, further):
        arm = (start + i) % ARMS
        on += [4 * ARMS + arm, 5 * ARMS + arm]
    end = (start + further) % ARMS
    return (start, 2 * ARMS + start, *on, 3 * ARMS + end, ARMS + end)
