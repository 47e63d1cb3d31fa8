"""From the composed tree to what is trained: the records that its sections become."""

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any, NamedTuple

from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig, tuples
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.system.notices import say_once
from vibe_rl.trainers.driving.composing import Composition
from vibe_rl.trainers.driving.environment import ENV_ID, env_kwargs
from vibe_rl.trainers.driving.keys import ENCODER_NAMES, PipelineKeys, key_names, runner_values
from vibe_rl.trainers.driving.scenarios import SOURCES, Source

LONGEST = 1024
"""Times as many env steps between two updates, at most, where they are lengthened."""


class Plan(NamedTuple):
    """What a tree describes; nothing of it has been made yet."""

    keys: PipelineKeys
    source: Source
    config: TrainConfig  # whose scenarios are still to be named
    observation: str
    encoder: str


def plan_of(tree: Composition) -> Plan:
    """What the tree describes.

    Raises:
        ConfigError: a section lacks a name or has one too many, or a value cannot work.
    """
    values = tuples_of(tree.values)
    keys = _record(PipelineKeys, {name: values[name] for name in key_names()}, "")
    source_kind, source_values = _named(values["scenarios"], "scenarios", SOURCES)
    (kind, _), algorithm = _named(values["algorithm"], "algorithm", ALGORITHMS)
    network = values["network"]["encoder"]
    runner = {**values["runner"], **runner_values(keys), "track": tuple(values["logger"]["track"])}
    config = TrainConfig(
        env_id=ENV_ID,
        algo=with_whole_updates(
            _record(kind, {**algorithm, **encoder_fields(network)}, "algorithm."),
            keys.num_envs * (keys.num_devices or 1),
        ),
        runner=_record(RunnerConfig, {**runner, "log_times": True}, "runner."),
        env_kwargs=env_kwargs(keys, values),
    )
    source = _record(source_kind, source_values, "scenarios.")
    return Plan(keys, source, config, values["observation"]["name"], network["name"])


def tuples_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """A tree with tuples for lists."""
    return {
        name: tuples_of(value) if isinstance(value, Mapping) else tuples(value)
        for name, value in values.items()
    }


def _named(section: Mapping[str, Any], group: str, table: Mapping[str, Any]) -> tuple[Any, dict]:
    """What the section's name means in a table, and the rest of the section."""
    rest = dict(section)
    name = rest.pop("name", None)
    if name not in table:
        raise unknown(f"{group}.name", str(name), table)
    return table[name], rest


def _record(kind: type, values: Mapping[str, Any], section: str) -> Any:
    """A dataclass with these values; ConfigError for a field that it has not."""
    names = [field.name for field in fields(kind)]
    for name in values:
        if name not in names:
            raise unknown(
                f"key of {kind.__name__}", f"{section}{name}", [section + n for n in names]
            )
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"{kind.__name__}: {error}.") from error


def with_whole_updates(algo: Any, num_envs: int) -> Any:
    """An algorithm's config with as few env steps between updates as make gradient steps whole.

    Options of `algorithm` are for many envs: with fewer, their replay ratio would mean a part of a
    gradient step in an update.

    Args:
        algo: with or without a replay ratio.
        num_envs: on all devices.
    """
    if not (math.isfinite(ratio := getattr(algo, "replay_ratio", math.nan)) and ratio > 0):
        return algo
    each = ratio * num_envs * algo.train_every
    times = Fraction(each).limit_denominator(LONGEST).denominator
    if times == 1 or abs(times * each - round(times * each)) > 1e-9:
        return algo
    longer = algo.train_every * times
    say_once(
        f"algorithm.train_every {algo.train_every}: it is {longer}, so that the gradient steps of "
        f"an update of {num_envs} envs are whole."
    )
    return replace(algo, train_every=longer)


def encoder_fields(section: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an algorithm that an encoder's section becomes."""
    sizes = dict(section)
    name = sizes.pop("name")
    return {"encoder": ENCODER_NAMES.get(name, name), **sizes}
