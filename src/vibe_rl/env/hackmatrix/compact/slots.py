"""Rows of slots, some of them taken: counting, finding and closing up without loops or sorting."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from vibe_rl.env.hackmatrix.compact.bitboard import nth_of_pair
from vibe_rl.env.hackmatrix.compact.rows import total

ZERO = np.uint32(0)


def as_words(taken: Bool[Array, " n"]) -> tuple[Array, Array]:
    """The slots as the bits of two words, half of them in each; `n` is even and at most 64."""
    half = taken.shape[0] // 2
    bits = taken.reshape(2, half).astype(jnp.uint32) << np.arange(half, dtype=np.uint32)[None]
    words = bits.sum(1, dtype=jnp.uint32)
    return words[0], words[1]


def before(taken: Bool[Array, " n"]) -> Int[Array, " n"]:
    """How many slots before each are taken."""
    n = taken.shape[0]
    half, i = n // 2, np.arange(n, dtype=np.int32)
    low_mask = ((1 << np.minimum(i, half)) - 1).astype(np.uint32)
    high_mask = ((1 << np.maximum(i - half, 0)) - 1).astype(np.uint32)
    low, high = as_words(taken)
    count = jax.lax.population_count
    return (count(low & low_mask) + count(high & high_mask)).astype(jnp.int32)


def first(taken: Bool[Array, " n"]) -> Bool[Array, " n"]:
    """Only the first of those taken."""
    return taken & (before(taken) == 0)


def closed_up(slots: Any) -> Any:
    """The living of `Enemies` or `Transmissions` in the first slots, their order kept."""
    alive = slots.alive
    low, high = as_words(alive)
    i = np.arange(alive.shape[0], dtype=np.int32)
    source = nth_of_pair(low, high, alive.shape[0] // 2, i)
    here = i < total(alive)
    return slots._replace(word=jnp.where(here, slots.word[source], ZERO))
