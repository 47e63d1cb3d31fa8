"""Whether the loop can run an environment, found out before anything is compiled."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.env.adapters.suites import check_ours
from vibe_rl.env.base import Environment
from vibe_rl.env.checks.traced import inside_auto_reset, trace, unfit_shapes
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.env.params.bounds import bounds_of, remedy_for
from vibe_rl.env.precision import fit_for_loop
from vibe_rl.env.reductions import reductions, taken_names, unfit_tables
from vibe_rl.env.wrappers import layers
from vibe_rl.errors import ConfigError, short
from vibe_rl.spaces import Space
from vibe_rl.types import RESERVED_METRICS, Bounds, PyTree


def check_is_environment(env: Any) -> None:
    """Raises ConfigError for what is no environment of ours, such as a name, or a suite's own."""
    check_ours(env)
    if not isinstance(env, (Environment, HostEnvironment)):
        raise ConfigError(
            f"env is a {type(env).__name__}: give an environment, such as "
            'AutoResetWrapper(make("CartPole-v1")[0]).'
        )


def check_hashable(env: Environment) -> None:
    """Raises ConfigError for an environment that `jax.jit` cannot take as a static argument."""
    try:
        hash(env)
    except TypeError:
        raise ConfigError(
            f"environment {type(env).__name__} is not hashable: make it a frozen dataclass."
        ) from None


def check_env_params(env: Environment, env_params: PyTree, num_envs: int) -> None:
    """Raises ConfigError if env_params are not of the env's kind, no numbers, or out of bounds.

    A leaf may have a leading axis of one entry per env.
    """
    defaults = env.default_params()
    pairs = zip(jax.tree.leaves_with_path(env_params), jax.tree.leaves(defaults), strict=True)
    for (path, leaf), default in pairs:
        name = f"env_params{jax.tree_util.keystr(path)}"
        if jnp.ndim(leaf) > jnp.ndim(default) + 1:
            raise ConfigError(
                f"{name} has {jnp.ndim(leaf)} axes, where the default has {jnp.ndim(default)}: "
                "give as many, or one more with an entry per env."
            )
        if np.any(is_nan(leaf)):
            raise ConfigError(f"{name} is NaN: give a number.")
        if jnp.ndim(leaf) > jnp.ndim(default) and jnp.shape(leaf)[0] != num_envs:
            raise ConfigError(
                f"{name} has a leading axis of {jnp.shape(leaf)[0]} for {num_envs} envs: give one "
                "entry per env, or one value."
            )
    check_param_bounds(env_params, bounds_of(defaults))


def check_param_bounds(env_params: PyTree, known: Mapping[str, Bounds]) -> None:
    """Raises ConfigError for the first number that the bounds of its field exclude."""
    for field, bounds in known.items():
        value = getattr(env_params, field)
        remedy = remedy_for(bounds, value)
        if remedy is not None:
            raise ConfigError(f"env_params.{field} {short(value, str)}: give {remedy}.")


def is_numeric(leaf: Any) -> bool:
    """Whether it is a number or an array of numbers, or of keys."""
    if isinstance(leaf, (bool, int, float)):
        return True
    kind = getattr(leaf, "dtype", None)
    return kind is not None and getattr(kind, "kind", "V") not in "OSUMm"


def is_nan(leaf: Any) -> Any:
    """Which numbers of a leaf are NaN; no key and no integer is."""
    numpy = np if isinstance(leaf, np.ndarray) else jnp  # where it is, for a bank may be large
    return numpy.isnan(leaf) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) else False


def check_structure(env: AnyEnvironment, env_params: PyTree, defaults: PyTree) -> None:
    """Raises ConfigError if env_params have other names, or where a leaf is no number."""
    if jax.tree.structure(env_params) == jax.tree.structure(defaults):
        for path, leaf in jax.tree.leaves_with_path(env_params):
            if not is_numeric(leaf):
                name = f"env_params{jax.tree_util.keystr(path)}"
                raise ConfigError(f"{name} is {short(leaf)}: give a number, or an array of them.")
        return
    names = {jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(defaults)}
    others = {jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(env_params)}
    odd = ", ".join(sorted(others - names)[:3] or sorted(names - others)[:3])
    raise ConfigError(
        f"env_params are not those of {name_of(env)} (see {odd or 'their types'}): begin with "
        "env.default_params(), and write lists as arrays."
    )


def spaces_of(env: AnyEnvironment, env_params: PyTree) -> tuple[Space, Space]:
    """Observation and action space; ConfigError if one is of another library."""
    spaces = env.observation_space(env_params), env.action_space(env_params)
    for name, space in zip(("observation_space", "action_space"), spaces, strict=True):
        if not isinstance(space, Space):
            kind = f"{type(space).__module__}.{type(space).__name__}"
            raise ConfigError(
                f"{name} of {name_of(env)} is a {kind}: make it one of vibe_rl.spaces."
            )
    return spaces


def check_inside(env: Environment) -> None:
    """Raises ConfigError if what resets itself wraps an environment that is not fit for it."""
    inside = inside_auto_reset(env, env.default_params())
    for problem in [] if inside is None else unfit_shapes(trace(*inside), weak=False):
        raise ConfigError(f"environment {name_of(env)}: {problem}")


def check_said(env: HostEnvironment, reserved: Iterable[str]) -> None:
    """Raises ConfigError if what an environment on the host declares of episodes cannot work."""
    info = {"episode": reductions(env, "episode")}
    for problem in [*unfit_tables(env, info), *taken_names(env, info, reserved)]:
        raise ConfigError(f"environment {name_of(env)}: {problem}")


def name_of(env: AnyEnvironment) -> str:
    """The class of the environment below all wrappers."""
    *_, innermost = layers(env)
    return type(innermost).__name__


def fit_for_training(
    env: AnyEnvironment, env_params: PyTree, num_envs: int, reserved: Iterable[str] = ()
) -> AnyEnvironment:
    """The environment as `fit_for_loop` makes it.

    Args:
        env: what is to be trained in.
        env_params: its constants, or one of each per env.
        num_envs: over all devices.
        reserved: names of the algorithm's metrics, which the env's own cannot have.

    Raises:
        ConfigError: the loop cannot run it.
    """
    if isinstance(env, HostEnvironment):
        check_said(env, {*reserved, *RESERVED_METRICS})
        return env
    check_hashable(env)
    check_env_params(env, env_params, num_envs)
    check_inside(env)
    traced = trace(env, env.default_params())
    if "final_obs" not in traced.after.info:
        raise ConfigError(
            f"environment {name_of(env)} does not reset itself when an episode ends "
            '(no info["final_obs"]): wrap it in AutoResetWrapper.'
        )
    info = traced.after.info
    for problem in [*unfit_shapes(traced, weak=False), *taken_names(env, info, reserved)]:
        raise ConfigError(f"environment {name_of(env)}: {problem}")
    return fit_for_loop(env)
