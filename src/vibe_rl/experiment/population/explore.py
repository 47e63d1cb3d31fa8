"""Explore: how hyperparameters are sampled at first, and how they change after an exploit.

Jaderberg et al. 2017 (arXiv:1711.09846), section 4.1: perturb or resample.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args

import numpy as np

from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.grid import SECTION, check_varies

Ranges = Mapping[str, tuple[float, float]]
"""The lowest and the highest value of each hyperparameter that evolves, by dotted name."""
FACTORS = (0.8, 1.25)
"""By one of which a hyperparameter is perturbed."""
RESAMPLE_PROBABILITY = 0.25
"""The probability that a hyperparameter is resampled instead of perturbed."""


def validate_ranges(
    config: TrainConfig, ranges: Mapping[str, Sequence[Any]]
) -> dict[str, tuple[float, float]]:
    """The ranges; ConfigError if there is none, or one that cannot be explored."""
    if not ranges:
        raise ConfigError("no hyperparameter evolves: give one a range, as in --algo.lr 1e-4:1e-2.")
    for name, ends in ranges.items():
        check_evolves(config, name)
        if len(ends) != 2 or not -math.inf < ends[0] < ends[1] < math.inf:
            raise ConfigError(f"{name} {tuple(ends)}: give the lower and then the higher end.")
    return {name: (float(low), float(high)) for name, (low, high) in ranges.items()}


def check_evolves(config: TrainConfig, name: str) -> None:
    """Raises ConfigError for a field that does not exist, or that cannot change during training."""
    check_varies(config, name, "a range")
    field = next(f for f in fields(config.algo) if SECTION + f.name == name)
    if field.metadata.get("static"):
        raise ConfigError(f"{name} is static, part of the program: sweep over it instead.")
    if float not in (field.type, *get_args(field.type)):
        raise ConfigError(f"{name} has a range and is a whole number: give it one value.")


def sample(ranges: Ranges, rng: np.random.Generator) -> dict[str, float]:
    """Each hyperparameter log-uniform in its range, or uniform if the range includes 0 or less."""
    return {name: sample_value(low, high, rng) for name, (low, high) in ranges.items()}


def sample_value(low: float, high: float, rng: np.random.Generator) -> float:
    """One hyperparameter."""
    if low <= 0:
        return float(rng.uniform(low, high))
    return _clip(math.exp(rng.uniform(math.log(low), math.log(high))), low, high)


def explore(
    values: Mapping[str, float], ranges: Ranges, rng: np.random.Generator
) -> dict[str, float]:
    """Each hyperparameter perturbed, and kept in its range, or resampled."""
    new = {}
    for name, (low, high) in ranges.items():
        if rng.random() < RESAMPLE_PROBABILITY:
            new[name] = sample_value(low, high, rng)
        else:
            new[name] = _clip(values[name] * float(rng.choice(FACTORS)), low, high)
    return new


def _clip(value: float, low: float, high: float) -> float:
    """The nearest value in the range."""
    return min(max(value, low), high)
