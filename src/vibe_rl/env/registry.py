"""The table of environments by name; `make` builds one, `register` adds one."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from vibe_rl.env.acrobot import Acrobot
from vibe_rl.env.adapters.gymnasium import from_gymnasium
from vibe_rl.env.base import Environment
from vibe_rl.env.cart_pole import CartPole
from vibe_rl.env.driving.banks import ScenarioDriving
from vibe_rl.env.grid_world import GridWorld, PixelGridWorld
from vibe_rl.env.hackmatrix.env import HackMatrix
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.env.mountain_car import MountainCar, MountainCarContinuous
from vibe_rl.env.pendulum import Pendulum
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.types import PyTree

GYMNASIUM = "gymnasium:"
"""What the names of Gymnasium's environments begin with."""

_registry: dict[str, Callable[..., Environment]] = {
    "Acrobot-v1": Acrobot,
    "CartPole-v1": CartPole,
    "Driving-v0": ScenarioDriving,
    "GridWorld-v0": GridWorld,
    "HackMatrix-v0": HackMatrix,
    "MountainCar-v0": MountainCar,
    "MountainCarContinuous-v0": MountainCarContinuous,
    "Pendulum-v1": Pendulum,
    "PixelGridWorld-v0": PixelGridWorld,
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


def make(name: str, **kwargs: Any) -> tuple[AnyEnvironment, PyTree]:
    """Build an environment by name.

    Args:
        name: A registered name, such as `"CartPole-v1"`; or `"gymnasium:"` and an id of
            Gymnasium's, for an environment that runs in Python (`GymnasiumWrapper`).
        **kwargs: Arguments of the environment's class (what fixes shapes, e.g. `size`), or fields
            of its parameters (numbers, e.g. `gravity`), cast to the dtype of the default.

    Returns:
        The environment and its parameters.

    Raises:
        ConfigError: The name or an argument is unknown, or a value does not fit its dtype.
    """
    if name.startswith(GYMNASIUM):
        return from_gymnasium(name.removeprefix(GYMNASIUM), **kwargs), ()
    if name not in _registry:
        raise unknown("environment", name, names())
    cls = _registry[name]
    arguments = inspect.signature(cls).parameters
    shapes = {field: value for field, value in kwargs.items() if field in arguments}
    env = cls(**{field: _like(arguments[field].default, value) for field, value in shapes.items()})
    params = env.default_params()
    numbers = {field: value for field, value in kwargs.items() if field not in arguments}
    for field, value in numbers.items():
        if field not in _fields(params):
            raise unknown(f"argument of {name}", field, {*arguments, *_fields(params)})
        numbers[field] = _cast(f"{field}={value!r} of {name}", value, getattr(params, field))
    return env, _replace(params, numbers)


def _like(default: Any, value: Any) -> Any:
    """`value`, as an int where the default is one: command lines and JSON bring 4.0 for 4."""
    if type(default) is not int or not isinstance(value, float):
        return value
    if not value.is_integer():
        raise ConfigError(f"an environment's argument {value}: give a whole number.")
    return int(value)


def _fields(params: Any) -> tuple[str, ...]:
    if dataclasses.is_dataclass(params):
        return tuple(field.name for field in dataclasses.fields(params))
    return getattr(params, "_fields", ())


def _replace(params: Any, values: dict[str, Any]) -> PyTree:
    if not values:
        return params  # which may be of any kind
    replace = getattr(params, "_replace", None)
    return replace(**values) if replace else dataclasses.replace(params, **values)


def _cast(what: str, value: Any, default: Any) -> Any:
    dtype = np.result_type(default)
    integer = np.issubdtype(dtype, np.integer)
    refusal = ConfigError(f"{what} must be a {'whole ' if integer else ''}number.")
    try:
        cast = np.asarray(value).astype(dtype)
    except (TypeError, ValueError, OverflowError):
        raise refusal from None
    if integer and (cast != np.asarray(value)).any():
        raise refusal
    return cast[()]
