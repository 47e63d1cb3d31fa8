"""Numbers that evolve: their ranges, how they are drawn, and how they are changed.

Jaderberg et al. 2017 (arXiv:1711.09846), section 4.1: explore.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import get_args

import numpy as np

from vibe_rl.configs.command_line import field_names
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.experiment.grid import SECTION

Ranges = Mapping[str, tuple[float, float]]
"""The least and the most of each number, by dotted name."""
FACTORS = (0.8, 1.25)
DRAWN_ANEW = 0.25
"""The probability with which a number is drawn instead of multiplied."""


def checked_ranges(
    config: TrainConfig, ranges: Mapping[str, Sequence[float | int]]
) -> dict[str, tuple[float, float]]:
    """The ranges; ConfigError if there is none, or one that cannot be explored."""
    if not ranges:
        raise ConfigError("no number evolves: give one a range, as in --algo.lr 1e-4:1e-2.")
    for name, ends in ranges.items():
        check_number(config, name)
        if len(ends) != 2 or not -math.inf < ends[0] < ends[1] < math.inf:
            raise ConfigError(f"{name} {tuple(ends)}: give the lower and then the higher end.")
    return {name: (float(low), float(high)) for name, (low, high) in ranges.items()}


def check_number(config: TrainConfig, name: str) -> None:
    """Raises ConfigError for a field that does not exist or that is no number one can change."""
    names = set(field_names(config))
    if name not in names:
        raise unknown("field", name, names)
    if not name.startswith(SECTION):
        raise ConfigError(f"{name} has a range, and only numbers of algo evolve: give it a value.")
    field = next(f for f in fields(config.algo) if SECTION + f.name == name)
    if field.metadata.get("static"):
        raise ConfigError(f"{name} is static, part of the program: sweep over it instead.")
    if float not in (field.type, *get_args(field.type)):
        raise ConfigError(f"{name} has a range and is whole, no real number: give it a value.")


def drawn(ranges: Ranges, rng: np.random.Generator) -> dict[str, float]:
    """Numbers log-uniform within their ranges, or uniform where a range holds 0 or less."""
    return {name: draw(low, high, rng) for name, (low, high) in ranges.items()}


def draw(low: float, high: float, rng: np.random.Generator) -> float:
    """One such number."""
    if low <= 0:
        return float(rng.uniform(low, high))
    return clipped(math.exp(rng.uniform(math.log(low), math.log(high))), low, high)


def explored(
    values: Mapping[str, float], ranges: Ranges, rng: np.random.Generator
) -> dict[str, float]:
    """Each number multiplied by one of `FACTORS` within its range, or drawn anew."""
    new = {}
    for name, (low, high) in ranges.items():
        if rng.random() < DRAWN_ANEW:
            new[name] = draw(low, high, rng)
        else:
            new[name] = clipped(values[name] * float(rng.choice(FACTORS)), low, high)
    return new


def clipped(value: float, low: float, high: float) -> float:
    """The nearest number within the range."""
    return min(max(value, low), high)
