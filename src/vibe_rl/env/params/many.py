"""Params of many envs or episodes in one tree: what each has of its own, and what all share.

A leaf has an entry for each where it has one axis more than the env's default params have there.
"""

from typing import Any

import jax
import jax.numpy as jnp

from vibe_rl.env.wrappers import Wrapper
from vibe_rl.errors import ConfigError
from vibe_rl.types import Key, PyTree


def params_axes(env: Any, env_params: PyTree) -> PyTree:
    """0 for every leaf that has one entry per env or episode, None for those that all share."""
    default = env.default_params()
    return jax.tree.map(lambda x, d: 0 if jnp.ndim(x) > jnp.ndim(d) else None, env_params, default)


def reset_all(env: Any, env_params: PyTree, key: Key, *, num_envs: int) -> tuple[PyTree, PyTree]:
    """First observations and states of `num_envs` fresh envs; leaves `[num_envs, ...]`."""
    reset = jax.vmap(env.reset, in_axes=(0, params_axes(env, env_params)))
    return reset(jax.random.split(key, num_envs), env_params)


def entries_of(env: Any, env_params: PyTree) -> int | None:
    """How many envs or episodes have params of their own; None where all share everything.

    Raises:
        ConfigError: leaves have different numbers of entries.
    """
    default = env.default_params()
    pairs = zip(jax.tree.leaves(env_params), jax.tree.leaves(default), strict=True)
    sizes = {jnp.shape(x)[0] for x, d in pairs if jnp.ndim(x) > jnp.ndim(d)}
    if len(sizes) > 1:
        raise ConfigError(
            f"env_params have leading axes of {sorted(sizes)} entries: give all the same number."
        )
    return sizes.pop() if sizes else None


def take_entries(env: Any, env_params: PyTree, index: Any) -> PyTree:
    """The params of one env or episode, or of those that `index` says, beside what all share."""
    own = params_axes(env, env_params)
    return jax.tree.map(
        lambda axis, x: x if axis is None else x[index], own, env_params, is_leaf=is_shared
    )


def first_entries(env: Any, env_params: PyTree, n: int) -> PyTree:
    """The params of the first `n` episodes.

    Raises:
        ConfigError: not as many have params of their own.
    """
    known = entries_of(env, env_params)
    if known in (None, n):
        return env_params
    if known < n:  # type: ignore[operator]
        raise ConfigError(f"episodes {n}: {known} are held out, give at most as many.")
    return take_entries(env, env_params, slice(n))


def is_shared(axis: Any) -> bool:
    """Whether a leaf of `params_axes` says that all share it."""
    return axis is None


def held_out(env: Any, env_params: PyTree, otherwise: PyTree = None) -> PyTree:
    """The params of an evaluation of all that an env holds out; `otherwise` if that is nothing.

    An env, or a layer around it, offers them with a method `held_out(params)`, which gets the
    params of training. Leaves with a leading axis have an entry for each episode.
    """
    own = getattr(env, "held_out", None)
    if own is not None:
        return own(env_params)
    if not isinstance(env, Wrapper):
        return otherwise
    inner = held_out(env.env, env.inner_params(env_params))
    return otherwise if inner is None else env.with_inner_params(env_params, inner)
