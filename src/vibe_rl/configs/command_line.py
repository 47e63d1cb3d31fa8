"""From command-line words to a TrainConfig: a preset, then any field as `--algo.lr 1e-3`."""

import ast
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from vibe_rl.configs.presets import PRESETS
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError, unknown

RESUMED = "run"
WHOLE = re.compile(r"\d+(\.\d+)?[eE]\+?\d+")


def cli(args: Sequence[str]) -> TrainConfig:
    """The config that `args` describe; prints help and exits where they ask for it.

    Fields may be spelled with underscores or hyphens; booleans as `--runner.plot false`,
    `--runner.plot` and `--runner.no_plot`; tuples as `'(128, 128)'` and as `128 128`.
    """
    import tyro  # noqa: PLC0415 - only the command line needs it

    if not args:
        raise ConfigError(f"name a preset first: {', '.join(PRESETS)}.")
    if not {"-h", "--help"} & set(args):
        if args[0] not in PRESETS:
            raise unknown("preset", args[0], PRESETS)
        check_fields(args, PRESETS[args[0]][1])
    return tyro.extras.overridable_config_cli(PRESETS, args=plain(args), prog="vibe-rl train")


def override(config: TrainConfig, args: Sequence[str]) -> TrainConfig:
    """`config` with the fields that `args` name changed; the algorithm stays."""
    import tyro  # noqa: PLC0415

    if not args:
        return config
    check_fields(args, config)
    known = {RESUMED: ("The run as it was.", config)}
    words = [RESUMED, *plain(args)]
    return tyro.extras.overridable_config_cli(known, args=words, prog="vibe-rl train --resume RUN")


def check_fields(args: Sequence[str], config: TrainConfig) -> None:
    """Raises ConfigError for a `--field` that the config does not have."""
    names = set(field_names(config))
    known = names | {_negated(name) for name in names}
    for arg in args:
        name = arg.removeprefix("--").partition("=")[0].replace("-", "_")
        if arg.startswith("--") and name not in known:
            raise unknown("field", name, names)


def field_names(config: Any, prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from field_names(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def _negated(name: str) -> str:
    section, dot, field = name.rpartition(".")
    return f"{section}{dot}no_{field}"


def plain(args: Sequence[str]) -> list[str]:
    """The same words as tyro takes them: tuples unpacked, booleans as flags, 1e6 as 1000000."""
    words: list[str] = []
    for arg in separated(args):
        if arg.lower() == "false" and words and words[-1].startswith("--"):
            words[-1] = "--" + _negated(words[-1].removeprefix("--"))
        elif arg.lower() != "true":
            words.extend(_unpacked(arg))
    return words


def separated(args: Sequence[str]) -> Iterator[str]:
    """`--field=value` as two words."""
    for arg in args:
        name, equals, value = arg.partition("=")
        yield from (name, value) if equals and name.startswith("--") else (arg,)


def _unpacked(arg: str) -> list[str]:
    if WHOLE.fullmatch(arg) and float(arg).is_integer():
        return [str(int(float(arg)))]
    if not arg.startswith(("(", "[")):
        return [arg]
    try:
        return [str(number) for number in _flat(ast.literal_eval(arg))]
    except (ValueError, SyntaxError) as error:
        raise ConfigError(f"{arg!r} is no tuple: write it as '(128, 128)' or 128 128.") from error


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from _flat(part)
    else:
        yield value
