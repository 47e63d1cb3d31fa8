"""Entries of an array by their indices, where a gradient passes."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def pick(values: Float[Array, " A *B"], index: Int[Array, " *B"]) -> Float[Array, " *B"]:
    """`values[index]` along the first axis: faster than a gather and its gradient."""
    entries = jnp.arange(values.shape[0], dtype=jnp.int32).reshape(-1, *(1,) * index.ndim)
    return jnp.where(entries == index[None], values, 0.0).sum(0)
