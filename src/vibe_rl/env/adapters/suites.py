"""Suites of environments by prefix: `"gymnax:Breakout-MinAtar"` is of the suite `gymnax`.

Each has an adapter in this folder, a module with two functions: `make(name, **kwargs)`, which gives
an environment and its params, and `names()`, what it can make without a network. It is imported
when the first of its environments is asked for, and so is the suite's own package.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from vibe_rl.env.adapters.five_valued import FiveValuedAdapter
from vibe_rl.env.adapters.suite_calls import count, suite_module
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.env.wrappers import TimeLimitWrapper, layers
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.types import PyTree

LIMIT = "max_episode_steps"
"""The argument, for environments of every suite, that truncates episodes."""


class Suite(NamedTuple):
    """A library of environments."""

    module: str  # of the adapter
    extra: str  # of this library, that brings the package
    package: str  # by the name that it is imported by
    wrapper: str = ""  # the adapter's class, if it takes any environment of the suite
    limits_episodes: bool = False  # whether its own `make` takes LIMIT


ADAPTERS = __name__.rpartition(".")[0]
SUITES: dict[str, Suite] = {
    "ale": Suite(f"{ADAPTERS}.ale", "ale", "ale_py", limits_episodes=True),
    "brax": Suite(f"{ADAPTERS}.brax", "brax", "brax"),
    "craftax": Suite(f"{ADAPTERS}.craftax", "craftax", "craftax"),
    "envpool": Suite(f"{ADAPTERS}.envpool", "envpool", "envpool", limits_episodes=True),
    "gymnasium": Suite(f"{ADAPTERS}.gymnasium", "gym", "gymnasium", "GymnasiumWrapper", True),
    "gymnax": Suite(f"{ADAPTERS}.gymnax", "gymnax", "gymnax", "GymnaxAdapter"),
    "jumanji": Suite(f"{ADAPTERS}.jumanji", "jumanji", "jumanji"),
    "navix": Suite(f"{ADAPTERS}.navix", "navix", "navix"),
    "pgx": Suite(f"{ADAPTERS}.pgx", "pgx", "pgx", "PgxAdapter"),
    "playground": Suite(f"{ADAPTERS}.playground", "playground", "mujoco_playground"),
    "xminigrid": Suite(f"{ADAPTERS}.xminigrid", "xminigrid", "xminigrid"),
}
"""Each suite's prefix: a new suite is a file and a line here."""


def split(name: str) -> tuple[str, str]:
    """Prefix and id of an environment of a suite; no prefix where it is of none.

    Raises:
        ConfigError: there is no such suite.
    """
    prefix, colon, env_id = name.partition(":")
    if not colon:
        return "", name
    if prefix not in SUITES:
        raise unknown("suite", prefix, SUITES)
    return prefix, env_id


def make(prefix: str, env_id: str, **kwargs: Any) -> tuple[AnyEnvironment, PyTree]:
    """An environment of a suite, and its params.

    Args:
        prefix: of the suite.
        env_id: as the suite spells it.
        **kwargs: what the adapter takes, and `max_episode_steps`, after which an episode is
            truncated, if nothing has ended it before.

    Raises:
        ConfigError: the suite is not installed, it has no such environment, or an argument is
            wrong.
    """
    limit = kwargs.pop(LIMIT, None)
    if limit is not None:
        limit = count(LIMIT, limit)
    own = SUITES[prefix].limits_episodes
    how = kwargs | ({LIMIT: limit} if own and limit is not None else {})
    env, params = adapter(prefix).make(env_id, **how)
    return (env if own or limit is None else TimeLimitWrapper(env, limit)), params


def names(prefix: str) -> tuple[str, ...]:
    """What can be made of a suite without a network, as `make` spells it.

    Raises:
        ConfigError: the suite is not installed.
    """
    return tuple(f"{prefix}:{env_id}" for env_id in adapter(prefix).names())


def adapter(prefix: str) -> Any:
    """The module of a suite's adapter; ConfigError if the suite is not installed."""
    suite = SUITES[prefix]
    suite_module(suite.package, suite.extra, f"environments of {prefix}")
    return import_module(suite.module)


def installed() -> tuple[str, ...]:
    """The prefixes of the suites whose packages are there; imports none."""
    return tuple(prefix for prefix, suite in SUITES.items() if find_spec(suite.package))


def check_ours(env: Any) -> None:
    """Raises ConfigError for an environment of a suite's own, wrapped in our layers or not.

    What is in a `FiveValuedAdapter` may be of any library, and so may the base of a class that has
    all our methods.
    """
    for layer in layers(env):
        if isinstance(layer, FiveValuedAdapter):
            return
        if _has_our_methods(type(layer)):
            continue
        packages = {base.__module__.partition(".")[0] for base in type(layer).__mro__}
        for prefix, suite in SUITES.items():
            if suite.package in packages:
                raise ConfigError(_remedy(type(layer).__name__, prefix, suite))


def _has_our_methods(kind: type) -> bool:
    names = ("default_params", "observation_space", "action_space", "reset", "step")
    return all(callable(getattr(kind, name, None)) for name in names)


def _remedy(name: str, prefix: str, suite: Suite) -> str:
    wrap = f", or wrap it in {suite.module}.{suite.wrapper}" if suite.wrapper else ""
    return f'{name} is an environment of {suite.package}: make it with make("{prefix}:ID"){wrap}.'
