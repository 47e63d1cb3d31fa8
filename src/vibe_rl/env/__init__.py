"""Environments, the layers around them, and the sets their observations and actions lie in.

`env, env_params = make("CartPole-v1")` builds one; `AutoResetWrapper(env)` lets it run for ever
inside a `scan`; `check_env(env)` lists what is wrong with one of your own.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vibe_rl.env.api import *  # noqa: F403


def __getattr__(name: str) -> Any:
    """A name of `api`, imported when the first one is asked for.

    What needs no JAX, such as HackMatrix in plain Python, is imported from here without it.
    """
    api = import_module("vibe_rl.env.api")
    if name != "__all__" and name not in api.__all__ and name not in globals():
        raise AttributeError(f"module 'vibe_rl.env' has no attribute {name!r}.")
    return globals().setdefault(name, getattr(api, name, None))


def __dir__() -> list[str]:
    return sorted({*globals(), *import_module("vibe_rl.env.api").__all__})
