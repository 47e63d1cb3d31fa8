"""Rows of 36 cells or 40 slots reduced: their halves are joined first.

XLA's compiler for CPUs takes a longer axis than 32 apart into windows, which costs more
than the sum itself.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def _halves(x: Array) -> tuple[Array, Array]:
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


def total(x: Array, where: Any = None) -> Array:
    """The sum along the last axis, of those where a condition holds; int32 unless uint32."""
    x = x if where is None else jnp.where(where, x, jnp.zeros_like(x))
    dtype = jnp.uint32 if x.dtype == jnp.uint32 else jnp.int32
    low, high = _halves(x.astype(dtype))
    return (low + high).sum(-1, dtype=dtype)


def some(x: Array) -> Array:
    """Whether any holds along the last axis."""
    low, high = _halves(x)
    return (low | high).any(-1)


def most(x: Array) -> Array:
    """The largest along the last axis."""
    return jnp.maximum(*_halves(x)).max(-1)


def least(x: Array) -> Array:
    """The smallest along the last axis."""
    return jnp.minimum(*_halves(x)).min(-1)


def union(words: Array) -> Array:
    """The bits set in any of a row of words."""
    low, high = _halves(words)
    return jax.lax.reduce(low | high, np.uint32(0), jax.lax.bitwise_or, (words.ndim - 1,))
