"""Whether the loop can run an environment, found out before anything is compiled."""

import jax
import jax.numpy as jnp

from vibe_rl.env.base import Environment
from vibe_rl.env.checker import auto_resets
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.env.wrappers import with_episode_statistics
from vibe_rl.errors import ConfigError
from vibe_rl.types import PyTree


def check_hashable(env: Environment) -> None:
    """Raises ConfigError for an environment that `jax.jit` cannot take as a static argument."""
    try:
        hash(env)
    except TypeError:
        raise ConfigError(
            f"environment {type(env).__name__} is not hashable: make it a frozen dataclass."
        ) from None


def check_env_params(env: Environment, env_params: PyTree, num_envs: int) -> None:
    """Raises ConfigError if env_params have a leading axis of another length than `num_envs`."""
    pairs = zip(
        jax.tree.leaves_with_path(env_params), jax.tree.leaves(env.default_params()), strict=True
    )
    for (path, leaf), default in pairs:
        if jnp.ndim(leaf) > jnp.ndim(default) and jnp.shape(leaf)[0] != num_envs:
            raise ConfigError(
                f"env_params{jax.tree_util.keystr(path)} has a leading axis of "
                f"{jnp.shape(leaf)[0]} for {num_envs} envs: give one entry per env, or one value."
            )


def fit_for_training(env: AnyEnvironment, env_params: PyTree, num_envs: int) -> AnyEnvironment:
    """The environment with its episodes counted; ConfigError if the loop cannot run it."""
    if isinstance(env, HostEnvironment):
        return env
    check_hashable(env)
    check_env_params(env, env_params, num_envs)
    if not auto_resets(env, env.default_params()):
        raise ConfigError(
            f"environment {type(env).__name__} does not reset itself when an episode ends "
            '(no info["final_obs"]): wrap it in AutoResetWrapper.'
        )
    return with_episode_statistics(env)
