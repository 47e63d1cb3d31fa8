"""What the adapters of several suites convert: spaces, members of them, params."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Box, Dict, Discrete, MultiDiscrete, Space, narrow_dtype
from vibe_rl.types import PyTree


def space_of(space: Any) -> Space:
    """Ours for a space whose class is called, and has attributes, as in Gymnasium and gymnax.

    Raises:
        ConfigError: there is none like it.
    """
    kind = type(space).__name__
    if kind == "Discrete":
        return Discrete(int(space.n))
    if kind == "Box":
        return Box(np.asarray(space.low), np.asarray(space.high), tuple(space.shape), space.dtype)
    if kind == "MultiDiscrete":
        return MultiDiscrete(tuple(int(n) for n in np.asarray(space.nvec)))
    if kind == "Dict":
        return Dict({name: space_of(part) for name, part in space.spaces.items()})
    raise ConfigError(
        f"the space {space} is not supported: take an environment with Box, Discrete, "
        "MultiDiscrete or Dict."
    )


def in_dtypes_of(space: Space, x: PyTree) -> PyTree:
    """`x` in the dtypes of a space."""
    if isinstance(space, Dict):
        return {name: in_dtypes_of(part, x[name]) for name, part in space.items}
    return jnp.asarray(x, space.dtype)  # type: ignore[attr-defined]


def strong(tree: PyTree) -> PyTree:
    """Numbers as arrays that keep their types, whatever they are added to; keys as they are."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(x)), tree)


def numbers_of(tree: PyTree) -> PyTree:
    """Numbers as NumPy's, on no device and of at most 32 bits."""

    def number(x: Any) -> Any:
        return np.asarray(x, narrow_dtype(np.result_type(x)))[()]

    return jax.tree.map(number, tree)


def shared_by_all(params: PyTree, default: PyTree) -> PyTree:
    """Params fit for a space: the default of what is traced, or has an entry for each env."""
    return jax.tree.map(
        lambda x, d: d if isinstance(x, Tracer) or np.ndim(x) > np.ndim(d) else x, params, default
    )
