"""From command-line words to a TrainConfig: a preset, then any field as `--algo.lr 1e-3`."""

import ast
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from vibe_rl.configs.for_env import FOR_ANY_ENV, config_for
from vibe_rl.configs.presets import PRESETS
from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.system.refused_words import one_sentence
from vibe_rl.system.typed_numbers import in_digits

RESUMED = "run"

TRAIN_HELP = """Trains a preset: vibe-rl train PRESET [--seeds 0:8 | --distributed] [fields].
Trains an algorithm anywhere: vibe-rl train ppo --env gymnax:Breakout-MinAtar; so with dqn and sac.
Sizes for more envs: --auto-scale by rule, --auto-tune by measuring on this device.
Resumes a run or a group: vibe-rl train --resume RUN [fields].
Goes back to a checkpoint: vibe-rl train --resume RUN/checkpoints/step_N --rewind [fields].
Sends it to trackers: --track tensorboard,mlflow,wandb,sqlite, or any of them.
Lists the fields: vibe-rl train PRESET --help."""


def cli(args: Sequence[str] | None = None) -> TrainConfig:
    """The config that words describe, by default those of the program's own command line.

    With --help, prints help and exits.

    Fields may be spelled with underscores or hyphens; booleans as `--runner.plot false`,
    `--runner.plot` and `--runner.no_plot`; tuples as `'(128, 128)'` and as `128 128`.
    """
    import tyro  # noqa: PLC0415 - only the command line needs it

    args = sys.argv[1:] if args is None else args
    if not args:
        raise ConfigError(f"name a preset first: {', '.join([*PRESETS, *FOR_ANY_ENV])}.")
    asks_help = bool({"-h", "--help"} & set(args))
    presets = PRESETS
    if args[0] in FOR_ANY_ENV:
        presets = {args[0]: (f"{args[0]} in any environment.", preset_of(args))}
    elif args[0] not in PRESETS and not asks_help:
        raise unknown("preset", args[0], [*PRESETS, *FOR_ANY_ENV])
    words = list(args) if asks_help else tyro_words(args, presets[args[0]][1])
    offered = {name: (text, without_env_kwargs(config)) for name, (text, config) in presets.items()}
    with one_sentence(f"vibe-rl train {args[0]}"):
        config = tyro.extras.overridable_config_cli(
            offered, args=words, prog="vibe-rl train", description=TRAIN_HELP
        )
    return prefer_typed(keep_env_kwargs(config, presets[args[0]][1]), args)


def preset_of(args: Sequence[str]) -> TrainConfig:
    """The config of the preset that words begin with, without the fields that they change.

    An algorithm's depends on the environment that they name, and on its arguments.
    """
    if args[0] in PRESETS:
        return PRESETS[args[0]][1]
    blank = TrainConfig(env_id="", algo=ALGORITHMS[args[0]][0]())
    if {"-h", "--help"} & set(args):
        return blank
    named = update_config(blank, args[1:])
    return config_for(args[0], named.env_id, named.env_kwargs)


def update_config(config: TrainConfig, args: Sequence[str]) -> TrainConfig:
    """`config` with the fields changed that `args` name; the algorithm stays."""
    import tyro  # noqa: PLC0415

    if not args:
        return config
    known = {RESUMED: ("The run's config.", without_env_kwargs(config))}
    words = [RESUMED, *tyro_words(args, config)]
    with one_sentence("vibe-rl train PRESET"):
        changed = tyro.extras.overridable_config_cli(
            known, args=words, prog="vibe-rl train --resume RUN"
        )
    return prefer_typed(keep_env_kwargs(changed, config), args)


def without_env_kwargs(config: TrainConfig) -> TrainConfig:
    """For tyro, to which a dict that is not empty has a field for each name and no others."""
    return dataclasses.replace(config, env_kwargs={})


def keep_env_kwargs(config: TrainConfig, before: TrainConfig) -> TrainConfig:
    """The config with those arguments that the same environment had before and nobody typed."""
    if config.env_id != before.env_id:
        return config
    return dataclasses.replace(config, env_kwargs={**before.env_kwargs, **config.env_kwargs})


