"""Environments of Brax (Freeman et al. 2021, arXiv:2106.13281).

An episode lasts `episode_length` steps of Brax, 1000 by default as there, and is then truncated.
"""

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

from vibe_rl.env.adapters.physics import PhysicsEnvironment, limited
from vibe_rl.env.adapters.suite_calls import (
    Arguments,
    check_name,
    count,
    frozen,
    making,
    suite_module,
)
from vibe_rl.env.base import Environment

BROKEN = ("swimmer",)
"""What Brax 0.14.2 cannot step with the JAX of today, which has no `jnp.clip(a_min=...)`."""


@dataclass(frozen=True)
class BraxEnvironment(PhysicsEnvironment):
    """One of Brax's, made with `arguments` of its class, such as `backend`."""

    @property
    def suite_env(self) -> Any:
        """An environment of `brax.envs`, without any wrapper."""
        return _built(self.env_id, self.arguments)


def make(
    name: str, episode_length: Any = 1000, action_repeat: Any = 1, **kwargs: Any
) -> tuple[Environment, tuple[()]]:
    """One of Brax's environments, such as `"ant"`, and no params.

    Args:
        name: one of `names()`.
        episode_length: steps of Brax after which an episode is truncated.
        action_repeat: steps of Brax that each action is taken for.
        **kwargs: arguments of Brax's class: `backend="spring"`, `"positional"`, `"generalized"` or
            `"mjx"`, and weights of rewards.

    Raises:
        ConfigError: Brax is not installed, has no such environment, or refuses an argument.
    """
    check_name("brax", name, _envs()._envs)
    env = BraxEnvironment(name, frozen(kwargs), count("action_repeat", action_repeat))
    env.suite_env  # noqa: B018 - what Brax refuses is refused here
    return limited(env, count("episode_length", episode_length)), ()


def names() -> tuple[str, ...]:
    """The names of Brax's environments, but for those that no longer run."""
    return tuple(sorted({*_envs()._envs} - {*BROKEN}))


def _envs() -> Any:
    return suite_module("brax.envs", "brax", "Brax's environments")


@cache
def _built(name: str, arguments: Arguments) -> Any:
    with making(f"brax:{name}"):
        warnings.filterwarnings("ignore", "Brax System", UserWarning)  # that nobody maintains it
        return _envs().get_environment(name, **dict(arguments))
