"""Keyword arguments of `make`: what an environment's class takes, and numbers of its params."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from vibe_rl.env.params.bounds import bounds_of, names_of_params, remedy_for
from vibe_rl.errors import ConfigError, short, unknown
from vibe_rl.types import Bounds, PyTree


def build_env(
    name: str,
    cls: Callable[..., Any],
    kwargs: Mapping[str, Any],
    signature: Callable[..., Any] | None = None,
) -> tuple[Any, PyTree]:
    """An environment and its params, of which some are replaced.

    Args:
        name: for messages.
        cls: its class, or any function that returns an environment.
        kwargs: arguments of `cls` (what fixes shapes), or fields of the params (numbers).
        signature: what says which arguments there are, if it is not `cls`.

    Raises:
        ConfigError: an argument is unknown, or a value does not fit its dtype.
    """
    arguments = inspect.signature(signature or cls).parameters
    shapes = {field: value for field, value in kwargs.items() if field in arguments}
    env = cls(**{field: like(arguments[field].default, value) for field, value in shapes.items()})
    numbers = {field: value for field, value in kwargs.items() if field not in arguments}
    return env, with_numbers(name, env.default_params(), numbers, arguments)


def with_numbers(
    name: str, params: PyTree, numbers: Mapping[str, Any], arguments: Iterable[str] = ()
) -> PyTree:
    """Params with these fields, in the dtypes that they have there.

    Args:
        name: of the environment, for messages.
        params: a dataclass or a named tuple; of any kind where there are no numbers.
        numbers: fields and their values.
        arguments: what the environment takes besides, for messages.

    Raises:
        ConfigError: a field is unknown, or a value does not fit its dtype or its bounds.
    """
    known, cast, bounds = names_of_params(params), {}, bounds_of(params)
    for field, value in numbers.items():
        if field not in known:
            taken = {*arguments, *known}
            if not taken:
                raise ConfigError(f"{name} takes no arguments: leave out {field}.")
            raise unknown(f"argument of {name}", field, taken)
        told = f"{field}={short(value)} of {name}"
        cast[field] = _cast(told, value, getattr(params, field))
        _check(told, cast[field], bounds.get(field, Bounds()))
    return _replace(params, cast)


def like(default: Any, value: Any) -> Any:
    """`value`, as an int where the default is one: command lines and JSON bring 4.0 for 4."""
    if type(default) is not int or not isinstance(value, float):
        return value
    if not value.is_integer():
        raise ConfigError(f"an environment's argument {value}: give a whole number.")
    return int(value)


def whole_numbers(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, 4.0 as 4: for what makes an environment and does not say what it takes."""
    whole = {k: int(x) for k, x in kwargs.items() if isinstance(x, float) and x.is_integer()}
    return {**kwargs, **whole}


def _replace(params: Any, values: dict[str, Any]) -> PyTree:
    if not values:
        return params  # which may be of any kind
    replace = getattr(params, "_replace", None)
    return replace(**values) if replace else dataclasses.replace(params, **values)


def _cast(what: str, value: Any, default: Any) -> Any:
    dtype = np.result_type(default)
    integer = np.issubdtype(dtype, np.integer)
    try:
        given = np.asarray(value)
        cast = given.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{what}: give a {'whole ' * integer}number.") from None
    if value is None:  # which NumPy makes NaN
        raise ConfigError(f"{what}: give a number.")
    if integer and (cast != given).any():
        wide = given.dtype.kind in "iu"
        raise ConfigError(f"{what}: give {'one that 32 bits hold' if wide else 'a whole number'}.")
    return cast[()]


def _check(what: str, value: Any, bounds: Bounds) -> None:
    remedy = remedy_for(bounds, value)
    if remedy is not None:
        raise ConfigError(f"{what}: give {remedy}.")
