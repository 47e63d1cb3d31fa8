"""The description of a whole run: environment, algorithm, runner; to JSON and back."""

import dataclasses
import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.algorithms.bc import BC, BCConfig
from vibe_rl.algorithms.bc_sac import BCSAC, BCSACConfig
from vibe_rl.algorithms.dqn import DQN, DQNConfig
from vibe_rl.algorithms.ppo import PPO, PPOConfig
from vibe_rl.algorithms.sac import SAC, SACConfig
from vibe_rl.errors import ConfigError, check_kind, unknown
from vibe_rl.runner.config import RunnerConfig

ALGORITHMS: dict[str, tuple[type, type[Algorithm]]] = {
    "ppo": (PPOConfig, PPO),
    "dqn": (DQNConfig, DQN),
    "sac": (SACConfig, SAC),
    "bc": (BCConfig, BC),
    "bc_sac": (BCSACConfig, BCSAC),
}
"""Each algorithm's name, config class and class: a new algorithm is a file and a line here."""

if TYPE_CHECKING:
    AlgorithmConfig = Any
else:
    AlgorithmConfig = functools.reduce(operator.or_, (kind for kind, _ in ALGORITHMS.values()))
    """Any of their config classes; the command line offers the fields of each."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that defines a run."""

    env_id: str = "CartPole-v1"
    """Name of the environment; `vibe-rl envs` lists them."""
    algo: AlgorithmConfig = field(default_factory=PPOConfig)
    """The algorithm, chosen by the class of its config, and its hyperparameters."""
    runner: RunnerConfig = field(default_factory=RunnerConfig)
    """Budget, evaluation, logging, seed."""
    env_kwargs: dict[str, int | float | bool | str] = field(default_factory=dict)
    """Arguments of the environment: constants of its physics, or what its class takes."""
    env_schedule: str | None = None
    """Name of a schedule by which the environment's constants change while a run trains, such as
    hackmatrix_1; evaluations have those of env_kwargs all through."""

    def __post_init__(self):
        check_kind("env_id", self.env_id, str)
        check_kind("algo", self.algo, *(kind for kind, _ in ALGORITHMS.values()))
        check_kind("runner", self.runner, RunnerConfig)
        check_kind("env_kwargs", self.env_kwargs, Mapping)


def algorithm_name(config: TrainConfig) -> str:
    """The name of the config's algorithm in ALGORITHMS."""
    return next(name for name, (kind, _) in ALGORITHMS.items() if type(config.algo) is kind)


THEIRS = "MaskablePPO"
"""What the configs of `vibe-rl train-sb3` name."""


def experiment_name(config: TrainConfig) -> str:
    """What the run's directory is called, but for the time."""
    return f"{config.env_id}_{algorithm_name(config)}"


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """The config as a dictionary, with the algorithm's name; `from_dict` reads it back."""
    return {"algorithm": algorithm_name(config), **dataclasses.asdict(config)}


def from_dict(data: Mapping[str, Any]) -> TrainConfig:
    """The config of a dictionary from `to_dict`; ConfigError for a field that does not exist."""
    check_kind("config", data, dict, Mapping)
    data = dict(data)
    name = data.pop("algorithm", None)
    if name == THEIRS:
        raise ConfigError(
            f"algorithm {THEIRS} is Stable-Baselines3's: name a model of the run, such as "
            "models/RUN/final_model.zip, for vibe-rl watch or vibe-rl train-sb3 --resume."
        )
    if name not in ALGORITHMS:
        raise unknown("algorithm", str(name), ALGORITHMS)
    for part, kind in (("algo", ALGORITHMS[name][0]), ("runner", RunnerConfig)):
        check_kind(f"{part} of a config", data.get(part), dict, Mapping)
        data[part] = _build(kind, data[part])
    return _build(TrainConfig, data)


def _build(kind: type, values: Mapping[str, Any]) -> Any:
    names = [f.name for f in dataclasses.fields(kind)]
    for name in values:
        if name not in names:
            raise unknown(f"field of {kind.__name__}", name, names)
    try:
        return kind(**{name: tuples(value) for name, value in values.items()})
    except TypeError as error:
        raise ConfigError(f"{kind.__name__}: {error}") from error


def tuples(value: Any) -> Any:
    """The value with tuples for lists, and numbers for "inf" and "-inf", which JSON has not."""
    if value in ("inf", "-inf"):
        return float(value)
    return tuple(tuples(v) for v in value) if isinstance(value, list) else value