def prefer_typed(config: TrainConfig, args: Sequence[str]) -> TrainConfig:
    """The config where a field that was typed counts as given, though it be its default.

    Of the two numbers of envs, the one that was not typed counts as not given.
    """
    typed = set(typed_fields(args))
    algo, runner = config.algo, config.runner
    if {"algo.num_envs", "runner.num_envs"} & typed == {"runner.num_envs"}:
        algo = dataclasses.replace(algo, num_envs=type(algo).num_envs)
    if {"algo.num_envs", "runner.num_envs"} & typed == {"algo.num_envs"}:
        runner = dataclasses.replace(runner, num_envs=type(runner).num_envs)
    interval, share = runner.checkpoint_interval, runner.checkpoint_share
    if "runner.checkpoint_interval" in typed and interval is not None and share is None:
        runner = dataclasses.replace(runner, checkpoint_share=1.0)
    return dataclasses.replace(config, algo=algo, runner=runner)


def tyro_words(args: Sequence[str], config: TrainConfig) -> list[str]:
    """The words in tyro's spelling: tuples unpacked, booleans as flags, 1e6 as 1000000.

    Raises:
        ConfigError: a `--field` is none of the config's, or lacks its value.
    """
    given = list(split_equals(args))
    check_fields(given, config)
    flags = set(field_names(config, kinds=[bool]))
    texts = set(field_names(config, kinds=[str, str | None]))
    words: list[str] = []
    for before, arg in pairwise(["", *given]):
        if field_of(before) in texts:
            words.append(arg)
        elif not before.startswith("--") or arg.lower() not in ("true", "false"):
            words.extend(_unpack(arg))
        elif field_of(before) not in flags:
            words.append(arg.capitalize())
        elif arg.lower() == "false":
            words[-1] = "--" + _negation(field_of(before))
    return words


def check_fields(args: Sequence[str], config: TrainConfig) -> None:
    """Raises ConfigError for a `--field` that the config does not have, or that lacks its value."""
    names, flags = set(field_names(config)), set(field_names(config, kinds=[bool]))
    for arg, following in pairwise([*args, "--"]):
        if not arg.startswith("--"):
            continue
        name = field_of(arg)
        if name not in names | {_negation(flag) for flag in flags} | {"help"}:
            raise unknown("field", name, names)
        if name in names - flags and following.startswith("--"):
            raise ConfigError(f"--{name}: give a value.")
        told = following.startswith("--") or following.lower() in ("true", "false")
        if name in flags and not told:
            raise ConfigError(f"--{name} {following}: give true or false.")


def typed_fields(args: Sequence[str]) -> Iterator[str]:
    """The dotted names of the fields that are named."""
    return (field_of(arg) for arg in split_equals(args) if arg.startswith("--"))


def field_of(option: str) -> str:
    """The name of the field that an option such as --algo.hidden-sizes sets."""
    return option.removeprefix("--").replace("-", "_")


def field_names(config: Any, prefix: str = "", kinds: Sequence[Any] = ()) -> Iterator[str]:
    """The dotted names of all fields, such as algo.lr, or of those of some types."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from field_names(value, f"{prefix}{field.name}.", kinds)
        elif not kinds or field.type in kinds:
            yield f"{prefix}{field.name}"


def _negation(name: str) -> str:
    section, dot, field = name.rpartition(".")
    return f"{section}{dot}no_{field}"


def split_equals(args: Sequence[str]) -> Iterator[str]:
    """`--field=value` as two words, and `--env` by the name of its field."""
    for arg in args:
        name, equals, value = arg.partition("=")
        words = (name, value) if equals and name.startswith("--") else (arg,)
        yield from ("--env_id", *words[1:]) if words[0] == "--env" else words


def _unpack(arg: str) -> list[str]:
    if not arg.startswith(("(", "[")):
        return [in_digits(arg)]
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
