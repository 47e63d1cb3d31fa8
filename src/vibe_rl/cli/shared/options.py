"""Options of a command line."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from inspect import signature
from math import inf
from typing import Any

from vibe_rl.errors import ConfigError
from vibe_rl.system.refused_words import one_sentence
from vibe_rl.system.typed_numbers import in_digits, values_in_digits

NEEDS = {
    "--resume": "a run: vibe-rl train --resume RUN",
    "--seeds": "seeds: vibe-rl train PRESET --seeds 0:8",
    "--coordinator": "the address of process 0: --coordinator HOST:PORT",
    "--num_processes": "the number of processes: --num_processes 2",
    "--process_id": "the number of this process: --process_id 0",
    "--track": "names: --track tensorboard,mlflow",
    "--to": "a tracker: vibe-rl track RUN --to mlflow",
    "--timeout": "seconds to wait for other processes: --timeout 60",
    "--config-dir": "a folder of options of your own: --config-dir conf",
    "--seconds": "seconds for each size: vibe-rl tune PRESET --seconds 2",
    "--budget": "seconds for all sizes: vibe-rl tune PRESET --budget 120",
    "--members": "a number: vibe-rl evolve PRESET --algo.lr 1e-4:1e-2 --members 8",
    "--every": "env steps: vibe-rl evolve PRESET --algo.lr 1e-4:1e-2 --every 20000",
    "--halving": "a number: vibe-rl sweep PRESET --algo.lr 1e-4,3e-4,1e-3 --halving 3",
    "--trials": "a number: vibe-rl search PRESET --algo.lr 1e-4:1e-2 --trials 20",
    "--study": "a name, by which workers share it: --study NAME",
    "--storage": "a database or a journal: --storage sqlite:///search.db",
    "--pruner": "a name: --pruner median",
    "--sampler_seed": "a number: --sampler_seed 0",
}


def parse_words(options: Callable[..., Any], args: Sequence[str], command: str) -> Any:
    """What `options` returns for these words, its arguments; with --help, prints them and exits.

    Raises:
        ConfigError: a word is none of them, or not of its type.
    """
    import tyro  # noqa: PLC0415 - a tenth of a second that some commands save

    words = [*values_in_digits(args, set(whole_options(options)))]
    with one_sentence(command):
        return tyro.cli(options, args=words, prog=command)


def whole_options(options: Callable[..., Any]) -> Iterator[str]:
    """The options that are whole numbers, those of a dataclass among the arguments too."""
    for argument in signature(options).parameters.values():
        kind = getattr(argument.annotation, "__origin__", argument.annotation)
        parts = fields(kind) if is_dataclass(kind) else ()
        named = [(argument.name, kind), *((part.name, part.type) for part in parts)]
        yield from (f"--{name}" for name, kind in named if kind in (int, int | None))


def asks_help(args: Sequence[str]) -> bool:
    """Whether `-h` or `--help` is given."""
    return bool({"-h", "--help"} & set(args))


def pop_option(option: str, args: Sequence[str]) -> tuple[str | None, list[str]]:
    """The value of an option such as `--resume`, if it is given, and the other words."""
    words = [
        part
        for arg in args
        for part in (arg.split("=", 1) if arg.startswith(f"{option}=") else [arg])
    ]
    if option not in words:
        return None, words
    i = words.index(option)
    if i + 1 == len(words) or words[i + 1].startswith("--"):
        raise ConfigError(f"{option} needs {NEEDS[option]}.")
    return words[i + 1], words[:i] + words[i + 2 :]


def pop_flag(flag: str, args: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether a flag such as `--auto-scale` is given, in either spelling, and the other words."""
    spellings = {flag, "--" + flag.removeprefix("--").replace("-", "_")}
    return bool(spellings & set(args)), [arg for arg in args if arg not in spellings]


def split_names(text: str) -> list[str]:
    """Names with commas between them."""
    return [name.strip() for name in text.split(",")]


def with_trackers(args: Sequence[str]) -> list[str]:
    """The words with `--track a,b` spelled as the field of the config that it sets.

    Raises:
        ConfigError: there is no such tracker.
    """
    names, words = pop_option("--track", args)
    if names is None:
        return words
    from vibe_rl.tracking.named import check_names  # noqa: PLC0415

    listed = split_names(names)
    check_names(listed)
    return [*words, "--runner.track", str(tuple(listed))]


def parse_int(option: str, text: str, least: int) -> int:
    """The value of an option as a whole number; ConfigError if it is not one, or below `least`."""
    try:
        number = int(in_digits(text))
    except ValueError:
        number = least - 1
    if number < least:
        raise ConfigError(f"{option} {text}: give a whole number of at least {least}.")
    return number


def parse_seconds(option: str, text: str) -> float:
    """The value of an option as seconds; ConfigError if it is no number above zero."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < inf:
        raise ConfigError(f"{option} {text}: give seconds, such as 2.5.")
    return seconds


def check_no_seed(words: Sequence[str]) -> None:
    """Raises ConfigError if a single seed is given where there are several."""
    if any(word.startswith("--runner.seed") for word in words):
        raise ConfigError("runner.seed is each of --seeds in turn: leave it out.")
