"""Where a search looks: the range of some fields of the algorithm, or a choice of values."""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from vibe_rl.configs import grid
from vibe_rl.configs.axes import taken_apart
from vibe_rl.configs.command_line import separated
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.grid import values_on
from vibe_rl.experiment.search.objective import prepared

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
RANGE = re.compile(f"({NUMBER}):({NUMBER})")


class Range(NamedTuple):
    """Numbers from `low` to `high`, both included; whole ones where the field's are."""

    low: float | int
    high: float | int

    @property
    def log(self) -> bool:
        """Whether to search on a logarithmic scale: from ten times on, above zero."""
        return self.low > 0 and self.high / self.low > 9.99  # 10, but for rounding


Domain = Range | Sequence[Any]
"""A range, or the values to choose from."""


def space_of(args: Sequence[str]) -> tuple[TrainConfig, dict[str, Domain], list[str]]:
    """The config that all trials share, what they vary, and the words that say the former.

    `--algo.lr 1e-4:1e-2` is a range; `--algo.n_steps 32,64` are values, as in a sweep.
    """
    words = list(separated(args))
    ranges = {i for i in range(1, len(words)) if is_range(words[i - 1], words[i])}
    listed = [word.replace(":", ",") if i in ranges else word for i, word in enumerate(words)]
    config, axes = grid(listed)
    names = {words[i - 1].removeprefix("--").replace("-", "_") for i in ranges}
    space: dict[str, Domain] = {
        n: Range(*values) if n in names else values for n, values in axes.items()
    }
    return config, space, taken_apart(listed)[1]


def is_range(option: str, word: str) -> bool:
    """Whether the word after an option is a range."""
    return option.startswith("--") and RANGE.fullmatch(word) is not None


def checked_space(
    config: TrainConfig, space: Mapping[str, Domain], seeds: Iterable[int]
) -> dict[str, Domain]:
    """The space with its numbers as the config holds them.

    Raises:
        ConfigError: there is none, a field cannot vary, or an end or a value cannot work.
    """
    if not space:
        raise ConfigError(
            "no field has a range: name some, as in --algo.lr 1e-4:1e-2, or use train."
        )
    seeds = list(seeds)
    checked = {name: _checked(config, name, domain) for name, domain in space.items()}
    for name, domain in checked.items():
        for value in domain:
            prepared(config, {name: value}, seeds)
    return checked


def _checked(config: TrainConfig, name: str, domain: Domain) -> Domain:
    values = values_on(config, name, domain)
    if not isinstance(domain, Range):
        return values
    if not all(type(value) in (int, float) and isfinite(value) for value in values):
        raise ConfigError(f"{name} from {domain.low} to {domain.high}: only numbers have a range.")
    if values[0] > values[1]:
        raise ConfigError(f"{name} {domain.low}:{domain.high}: give the lower end first.")
    return Range(*values)


def words_of(values: Mapping[str, Any]) -> list[str]:
    """The values as words of a command line."""
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]
