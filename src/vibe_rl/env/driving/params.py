"""The constants of driving: scenarios, weights of the reward's terms, and what ends episodes."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.env.driving import reward
from vibe_rl.env.driving.scenarios.scenario import Scenario, stacked
from vibe_rl.env.driving.scenarios.tables import Tables, prepare_tables
from vibe_rl.env.params.bounds import ABOVE_0, AT_LEAST_0
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.types import Bounds, f32, i32

BUILT_IN = 8
"""Scenarios that there are without a bank, two of each family."""
_WEIGHTS = reward.weights("progress")


class DrivingParams(NamedTuple):
    """Constants of the environment; `driving_params` makes them for a bank of your own."""

    scenarios: Scenario  # the bank, with a leading axis
    tables: Tables  # what `prepare_tables` makes of it
    scenario: Any = i32(-1)  # which one to drive; -1 draws one
    overlap: Any = _WEIGHTS["overlap"]  # of the reward's terms, see `reward.terms`
    offroad: Any = _WEIGHTS["offroad"]
    red_light: Any = _WEIGHTS["red_light"]
    off_route: Any = _WEIGHTS["off_route"]
    progression: Any = _WEIGHTS["progression"]
    progress: Any = _WEIGHTS["progress"]
    below_ttc: Any = _WEIGHTS["below_ttc"]
    overspeed: Any = _WEIGHTS["overspeed"]
    driving_direction: Any = _WEIGHTS["driving_direction"]
    lane_deviation: Any = _WEIGHTS["lane_deviation"]
    log_div_clip: Any = _WEIGHTS["log_div_clip"]
    log_div: Any = _WEIGHTS["log_div"]
    comfort: Any = _WEIGHTS["comfort"]
    ttc_bound: Any = f32(1.5)  # s, below which the reward's term counts
    overspeed_margin: Any = f32(2.23)  # m/s above the limit, likewise
    log_div_bound: Any = f32(0.3)  # m, likewise
    offroad_tolerance: Any = f32(0.3)  # m that a corner may stand off the road
    terminate_overlap: Any = np.bool_(True)  # what ends an episode
    terminate_offroad: Any = np.bool_(True)
    terminate_red_light: Any = np.bool_(True)

    BOUNDS = dict.fromkeys(("ttc_bound", "overspeed_margin", "offroad_tolerance"), AT_LEAST_0) | {
        "scenario": Bounds(least=-1),
        "log_div_bound": ABOVE_0,
    }


def driving_params(
    bank: Scenario, preset: str = "progress", tables: Tables | None = None, **numbers: Any
) -> DrivingParams:
    """The constants for a bank.

    Args:
        bank: scenarios with a leading axis, see `scenario.stacked`.
        preset: of the reward: "safety", "navigation", "behavior" or "progress".
        tables: of the bank, if `prepare_tables` has made them already.
        **numbers: other fields.

    Raises:
        ConfigError: the preset or a field is unknown, or the bank is a single scenario.
    """
    if preset not in reward.PRESETS:
        raise unknown("reward", preset, reward.PRESETS)
    params = DrivingParams(bank, prepare_tables(bank) if tables is None else tables)
    params = params._replace(**reward.weights(preset))
    for name, value in numbers.items():
        if name not in DrivingParams._fields:
            raise unknown("field of DrivingParams", name, DrivingParams._fields)
        numbers[name] = np.asarray(value).astype(np.result_type(getattr(params, name)))[()]
    return params._replace(**numbers)


def with_scenarios(params: DrivingParams, bank: Scenario) -> DrivingParams:
    """The same constants for another bank."""
    return params._replace(scenarios=bank, tables=prepare_tables(bank))


def with_scenario(params: DrivingParams, index: Any) -> DrivingParams:
    """The same constants with one scenario of the bank pinned, or with one for each episode.

    Raises:
        ConfigError: the bank has no such scenario.
    """
    index = np.asarray(index, np.int32)
    count = len(params.scenarios.scenario_uid)
    if (index < 0).any() or (index >= count).any():
        raise ConfigError(f"scenario {index.tolist()}: give numbers from 0 to {count - 1}.")
    return params._replace(scenario=index)


@cache
def default_params() -> DrivingParams:
    """Those of the built-in scenarios, which are generated when they are first asked for."""
    from vibe_rl.env.driving.generate import generate  # noqa: PLC0415 - brings SciPy's trees

    return driving_params(stacked([scenario for _, scenario in generate(0, BUILT_IN)]))
