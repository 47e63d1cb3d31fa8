"""Schedules of env_params by name: a config says which, so that a resumed run has it again."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from vibe_rl.env.driving.io import ScenarioStream
from vibe_rl.env.driving.params import DrivingParams, with_scenarios
from vibe_rl.env.driving.scenarios.scenario import count_of
from vibe_rl.env.hackmatrix.curriculum import PHASES, UPDATES, phase_at, phase_params
from vibe_rl.env.hackmatrix.env import HackMatrixParams
from vibe_rl.errors import ConfigError, check_kind, unknown
from vibe_rl.runner.env_params import EnvParamsSchedule
from vibe_rl.types import PyTree


@dataclass(frozen=True)
class HackMatrixPhases:
    """The constants of HackMatrix's curriculum; equal ones can share a program."""

    env_params: HackMatrixParams  # of the full game
    first: int  # phase

    def __call__(self, update: int) -> HackMatrixParams:
        """The constants of an update."""
        return phase_params(self.env_params, phase_at(update, self.first))


def hackmatrix(env_params: Any, first: int) -> EnvParamsSchedule:
    """The curriculum of HackMatrix from a phase on."""
    check_kind("env_params", env_params, HackMatrixParams)
    return EnvParamsSchedule(HackMatrixPhases(env_params, first), every=UPDATES)


ENV_SCHEDULES: dict[str, Callable[[Any], EnvParamsSchedule]] = {
    f"hackmatrix_{first}": partial(hackmatrix, first=first) for first in range(1, len(PHASES) + 1)
}
"""From a name to what makes a schedule of the params that the env would have without it."""


STREAM = "scenarios:"
"""What the names of schedules begin with that bring other scenarios of a folder again and again."""


@dataclass(frozen=True)
class ScenarioBatches:
    """The constants of driving with the scenarios of each batch of a stream."""

    env_params: DrivingParams
    stream: ScenarioStream

    def __call__(self, update: int) -> DrivingParams:
        """The constants of an update."""
        return with_scenarios(self.env_params, self.stream.batch_at(update))


def scenario_stream(env_params: Any, name: str) -> EnvParamsSchedule:
    """As many scenarios as the params have, others after some updates; all envs begin anew then.

    Args:
        env_params: of driving.
        name: `scenarios:EVERY:SEED:SPLIT:FOLDER`: updates, of the order, and which scenarios.

    Raises:
        ConfigError: the name is not like that, or there are no such scenarios.
    """
    check_kind("env_params", env_params, DrivingParams)
    every, _, rest = name.removeprefix(STREAM).partition(":")
    seed, _, rest = rest.partition(":")
    split, _, folder = rest.partition(":")
    if not (every.isdecimal() and seed.isdecimal() and folder):
        raise ConfigError(f"env_schedule {name}: write scenarios:EVERY:SEED:SPLIT:FOLDER.")
    count = count_of(env_params.scenarios)
    stream = ScenarioStream(folder, count, split, seed=int(seed), every=int(every))
    return EnvParamsSchedule(ScenarioBatches(env_params, stream), int(every), restarts=True)


def scheduled_params(name: str | None, env_params: PyTree) -> PyTree | EnvParamsSchedule:
    """The schedule of this name, or the params themselves without a name.

    Raises:
        ConfigError: there is no such schedule, or it is of another env.
    """
    if name is None:
        return env_params
    if name.startswith(STREAM):
        return scenario_stream(env_params, name)
    if name not in ENV_SCHEDULES:
        raise unknown("env_schedule", name, ENV_SCHEDULES)
    try:
        return ENV_SCHEDULES[name](env_params)
    except ConfigError as error:
        raise ConfigError(
            f"env_schedule {name} is of another environment: leave it out."
        ) from error
