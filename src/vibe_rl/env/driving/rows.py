"""Long rows of numbers reduced, and the nearest of many points, quickly on CPUs as well.

XLA's compiler for CPUs walks along a row entry by entry when it reduces or sorts it. Halves of rows
that are folded upon each other are compared eight or sixteen entries at a time instead.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped, UInt32

WORD = 32
"""Bits of a word; rows that are searched have a multiple of it."""


def folded(combine: Callable[[Array, Array], Array], x: Array, least: int = 20) -> Array:
    """Row `x` `[..., n]` with its halves combined until it is short, or odd."""
    while x.shape[-1] % 2 == 0 and x.shape[-1] > least:
        half = x.shape[-1] // 2
        x = combine(x[..., :half], x[..., half:])
    return x


def row_union(x: Int[Array, "*rows n"]) -> Int[Array, "*rows"]:
    """The bits set in any entry along the last axis."""
    short = folded(jnp.bitwise_or, x)
    return jax.lax.reduce(short, np.zeros((), x.dtype), jax.lax.bitwise_or, (short.ndim - 1,))


def row_total(x: Int[Array, "*rows n"]) -> Int[Array, "*rows"]:
    """The sum along the last axis."""
    return folded(jnp.add, x).sum(-1, dtype=x.dtype)


def smallest_entry(
    distances: Float[Array, "*rows n"],
) -> tuple[Float[Array, "*rows"], Int[Array, "*rows"]]:
    """The smallest entry along the last axis, and where it is; of equal ones, where one is."""
    places = jnp.broadcast_to(jax.lax.iota(jnp.int32, distances.shape[-1]), distances.shape)
    while distances.shape[-1] % 2 == 0 and distances.shape[-1] > 20:
        half = distances.shape[-1] // 2
        low, high = distances[..., :half], distances[..., half:]
        places = jnp.where(high < low, places[..., half:], places[..., :half])
        distances = jnp.minimum(low, high)
    best = distances.min(-1)
    tied = jnp.where(distances == best[..., None], places, np.int32(2**31 - 1))
    return best, tied.min(-1)


def nearest_few(distances: Float[Array, " n"], k: int) -> Int[Array, " k"]:
    """Where the `k` smallest entries are, the smallest first.

    Args:
        distances: not negative, a multiple of 32 of them.
        k: how many, no more than there are entries.
    """
    return jax.lax.platform_dependent(
        distances,
        cpu=lambda d: _nearest_few_by_bits(d, k),
        default=lambda d: jax.lax.top_k(-d, k)[1].astype(jnp.int32),
    )


def _nearest_few_by_bits(distances: Float[Array, " n"], k: int) -> Int[Array, " k"]:
    bits, last = kth_smallest(jax.lax.bitcast_convert_type(distances, jnp.int32), k)
    nearer_first = jnp.concatenate([packed(bits < last), packed(bits == last)])
    chosen = _members(nearer_first, k) % distances.shape[0]
    return chosen[sorted_places(bits[chosen])]


def kth_smallest(bits: Int[Array, " n"], k: int) -> tuple[Int[Array, " n"], Int[Array, ""]]:
    """The row, and its k-th smallest entry, counted from 1; no entry is negative.

    Floats that are not negative are ordered as their bits. The row passes through the loop so that
    it is computed once.
    """

    def decide(i: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        row, known = state
        larger = known | (jnp.int32(1) << (30 - i))
        pieces = range(0, row.shape[0], WORD)
        below = sum((row[at : at + WORD] < larger).astype(jnp.int32) for at in pieces)
        return row, jnp.where(jnp.sum(below, dtype=jnp.int32) < k, larger, known)

    return jax.lax.fori_loop(jnp.int32(0), jnp.int32(31), decide, (bits, jnp.int32(0)))


def packed(mask: Bool[Array, " n"]) -> UInt32[Array, " words"]:
    """A mask as words; entry `i` is bit `i // words` of word `i % words`."""
    bits = mask.astype(jnp.uint32).reshape(WORD, -1)
    words = bits[0]
    for i in range(1, WORD):
        words = words | (bits[i] << np.uint32(i))
    return words


def _members(words: UInt32[Array, " words"], k: int) -> Int[Array, " k"]:
    """The first `k` set bits, word by word: bit `b` of word `w` of two masks of n entries.

    They are numbered as `packed` does, those of the second mask from n on.
    """
    counts = jax.lax.population_count(words).astype(jnp.int32)
    ends = jnp.cumsum(counts)
    number = jax.lax.iota(jnp.int32, k)
    word = row_total((ends[None, :] <= number[:, None]).astype(jnp.int32))
    bit = _nth_bit(words[word], number - (ends - counts)[word])
    half = words.shape[0] // 2
    return (word // half) * (half * WORD) + bit * half + word % half


def _nth_bit(word: Array, n: Int[Array, " k"]) -> Int[Array, " k"]:
    """The place of the n-th set bit of each word, counted from 0."""
    place = jnp.zeros_like(n)
    for size in (16, 8, 4, 2, 1):
        low = (word >> place.astype(jnp.uint32)) & np.uint32(2**size - 1)
        count = jax.lax.population_count(low).astype(jnp.int32)
        above = n >= count
        n, place = jnp.where(above, n - count, n), jnp.where(above, place + size, place)
    return place


def sorted_places(x: Shaped[Array, " k"]) -> Int[Array, " k"]:
    """Where the smallest entry is, then the next, and so on: every pair is compared."""
    own = jax.lax.iota(jnp.int32, x.shape[0])
    below = x[None, :] < x[:, None]
    tied = (x[None, :] == x[:, None]) & (own[None, :] < own[:, None])
    rank = row_total((below | tied).astype(jnp.int32))
    return row_total(jnp.where(rank[None, :] == own[:, None], own[None, :], 0))
