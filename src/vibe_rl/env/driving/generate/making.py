"""Scenes of one family in order, drawn again until they can be driven."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import jax
import numpy as np

from vibe_rl.env.driving.generate.drawing import draw_scene
from vibe_rl.env.driving.generate.logs import Faults, Log, roll_out
from vibe_rl.env.driving.generate.tables import scenario_of
from vibe_rl.env.driving.knobs import Knobs
from vibe_rl.env.driving.scenarios.codes import FAMILIES
from vibe_rl.env.driving.scenarios.scenario import EGO, Dims, Scenario, stacked
from vibe_rl.errors import ConfigError

TOGETHER = 16
"""Scenes whose logs are made in one call."""
ATTEMPTS = 200
"""Draws of one scene, at most."""
OF_A_SEED, FAMILY_SLOTS = 2**19, 8
"""Numbers that the scenes of each seed have for themselves, and how many have one index."""


class WantedScene(NamedTuple):
    """One scene: it is the same whatever others are made."""

    seed: int
    family: str
    index: int  # among those of its family
    attempt: int = 0

    def group(self) -> str:
        """The name of what it comes from."""
        return f"{self.family}/{self.seed}/{self.index}"

    def uid(self) -> int:
        """A number of 32 bits; no two scenes of a seed have the same.

        Nor have two of seeds below 8,192, up to 65,536 scenes of each family.
        """
        own = FAMILY_SLOTS * self.index + FAMILIES.index(self.family)
        return (self.seed * OF_A_SEED + own) % 2**32


def made(wanted: Iterable[WantedScene], knobs: Knobs, dims: Dims) -> Iterator[tuple[str, Scenario]]:
    """Groups and scenes, in order.

    Raises:
        ConfigError: none of many draws of a scene can be driven.
    """
    coming, again = iter(wanted), []
    order: list[str] = []
    ready: dict[str, Scenario] = {}
    while tried := [*again, *islice(coming, TOGETHER - len(again))]:
        order += [each.group() for each in tried[len(again) :]]
        again = []
        for each, scenario, faults in attempted(tried, knobs, dims):
            if faults.any():
                again.append(_next_attempt(each))
            else:
                ready[each.group()] = scenario
        while order and order[0] in ready:
            yield order[0], ready.pop(order.pop(0))


def _next_attempt(each: WantedScene) -> WantedScene:
    if each.attempt + 1 == ATTEMPTS:
        raise ConfigError(
            f"{each.group()}: no scene of {ATTEMPTS} can be driven with these knobs; give others."
        )
    return each._replace(attempt=each.attempt + 1)


def attempted(
    tried: list[WantedScene], knobs: Knobs, dims: Dims
) -> Iterator[tuple[WantedScene, Scenario, Faults]]:
    """Each with its scene and what is wrong with it, no more than `TOGETHER`."""
    scenes = [_drawn(each, knobs, dims) for each in tried]
    bank = stacked([*scenes, *scenes[:1] * (TOGETHER - len(scenes))])
    logs, faults = jax.device_get(roll_out()(bank))
    for i, (each, scenario) in enumerate(zip(tried, scenes, strict=True)):
        log = Log(*(field[i] for field in logs))
        reactive = _reactive(each, scenario, knobs)
        yield each, _logged(scenario, log, reactive), Faults(*(field[i] for field in faults))


def _drawn(each: WantedScene, knobs: Knobs, dims: Dims) -> Scenario:
    rng = np.random.default_rng([*_numbers(each), 0])
    return scenario_of(draw_scene(rng, each.family, knobs), each.uid(), dims)


def _reactive(each: WantedScene, scenario: Scenario, knobs: Knobs) -> np.ndarray:
    chance = np.random.default_rng([*_numbers(each), 1]).random(len(scenario.agent_route))
    may = (scenario.agent_route >= 0) & (np.arange(len(chance)) != EGO)
    return may & (chance < knobs.reactive_fraction)


def _numbers(each: WantedScene) -> tuple[int, ...]:
    return each.seed, FAMILIES.index(each.family), each.index, each.attempt


def _logged(scenario: Scenario, log: Log, reactive: np.ndarray) -> Scenario:
    """The scenario with the drives of those who have a route, and who of them may react."""
    there = (scenario.agent_route >= 0) | scenario.log_valid.any(1)
    x, y, yaw, speed = (np.where(there, field, 0).T for field in log)
    scenario = scenario._replace(
        log_xy=np.stack([x, y], -1),
        log_yaw=yaw,
        log_vel=np.stack([speed * np.cos(yaw), speed * np.sin(yaw)], -1),
        log_valid=np.repeat(there[:, None], yaw.shape[1], 1),
        reactive=reactive,
    )
    return scenario._replace(path_on_route=on_route(scenario))


def on_route(scenario: Scenario) -> np.ndarray:
    """Which paths have the logged one's lanes up to where the log ends; bool `[K]`."""
    end = scenario.log_xy[EGO, -1]
    n = int(scenario.path_valid[0].sum())
    last = int(np.argmin(np.hypot(*(scenario.path_xy[0, :n] - end).T))) + 1
    same = scenario.path_lane[:, :last] == scenario.path_lane[:1, :last]
    return (same & scenario.path_valid[:, :last]).all(1)
