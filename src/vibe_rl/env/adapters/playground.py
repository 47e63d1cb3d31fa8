"""Environments of MuJoCo Playground (Zakka et al. 2025, arXiv:2502.08844).

An episode lasts `episode_length` steps, which the environment's config says, and is then truncated.
Physics are MJX's, written in JAX (`impl="jax"`), unless another implementation is asked for.
"""

from collections.abc import Mapping
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
from vibe_rl.errors import ConfigError, unknown


@dataclass(frozen=True)
class PlaygroundEnvironment(PhysicsEnvironment):
    """One of Playground's, made with `arguments` in its config."""

    @property
    def suite_env(self) -> Any:
        """An environment of `mujoco_playground.registry`, without any wrapper."""
        return _built(self.env_id, self.arguments)


def make(
    name: str,
    episode_length: Any = None,
    action_repeat: Any = None,
    download: bool = False,
    **kwargs: Any,
) -> tuple[Environment, tuple[()]]:
    """One of Playground's environments, such as `"CheetahRun"`, and no params.

    Args:
        name: one of `names()`, or of a robot whose model is on this disk.
        episode_length: steps after which an episode is truncated; the config's if None.
        action_repeat: steps that each action is taken for; the config's if None.
        download: whether Playground may fetch models of robots, with git.
        **kwargs: fields of the environment's config; nested ones as `**{"noise_config.level": 0}`.

    Raises:
        ConfigError: Playground is not installed, has no such environment or field, or lacks the
            model of the robot.
    """
    registry = _playground().registry
    check_name("playground", name, registry.ALL_ENVS)
    if name not in names() and not download:
        raise ConfigError(
            f"playground:{name} is of a robot whose model is not on this disk: pass download=True, "
            "and Playground clones MuJoCo Menagerie from GitHub."
        )
    config = registry.get_default_config(name)
    arguments = frozen({"impl": "jax"} | kwargs)
    _check_fields(name, config, dict(arguments))
    repeat = config.get("action_repeat", 1) if action_repeat is None else action_repeat
    length = config.episode_length if episode_length is None else episode_length
    env = PlaygroundEnvironment(name, arguments, count("action_repeat", repeat))
    env.suite_env  # noqa: B018 - what Playground refuses is refused here
    return limited(env, count("episode_length", length)), ()


def names() -> tuple[str, ...]:
    """The names that need no download: the control suite, and robots if their models are here."""
    playground = _playground()
    if playground._src.mjx_env.MENAGERIE_PATH.exists():
        return tuple(sorted(playground.registry.ALL_ENVS))
    return tuple(sorted(playground.dm_control_suite.ALL_ENVS))


def _playground() -> Any:
    return suite_module("mujoco_playground", "playground", "MuJoCo Playground's environments")


def _check_fields(name: str, config: Any, fields: Mapping[str, Any]) -> None:
    known = _paths(config)
    for field in fields:
        if field not in known:
            raise unknown(f"field of playground:{name}", field, known)


def _paths(config: Any, prefix: str = "") -> list[str]:
    """The names of all numbers in a config, those of its parts with dots."""
    paths = []
    for name, value in config.items():
        below = hasattr(value, "items")
        paths += _paths(value, f"{prefix}{name}.") if below else [prefix + name]
    return paths


@cache
def _built(name: str, arguments: Arguments) -> Any:
    with making(f"playground:{name}"):
        return _playground().registry.load(name, config_overrides=dict(arguments))
