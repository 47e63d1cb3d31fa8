"""Lights that change together: one road's, then the other's."""

from typing import NamedTuple

import numpy as np

from vibe_rl.env.driving.scenarios.codes import GREEN, RED, YELLOW
from vibe_rl.env.driving.scenarios.scenario import DT
from vibe_rl.types import AnyArray

ALL_RED = 1.5
"""Seconds between the two roads' turns."""
AGO = (0.5, 4.0)
"""Seconds for which a light has been red when the ego arrives, where it is to be red."""


class SignalPlan(NamedTuple):
    """When what is shown."""

    green: float  # seconds
    yellow: float
    offset: float  # seconds of the first road's turn that are over at frame 0

    def turn(self) -> float:
        """The seconds until the other road's turn."""
        return self.green + self.yellow + ALL_RED


def signal_plan_of(
    rng: np.random.Generator, yellow: float, red_at: tuple[int, float] | None
) -> SignalPlan:
    """A plan at random; `red_at` says of which phase a light is red, and at how many seconds."""
    plan = SignalPlan(rng.uniform(8, 15), yellow, 0.0)
    if red_at is None:
        return plan._replace(offset=rng.uniform(0, 2 * plan.turn()))
    phase, arrival = red_at
    red_since = phase * plan.turn() + plan.green + yellow
    return plan._replace(offset=(red_since + rng.uniform(*AGO) - arrival) % (2 * plan.turn()))


def states(plan: SignalPlan, phase: int, frames: int) -> AnyArray:
    """What the lights of a phase, 0 or 1, show in each frame; int32 `[frames]`."""
    time = np.arange(frames) * DT + plan.offset - phase * plan.turn()
    time = time % (2 * plan.turn())
    shown = np.where(time < plan.green + plan.yellow, YELLOW, RED)
    return np.where(time < plan.green, GREEN, shown).astype(np.int32)
