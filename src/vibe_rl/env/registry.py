"""The table of environments by name; `make` builds one, `register` adds one."""

from collections.abc import Callable
from typing import Any

from vibe_rl.env.acrobot import Acrobot
from vibe_rl.env.adapters import suites
from vibe_rl.env.base import Environment
from vibe_rl.env.cart_pole import CartPole
from vibe_rl.env.driving.scenarios.banks import ScenarioDriving
from vibe_rl.env.grid_world import GridWorld, PixelGridWorld
from vibe_rl.env.hackmatrix.env import HackMatrix
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.env.mountain_car import MountainCar, MountainCarContinuous
from vibe_rl.env.params.arguments import build_env
from vibe_rl.env.pendulum import Pendulum
from vibe_rl.errors import ConfigError, check_kind, unknown
from vibe_rl.types import PyTree

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
        name: A registered name, such as `"CartPole-v1"`; or a suite's prefix and an id of its own,
            such as `"gymnax:Breakout-MinAtar"` (see `vibe_rl.env.adapters.suites`).
        **kwargs: Arguments of the environment's class (what fixes shapes, e.g. `size`), or fields
            of its parameters (numbers, e.g. `gravity`), cast to the dtype of the default. For
            every suite, `max_episode_steps` truncates episodes.

    Returns:
        The environment and its parameters.

    Raises:
        ConfigError: The name or an argument is unknown, a value does not fit its dtype, or the
            suite is not installed.
    """
    check_kind("name of an environment", name, str)
    if name in _registry:
        return build_env(name, _registry[name], kwargs)
    prefix, env_id = suites.split(name)
    if not prefix:
        raise unknown("environment", name, names())
    return suites.make(prefix, env_id, **kwargs)


def is_name(name: str) -> bool:
    """Whether a name is registered, or begins with a suite's prefix."""
    prefix, colon, _ = name.partition(":")
    return name in _registry or (bool(colon) and prefix in suites.SUITES)
