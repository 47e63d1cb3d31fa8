"""The grid of a sweep: every combination of the values that some fields of the algorithm take."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple, get_args

from vibe_rl.configs.axes import Range
from vibe_rl.configs.command_line import field_names
from vibe_rl.configs.train_config import TrainConfig, from_dict, to_dict
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.run_dir.plain import plain

SECTION = "algo."
"""Where the fields are that can vary: runs that share a program share the runner's settings."""


class Setting(NamedTuple):
    """A point of the grid."""

    name: str  # such as lr=0.001,gamma=0.99: fit for a file on any system
    values: dict[str, Any]  # by dotted name
    config: TrainConfig


def expand_grid(config: TrainConfig, axes: Mapping[str, Iterable[Any]]) -> list[Setting]:
    """`config` with every combination of the values on `axes`, whose last varies fastest."""
    columns = validate_axes(config, axes)
    rows = [dict(zip(columns, row, strict=True)) for row in product(*columns.values())]
    return [Setting(setting_name(row), row, with_values(config, row)) for row in rows]


def validate_axes(config: TrainConfig, axes: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    """The values of each field that varies, as its config holds them.

    Raises:
        ConfigError: there is no axis, a field cannot vary, or a value is given twice.
    """
    if not axes:
        raise ConfigError(
            "no field has several values: name some, as in --algo.lr 1e-4,3e-4, or use train."
        )
    for name, axis in axes.items():
        if isinstance(axis, Range):
            raise ConfigError(f"{name} {axis.low}:{axis.high} is a range: give it single values.")
    return {name: validate_values(config, name, values) for name, values in axes.items()}


def validate_values(config: TrainConfig, name: str, values: Iterable[Any]) -> list[Any]:
    """The values of a field as its config holds them."""
    check_varies(config, name, "several values")
    held = [field_value(with_values(config, {name: value}), name) for value in values]
    twice = [value for i, value in enumerate(held) if value in held[:i]]
    if twice:
        raise ConfigError(f"{name} {twice[0]} is given twice: name each value once.")
    if not held:
        raise ConfigError(f"{name} has no value: give at least one.")
    return held


def check_varies(config: TrainConfig, name: str, what: str) -> None:
    """Raises ConfigError for a field that does not exist, or that may not have `what`."""
    names = set(field_names(config))
    if name not in names:
        raise unknown("field", name, names)
    if not name.startswith(SECTION):
        raise ConfigError(f"{name} has {what}, and only fields of algo may: give it one value.")


def with_values(config: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """`config` with other values of some fields of its algorithm."""
    data = to_dict(config)
    kinds = {f.name: get_args(f.type) or (f.type,) for f in dataclasses.fields(config.algo)}
    for name, value in values.items():
        field = name.removeprefix(SECTION)
        is_whole = float in kinds[field] and type(value) is int
        data["algo"][field] = float(value) if is_whole else plain(value)
    return from_dict(data)


def field_value(config: TrainConfig, name: str) -> Any:
    """The value of a field of the algorithm."""
    return getattr(config.algo, name.removeprefix(SECTION))


def setting_name(values: Mapping[str, Any]) -> str:
    """A short name without characters that a file system or a shell treats specially."""
    return ",".join(f"{name.removeprefix(SECTION)}={_text(v)}" for name, v in values.items())


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        mark = "-" if any(isinstance(part, tuple) for part in value) else "x"
        return mark.join(map(_text, value)) or "none"
    return re.sub(r"[^\w.+-]", "-", str(value))
