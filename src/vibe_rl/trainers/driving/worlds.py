"""Which scenarios an evaluation drives, in which environment, and who drives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vibe_rl.env.driving.io import load_bank
from vibe_rl.env.driving.params import DrivingParams, with_scenario
from vibe_rl.env.driving.scenarios.banks import Bank, every_scenario
from vibe_rl.env.driving.scenarios.codes import FAMILIES
from vibe_rl.env.driving.scenarios.tables import prepare_tables
from vibe_rl.env.registry import make
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.config_files import read_config
from vibe_rl.experiment.single import load_run
from vibe_rl.runner.actors import Actor, Greedy, actor_named
from vibe_rl.trainers.driving.environment import ENV_ID
from vibe_rl.trainers.driving.evaluating import World

AGENT = "ai"
NAMES = ("scenarios", "held_out_scenarios", "limit", "held_out_limit")
"""The environment's arguments that say which scenarios."""


@dataclass(frozen=True, kw_only=True)
class WantedEvaluation:
    """What an evaluation is of."""

    factor: float | None = None  # of the lane follower
    run: str | None = None
    best: bool = False  # whose agent
    dataset: str | None = None
    split: str = "valid"
    indexes: tuple[int, ...] = ()  # of scenarios in the split; none is all
    limit: int | None = None
    noisy_init: bool = False


def open_worlds(wanted: WantedEvaluation, names: Sequence[str]) -> tuple[list[Actor], World]:
    """Who drives, by name, and the scenarios.

    Raises:
        ConfigError: there is no such run, actor or scenario, or no scenarios are named.
    """
    world = open_world(wanted)
    return [actor_of(name, wanted, world) for name in names], world


def open_world(wanted: WantedEvaluation) -> World:
    """The scenarios, and the environment in which they are driven; see `open_worlds`."""
    config = None if wanted.run is None else read_config(wanted.run)
    kwargs: dict[str, Any] = {} if config is None else dict(config.env_kwargs)
    folder, split = _where(wanted, {name: kwargs.pop(name, "") for name in NAMES})
    noise = {"noisy_init": True} if wanted.noisy_init else {}
    env, env_params = make(ENV_ID if config is None else config.env_id, **{**kwargs, **noise})
    if not isinstance(env_params, DrivingParams):
        raise ConfigError(f"{wanted.run} is no run of a driver: name another.")
    bank = load_bank(folder, split, wanted.limit)
    env_params = env_params._replace(**Bank(bank, prepare_tables(bank))._asdict())
    env_params = every_scenario(env_params)
    if wanted.indexes:
        env_params = with_scenario(env_params, np.asarray(wanted.indexes))
    chosen = np.asarray(env_params.scenario)
    uids = [str(uid) for uid in np.asarray(bank.scenario_uid)[chosen]]
    families = [FAMILIES[number] for number in np.asarray(bank.family)[chosen]]
    return World(env, env_params, chosen.tolist(), uids, families)  # type: ignore[arg-type]


def _where(wanted: WantedEvaluation, named: dict[str, str]) -> tuple[str, str]:
    """The folder of the scenarios, and which of them.

    Raises:
        ConfigError: none is named.
    """
    train, held_out = named["scenarios"], named["held_out_scenarios"]
    if wanted.dataset is not None:
        return wanted.dataset, wanted.split
    if not train:
        raise ConfigError("no scenarios: name a --dataset, or a --run that has some.")
    if not held_out:
        return train, wanted.split
    return (held_out if wanted.split == "valid" else train), "all"


def actor_of(name: str, wanted: WantedEvaluation, world: World) -> Actor:
    """Who drives; ConfigError if there is nobody of this name."""
    if name == AGENT:
        run, agent_state, _ = load_run(str(wanted.run), wanted.best)
        return Greedy(run.algorithm, agent_state)
    actor: Any = actor_named(name, world.env, world.env_params)
    if name != "lane" or wanted.factor is None:
        return actor
    return replace(actor, factor=wanted.factor)
