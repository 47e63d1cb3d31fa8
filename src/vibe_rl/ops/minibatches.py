"""Random permutations without a sort.

Sorting random keys, as `jax.random.permutation` does, takes a quarter of a PPO update on a CPU. A
Feistel network (Luby and Rackoff 1988) over the grid `a x b = n` is a bijection by construction:
each round adds to one coordinate a random function of the other. That function is the finaliser of
MurmurHash3 (Appleby 2011) of the coordinate and a random word; six rounds are two more than make a
strong pseudo-random permutation of random functions. Tests compare its statistics with the sort's.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, UInt32

from vibe_rl.ops.prng import once
from vibe_rl.types import Key, PyTree

ROUNDS = 6
SMALLEST_SIDE, LARGEST_SIDE, LARGEST_RATIO = 16, 2**12, 8  # of a grid that mixes well


def factors(n: int) -> tuple[int, int]:
    """The two factors of `n` that are closest to its square root, the smaller first."""
    side = next(d for d in range(math.isqrt(n), 0, -1) if n % d == 0)
    return side, n // side


def mix(x: UInt32[Array, " n"], word: UInt32[Array, ""]) -> UInt32[Array, " n"]:
    """A hash of each number: every bit depends on every bit of the number and of the word."""
    x = x ^ word
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def below(bits: UInt32[Array, " n"], n: int) -> UInt32[Array, " n"]:
    """Random bits as numbers 0 .. n-1, for n up to 2^16."""
    return ((bits >> np.uint32(16)) * np.uint32(n)) >> np.uint32(16)


def permutation(key: Key, n: int) -> Int[Array, " {n}"]:
    """A random permutation of 0 .. n-1, in time linear in `n` wherever `n` has two fair factors."""
    a, b = factors(n)
    if a < SMALLEST_SIDE or b > LARGEST_SIDE or LARGEST_RATIO * b > a * a:  # sorted instead
        return jax.random.permutation(key, jnp.arange(n, dtype=jnp.int32))
    words = once(lambda: jax.random.bits(key, (ROUNDS,), jnp.uint32))  # not for each index
    left, right = jnp.divmod(jnp.arange(n, dtype=jnp.uint32), np.uint32(b))
    for i in range(ROUNDS):
        if i % 2 == 0:
            left = add_modulo(left, below(mix(right, words[i]), a), a)
        else:
            right = add_modulo(right, below(mix(left, words[i]), b), b)
    return (left * np.uint32(b) + right).astype(jnp.int32)


class Minibatch(NamedTuple):
    """One of an update's; all of them have a leading axis more."""

    index: Array  # int32 [S, B]
    holds: Array | None  # bool [S, B], which places hold an example; None: all


def minibatches(
    key: Key, n: int, n_epochs: int, n_minibatches: int, n_shards: int = 1
) -> Int[Array, " M S B"]:
    """The indices of every minibatch of some epochs; each epoch sees each of 0 .. n-1 once.

    With several shards of `n` examples each, every minibatch has as many of one as of another, and
    nothing is exchanged between them.
    """
    return in_minibatches(permutations(key, n, n_epochs, n_shards), n_minibatches)


def draw_minibatches(
    key: Key,
    shape: tuple[int, ...],
    counts: Bool[Array, " S n"] | None,
    n_epochs: int,
    n_minibatches: int,
    even: bool = False,
) -> Minibatch:
    """All minibatches of an update's epochs over `[S, n]` examples, or over those that count."""
    n_shards, n = shape
    if counts is None:
        return Minibatch(minibatches(key, n, n_epochs, n_minibatches, n_shards), None)
    orders = permutations(key, n, n_epochs, n_shards)
    return Minibatch(*counting_minibatches(orders, counts, n_minibatches, even))


def permutations(key: Key, n: int, n_epochs: int, n_shards: int) -> Int[Array, " E S n"]:
    """A random permutation of 0 .. n-1 for every epoch and shard."""
    keys = jax.random.split(key, (n_epochs, n_shards))
    return jax.vmap(jax.vmap(lambda key: permutation(key, n)))(keys)


def counting_minibatches(
    indices: Int[Array, " E S n"],
    counts: Bool[Array, " S n"],
    n_minibatches: int,
    even: bool = False,
) -> tuple[Int[Array, " M S B"], Bool[Array, " M S B"]]:
    """The minibatches of those examples that count, and which of their places hold one.

    The examples that count come first, in the order of their epoch, so that the last minibatch of
    an epoch may hold few of them, and those after it none.

    Args:
        indices: all of 0 .. n-1 in a random order, for every epoch and shard.
        counts: which examples count.
        n_minibatches: of an epoch in which all count.
        even: spreads the examples evenly over as few minibatches instead.
    """
    n = counts.shape[-1]
    size, place = n // n_minibatches, jnp.arange(n, dtype=jnp.int32)

    def order(indices: Int[Array, " n"], counts: Bool[Array, " n"]) -> tuple[Array, Array]:
        counting_first = jnp.argsort(~counts[indices], stable=True)
        total = counts.sum(dtype=jnp.int32)
        minibatch, row = jnp.divmod(place, size)
        needed = (total + size - 1) // size
        rank = row * needed + minibatch if even else place
        holds = (rank < total) & (minibatch < needed)
        return indices[counting_first][jnp.where(holds, rank, 0)], holds

    chosen, holds = jax.vmap(jax.vmap(order), (0, None))(indices, counts)
    return in_minibatches(chosen, n_minibatches), in_minibatches(holds, n_minibatches)


def in_minibatches(epochs: Array, n_minibatches: int) -> Array:
    """`[E, S, n]` as `[E * M, S, n / M]`."""
    n_epochs, n_shards, _ = epochs.shape
    batches = epochs.reshape(n_epochs, n_shards, n_minibatches, -1).swapaxes(1, 2)
    return batches.reshape(n_epochs * n_minibatches, n_shards, -1)


def take(examples: PyTree, chosen: Int[Array, " S B"]) -> PyTree:
    """Those of examples `[S, n, ...]` that were chosen of each shard, as `[S * B, ...]`."""
    if chosen.shape[0] == 1:
        return jax.tree.map(lambda x: x[0][chosen[0]], examples)
    batch = jax.vmap(lambda shard, which: jax.tree.map(lambda x: x[which], shard))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch(examples, chosen))


def split_envs(rollout: PyTree, n_shards: int) -> PyTree:
    """Leaves `[T, N, ...]` as `[S, T * N / S, ...]`: an equal share of the envs to each shard."""

    def split(x: Array) -> Array:
        n_steps, num_envs, *shape = x.shape
        parts = x.reshape(n_steps, n_shards, num_envs // n_shards, *shape)
        return parts.swapaxes(0, 1).reshape(n_shards, -1, *shape)

    return jax.tree.map(split, rollout)


def add_modulo(x: UInt32[Array, " n"], y: UInt32[Array, " n"], modulus: int) -> UInt32[Array, " n"]:
    """(x + y) mod `modulus` for numbers already below it, without a division."""
    total = x + y
    return jnp.where(total >= modulus, total - np.uint32(modulus), total)
