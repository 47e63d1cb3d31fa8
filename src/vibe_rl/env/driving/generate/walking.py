"""People who cross the road on crosswalks, at a constant speed."""

from typing import NamedTuple

import numpy as np

from vibe_rl.env.driving.generate.network import RoadNetwork
from vibe_rl.env.driving.scenarios.codes import PEDESTRIAN
from vibe_rl.env.driving.scenarios.scenario import DT, Scenario
from vibe_rl.types import AnyArray

SPEED, BEFORE = (1.0, 1.6), (1.0, 6.0)
"""m/s, and metres to the road at the beginning."""
SIZE = (0.6, 0.6, 1.7)
"""Metres."""


class Walker(NamedTuple):
    """One who walks."""

    xy: AnyArray  # [2] at frame 0
    velocity: AnyArray  # [2], m/s


def crossing(
    rng: np.random.Generator, network: RoadNetwork, rate: float, most: int
) -> list[Walker]:
    """One on each of some crosswalks, in a share `rate` of scenes; no more than `most`."""
    if not network.crossings or rng.random() >= rate:
        return []
    used = rng.permutation(len(network.crossings))[: rng.integers(1, 4)]
    return [_walker(rng, network.crossings[i]) for i in used][: max(most, 0)]


def _walker(rng: np.random.Generator, corners: AnyArray) -> Walker:
    ends = [(corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2]
    start, end = ends if rng.random() < 0.5 else ends[::-1]
    ahead = (end - start) / np.hypot(*(end - start))
    return Walker(start - rng.uniform(*BEFORE) * ahead, rng.uniform(*SPEED) * ahead)


def put_walkers(scenario: Scenario, first: int, walkers: list[Walker]) -> None:
    """Writes their logs into the slots from `first` on."""
    time = np.arange(scenario.log_yaw.shape[1])[:, None] * DT
    for i, walker in enumerate(walkers, first):
        scenario.obj_type[i], scenario.size[i] = PEDESTRIAN, SIZE
        scenario.log_xy[i] = walker.xy + time * walker.velocity
        scenario.log_vel[i] = walker.velocity
        scenario.log_yaw[i] = np.arctan2(walker.velocity[1], walker.velocity[0])
        scenario.log_valid[i] = True
