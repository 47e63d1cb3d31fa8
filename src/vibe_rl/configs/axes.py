"""From command-line words to the axes of a grid: `--algo.lr 1e-4,3e-4` is one of two values."""

from collections.abc import Mapping, Sequence
from typing import Any

from vibe_rl.configs.command_line import cli, separated
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError


def grid(args: Sequence[str]) -> tuple[TrainConfig, dict[str, list[Any]]]:
    """The config that all share, and the values of each field that has several.

    A comma separates values, unless it is within brackets; the rest is as `cli` takes it.
    """
    texts, words = taken_apart(args)
    config = cli(words)
    return config, {name: _values(words, name, each) for name, each in texts.items()}


def _values(words: Sequence[str], name: str, texts: Sequence[str]) -> list[Any]:
    return [_value(cli([*words, f"--{name}", text]), name) for text in texts]


def _value(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part)
    return config


def taken_apart(args: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The texts of each field that has several values, and the other words."""
    axes: dict[str, list[str]] = {}
    words: list[str] = []
    for word in separated(args):
        texts = texts_in(word)
        is_value = bool(words) and words[-1].startswith("--")
        if len(texts) > 1 and not is_value:
            raise ConfigError(
                f"{word!r}: commas part values of one field, as in --algo.lr 1e-4,3e-4."
            )
        if len(texts) > 1:
            name = words.pop().removeprefix("--").replace("-", "_")
            check_axis_text(name, word, axes)
            axes[name] = texts
        else:
            words.append(word)
    return axes, words


def texts_in(word: str) -> list[str]:
    """The parts of a word between its commas, brackets apart."""
    depth, parts = 0, [""]
    for letter in word:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def check_axis_text(name: str, word: str, axes: Mapping[str, Sequence[str]]) -> None:
    """Raises ConfigError for a field given twice, and for a comma with nothing beside it."""
    if name in axes:
        raise ConfigError(f"{name} has values twice: give them all at once, as in 1e-4,3e-4.")
    if not all(texts_in(word)):
        raise ConfigError(f"{name} {word!r} has a comma without a value: take it out.")


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
