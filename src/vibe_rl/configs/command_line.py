"""From command-line words to a TrainConfig: a preset, then any field as `--algo.lr 1e-3`."""

import ast
import dataclasses
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from itertools import takewhile
from typing import Any

from vibe_rl.configs.presets import PRESETS
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError, unknown

RESUMED = "run"
WHOLE_NUMBER = re.compile(r"\d+(\.\d+)?[eE]\+?\d+")
NOT_A_NUMBER = re.compile(r"(--\S+): (could not convert|invalid literal).*: '(.*)'")
NO_TUPLE = re.compile(r"(--\S+): Could not find valid parse for arguments: \['(.*)'\]")

TRAIN_HELP = """Trains a preset: vibe-rl train PRESET [--seeds 0:8 | --distributed] [fields].
Resumes a run or a group: vibe-rl train --resume RUN [fields].
Lists the fields: vibe-rl train PRESET --help."""


def cli(args: Sequence[str]) -> TrainConfig:
    """The config that `args` describe; with --help, prints help and exits.

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
    with one_sentence(f"vibe-rl train {args[0]}"):
        return tyro.extras.overridable_config_cli(
            PRESETS, args=tyro_words(args), prog="vibe-rl train", description=TRAIN_HELP
        )


def update_config(config: TrainConfig, args: Sequence[str]) -> TrainConfig:
    """`config` with the fields changed that `args` name; the algorithm stays."""
    import tyro  # noqa: PLC0415

    if not args:
        return config
    check_fields(args, config)
    known = {RESUMED: ("The run's config.", config)}
    words = [RESUMED, *tyro_words(args)]
    with one_sentence("vibe-rl train PRESET"):
        return tyro.extras.overridable_config_cli(
            known, args=words, prog="vibe-rl train --resume RUN"
        )


@contextmanager
def one_sentence(command: str) -> Iterator[None]:
    """Turns the box of lines with which tyro refuses a word into a ConfigError of one sentence."""
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            yield
    except SystemExit as end:
        if not end.code:  # --help
            raise
        raise ConfigError(_sentence(_between_rules(box.getvalue()), command)) from None


def _between_rules(box: str) -> str:
    """What stands between the first two rules of a box, with or without edges (ASCII has none)."""
    lines = iter([line.strip("│ ") for line in box.splitlines()])
    next((line for line in lines if _is_rule(line)), None)
    return " ".join(takewhile(lambda line: not _is_rule(line), lines))


def _is_rule(line: str) -> bool:
    return line.startswith("╭") or (bool(line) and not line.strip("─-"))


def _sentence(said: str, command: str) -> str:
    """What tyro said about a word, in our words where they are better."""
    said = said.removeprefix("Error parsing ").rstrip(".")
    number, no_tuple = NOT_A_NUMBER.fullmatch(said), NO_TUPLE.fullmatch(said)
    if number is not None:
        field, kind, value = number.groups()
        return f"{field} {value}: give a {'whole ' * kind.startswith('invalid')}number."
    if no_tuple is not None:
        return f"{no_tuple[1]} {no_tuple[2]}: write a tuple as '(128, 128)' or 128 128."
    return f"{said}: see {command} --help."


def check_fields(args: Sequence[str], config: TrainConfig) -> None:
    """Raises ConfigError for a `--field` that the config does not have."""
    names = set(field_names(config))
    known = names | {_negation(name) for name in names} | {"help"}
    for arg in args:
        name = arg.removeprefix("--").partition("=")[0].replace("-", "_")
        if arg.startswith("--") and name not in known:
            raise unknown("field", name, names)


def field_names(config: Any, prefix: str = "") -> Iterator[str]:
    """The dotted names of all fields, such as algo.lr."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from field_names(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def _negation(name: str) -> str:
    section, dot, field = name.rpartition(".")
    return f"{section}{dot}no_{field}"


def tyro_words(args: Sequence[str]) -> list[str]:
    """The words in tyro's spelling: tuples unpacked, booleans as flags, 1e6 as 1000000."""
    words: list[str] = []
    for arg in split_equals(args):
        if arg.lower() == "false" and words and words[-1].startswith("--"):
            words[-1] = "--" + _negation(words[-1].removeprefix("--"))
        elif arg.lower() != "true" or not words or not words[-1].startswith("--"):
            words.extend(_unpack(arg))
    return words


def split_equals(args: Sequence[str]) -> Iterator[str]:
    """`--field=value` as two words."""
    for arg in args:
        name, equals, value = arg.partition("=")
        yield from (name, value) if equals and name.startswith("--") else (arg,)


def _unpack(arg: str) -> list[str]:
    if WHOLE_NUMBER.fullmatch(arg) and float(arg).is_integer():
        return [str(int(float(arg)))]
    if not arg.startswith(("(", "[")):
        return [arg]
    try:
        return [str(item) for item in _flatten(ast.literal_eval(arg))]
    except (ValueError, SyntaxError) as error:
        raise ConfigError(
            f"{arg!r} is not a tuple: write it as '(128, 128)' or 128 128."
        ) from error


def _flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from _flatten(part)
    else:
        yield value
