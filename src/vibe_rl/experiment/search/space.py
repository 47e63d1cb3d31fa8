"""The space of a search: fields of the algorithm, each with a range or a choice of values."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from vibe_rl.configs.axes import Range
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.grid import validate_values
from vibe_rl.experiment.search.objective import build_trial

Domain = Range | Sequence[Any]
"""A range, or the values to choose from."""


def validate_space(
    config: TrainConfig, space: Mapping[str, Domain], seeds: Iterable[int]
) -> dict[str, Domain]:
    """The space with its values as the config holds them.

    Raises:
        ConfigError: it is empty, a field cannot vary, or an end or a value cannot work.
    """
    if not space:
        raise ConfigError(
            "no field has a range: name some, as in --algo.lr 1e-4:1e-2, or use train."
        )
    seeds = list(seeds)
    validated = {name: _validate(config, name, domain) for name, domain in space.items()}
    for name, domain in validated.items():
        for value in domain:
            build_trial(config, {name: value}, seeds)
    return validated


def _validate(config: TrainConfig, name: str, domain: Domain) -> Domain:
    values = validate_values(config, name, domain)
    if not isinstance(domain, Range):
        return values
    if not all(type(value) in (int, float) and isfinite(value) for value in values):
        raise ConfigError(
            f"{name} from {domain.low} to {domain.high}: a range needs finite numbers, give values."
        )
    if values[0] > values[1]:
        raise ConfigError(f"{name} {domain.low}:{domain.high}: give the lower end first.")
    return Range(*values)


def as_options(values: Mapping[str, Any]) -> list[str]:
    """The values as options of a command line."""
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]
