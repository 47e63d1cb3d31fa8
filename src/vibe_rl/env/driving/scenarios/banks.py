"""Driving in scenarios that lie in folders: some to train with, others held out."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vibe_rl.env.driving.env import Driving
from vibe_rl.env.driving.io import load_banks
from vibe_rl.env.driving.params import DrivingParams, driving_params, with_scenario
from vibe_rl.env.driving.params import default_params as built_in
from vibe_rl.env.driving.reward import TERMS
from vibe_rl.env.driving.scenarios.scenario import Scenario, count_of
from vibe_rl.env.driving.scenarios.tables import Tables, prepare_tables
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.spaces import Flat, Tokens
from vibe_rl.types import PyTree

SETS = ("ego", "agents", "map", "lights")
"""The parts of an observation whose last feature says whether it is there."""


class Bank(NamedTuple):
    """Scenarios, and what the simulator makes of them once."""

    scenarios: Scenario
    tables: Tables


@dataclass(frozen=True)
class ScenarioDriving(Driving):
    """`Driving`, whose constants are made from names: of folders, and of a reward."""

    reward: str = "progress"  # a preset, then weights of your own: "progress,offroad=-3"
    scenarios: str = ""  # the folder; "" are the built-in ones
    held_out_scenarios: str = ""  # another; "" holds a part of `scenarios` out
    limit: int = 0  # the most scenarios to train with; 0 takes all
    held_out_limit: int = 0  # the most that are held out; 0 takes all

    def __post_init__(self):
        super().__post_init__()
        preset_and_weights(self.reward)

    def observation_space(self, params: PyTree) -> Flat:
        """See `observe`; what says whether it is there is `Tokens`, for encoders of these."""
        parts = dict(super().observation_space(params).items)
        shapes = {name: part.shape for name, part in parts.items() if name in SETS}
        tokens = {n: Tokens(-1.0, 1.0, shape, agents=n == "agents") for n, shape in shapes.items()}
        return Flat(parts | tokens)

    def default_params(self) -> DrivingParams:
        """Those of the scenarios to train with."""
        preset, weights = preset_and_weights(self.reward)
        bank = self.banks()[0] if self.scenarios else Bank(*built_in()[:2])
        return driving_params(bank.scenarios, preset, bank.tables, **weights)

    def held_out(self, params: DrivingParams) -> DrivingParams | None:
        """The same constants with an episode for each scenario that is held out."""
        if not self.scenarios:
            return None
        bank = self.banks()[1]
        return every_scenario(params._replace(scenarios=bank.scenarios, tables=bank.tables))

    def banks(self) -> tuple[Bank, Bank]:
        """To train with, and held out; they are loaded once."""
        names = self.scenarios, self.held_out_scenarios
        return banks_of(*names, self.limit, self.held_out_limit)


@lru_cache(maxsize=4)
def banks_of(scenarios: str, held_out: str, limit: int, held_out_limit: int) -> tuple[Bank, Bank]:
    """To train with, and held out; see `load_banks` and `ScenarioDriving`."""
    limits = {"limit": limit or None, "valid_limit": held_out_limit or None}
    train, valid = load_banks(scenarios, held_out or None, **limits)
    return Bank(train, prepare_tables(train)), Bank(valid, prepare_tables(valid))


def every_scenario(params: DrivingParams) -> DrivingParams:
    """The same constants with an episode for each scenario of the bank, in order."""
    return with_scenario(params, np.arange(count_of(params.scenarios)))


def preset_and_weights(text: str) -> tuple[str, dict[str, float]]:
    """The preset of a reward, and weights that differ from it.

    Raises:
        ConfigError: there is no such term, or a weight is no number.
    """
    preset, *parts = [part.strip() for part in text.split(",")]
    weights = {}
    for part in parts:
        name, _, weight = part.partition("=")
        if name not in TERMS:
            raise unknown("term of the reward", name, TERMS)
        try:
            weights[name] = float(weight)
        except ValueError:
            raise ConfigError(f"reward {part!r}: give a weight, such as {name}=-1.") from None
    return preset, weights
