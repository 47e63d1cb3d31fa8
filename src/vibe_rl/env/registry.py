"""The table of environments by name; `make` builds one, `register` adds one."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from vibe_rl.env.base import Environment
from vibe_rl.env.cart_pole import CartPole
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.types import PyTree

_registry: dict[str, Callable[..., Environment]] = {
    "CartPole-v1": CartPole,
}


def names() -> tuple[str, ...]:
    """The names that `make` knows, in alphabetical order."""
    return tuple(sorted(_registry))


def register(name: str, cls: Callable[..., Environment]) -> None:
    """Give an environment class a name.

    Args:
        name: What `make` is to call it, such as `"MyEnv-v0"`.
        cls: The class, or any function that returns an environment.

    Raises:
        ConfigError: The name belongs to another class already.
    """
    if _registry.get(name, cls) is not cls:
        raise ConfigError(f"environment {name!r} is registered already: choose another name.")
    _registry[name] = cls


def make(name: str, **kwargs: Any) -> tuple[Environment, PyTree]:
    """Build an environment by name.

    Args:
        name: A registered name, such as `"CartPole-v1"`.
        **kwargs: Arguments of the environment's class (what fixes shapes, e.g. `size`), or fields
            of its parameters (numbers, e.g. `gravity`), cast to the dtype of the default.

    Returns:
        The environment and its parameters.

    Raises:
        ConfigError: The name or an argument is unknown, or a value is no number of its kind.
    """
    if name not in _registry:
        raise unknown("environment", name, names())
    cls = _registry[name]
    parameters = inspect.signature(cls).parameters
    env = cls(**{field: value for field, value in kwargs.items() if field in parameters})
    params = env.default_params()
    numbers = {field: value for field, value in kwargs.items() if field not in parameters}
    for field in numbers:
        if field not in _fields(params):
            raise unknown(f"argument of {name}", field, {*parameters, *_fields(params)})
    return env, _replace(params, {field: _cast(name, field, params, numbers) for field in numbers})


def _fields(params: PyTree) -> tuple[str, ...]:
    if dataclasses.is_dataclass(params):
        return tuple(field.name for field in dataclasses.fields(params))
    return getattr(params, "_fields", ())


def _replace(params: Any, values: dict[str, Any]) -> PyTree:
    if dataclasses.is_dataclass(params) and not isinstance(params, type):
        return dataclasses.replace(params, **values)
    return params._replace(**values) if values else params


def _cast(name: str, field: str, params: PyTree, values: dict[str, Any]) -> Any:
    value, dtype = values[field], np.result_type(getattr(params, field))
    kind = "a whole number" if np.issubdtype(dtype, np.integer) else "a number"
    try:
        cast = np.asarray(value).astype(dtype)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{field}={value!r} of {name} must be {kind}.") from None
    if np.issubdtype(dtype, np.integer) and (cast != np.asarray(value)).any():
        raise ConfigError(f"{field}={value!r} of {name} must be {kind}.")
    return cast[()]
