"""Fields that vary, from a command line: values as in 1e-4,3e-4, ranges as in 1e-4:1e-2."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from vibe_rl.configs.command_line import cli, split_equals
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError, short

MOST_SEEDS = 100_000
"""As many as a group may have."""


class Range(NamedTuple):
    """Values from `low` to `high`, both included; whole numbers where the field's are."""

    low: float | int
    high: float | int

    @property
    def log(self) -> bool:
        """Whether the scale is logarithmic: where `high` is ten times `low` or more, above zero."""
        return self.low > 0 and self.high / self.low > 9.99  # 10, but for rounding


Axis = list[Any] | Range
"""The values that a field takes, or the range from which they are chosen."""


def parse_axes(
    args: Sequence[str], *, values: bool = True, ranges: bool = True
) -> tuple[TrainConfig, dict[str, Axis], list[str]]:
    """The config that all runs share, the fields that vary, and the words that describe the config.

    Args:
        args: a preset and options, such as `--algo.lr 1e-4,3e-4` or `--algo.lr 1e-4:1e-2`.
        values: whether a comma separates values, unless it is within brackets; otherwise words with
            a comma are parsed by `cli`.
        ranges: whether a colon between two numbers makes a range; otherwise likewise.
    """
    texts, shared = _split_words(args, values, ranges)
    config = cli(shared)
    axes: dict[str, Axis] = {}
    for name, axis in texts.items():
        parsed = [_field(cli([*shared, f"--{name}", text]), name) for text in axis]
        axes[name] = parsed if isinstance(axis, list) else Range(*parsed)
    return config, axes, shared


def _split_words(
    args: Sequence[str], values: bool, ranges: bool
) -> tuple[dict[str, list[str] | tuple[str, str]], list[str]]:
    """The texts of each field that varies, a pair for a range; and the other words."""
    axes: dict[str, list[str] | tuple[str, str]] = {}
    words: list[str] = []
    for word in split_equals(args):
        axis = (split_range(word) if ranges else None) or (split_values(word) if values else [word])
        if len(axis) == 1:
            words.append(word)
            continue
        name = words.pop() if words else ""
        if not name.startswith("--"):
            raise ConfigError(
                f"{word!r} does not follow a field: write values as --algo.lr 1e-4,3e-4 and ranges "
                "as --algo.lr 1e-4:1e-2."
            )
        name = name.removeprefix("--").replace("-", "_")
        if name in axes:
            raise ConfigError(f"{name} is given twice: give all its values at once, or one range.")
        if not all(axis):
            raise ConfigError(f"{name} {word!r} has a comma without a value: remove it.")
        axes[name] = axis
    return axes, words


def split_values(word: str) -> list[str]:
    """The parts of a word between its commas, except commas within brackets."""
    depth, parts = 0, [""]
    for letter in word:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def split_range(word: str) -> tuple[str, str] | None:
    """The ends of LOW:HIGH; None if the word is not two numbers with a colon between them."""
    low, _, high = word.partition(":")
    return (low, high) if is_number(low) and is_number(high) else None


def is_number(text: str) -> bool:
    """Whether `float` reads the text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def parse_seeds(text: str) -> list[int]:
    """The seeds of "0:8", which ends before 8, of "3,5,7" or of a mixture.

    Raises:
        ConfigError: the text is something else.
    """
    try:
        parts = [[int(end) for end in split_range(x) or (x,)] for x in split_values(text)]
    except ValueError:
        raise ConfigError(
            f"seeds {text!r}: give a range such as 0:8 or a list such as 3,5,7."
        ) from None
    if any(len(ends) == 2 and ends[0] >= ends[1] for ends in parts):
        raise ConfigError(f"seeds {text!r}: give a range whose end is above its first seed.")
    ranges = [range(*ends) if len(ends) == 2 else ends for ends in parts]
    if sum(each[-1] - each[0] + 1 for each in ranges) > MOST_SEEDS:
        raise ConfigError(f"seeds {short(text)}: give at most {MOST_SEEDS:,} of them.")
    return [seed for each in ranges for seed in each]


def _field(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part)
    return config
