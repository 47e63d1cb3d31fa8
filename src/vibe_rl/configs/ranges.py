"""From command-line words to numbers that evolve: `--algo.lr 1e-4:1e-2` has a range."""

from collections.abc import Sequence

from vibe_rl.configs.command_line import cli, separated
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError


def ranged(args: Sequence[str]) -> tuple[TrainConfig, dict[str, tuple[float, float]]]:
    """The config that all share, and the range of each field that has one.

    A colon between two numbers makes a range; the rest is as `cli` takes it.
    """
    ranges: dict[str, tuple[float, float]] = {}
    words: list[str] = []
    for word in separated(args):
        ends = ends_of(word)
        if ends is None:
            words.append(word)
        elif not (words and words[-1].startswith("--")):
            raise ConfigError(f"{word!r}: a range is a field's, as in --algo.lr 1e-4:1e-2.")
        else:
            name = words.pop().removeprefix("--").replace("-", "_")
            if name in ranges:
                raise ConfigError(f"{name} has a range twice: give it one.")
            ranges[name] = ends
    return cli(words), ranges


def ends_of(word: str) -> tuple[float, float] | None:
    """The ends of a range; None for any other word."""
    low, colon, high = word.partition(":")
    try:
        return (float(low), float(high)) if colon else None
    except ValueError:
        return None
