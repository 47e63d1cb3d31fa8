"""Random permutations without a sort.

Sorting random keys, as `jax.random.permutation` does, takes a quarter of a PPO update on a CPU. A
Feistel network (Luby and Rackoff 1988) over the grid `a x b = n` is a bijection by construction:
each round adds to one coordinate a random function of the other. Round functions are tables drawn
from the key, so every round is as random as the generator, and six rounds are two more than make
such a network a strong pseudo-random permutation.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from vibe_rl.types import Key

ROUNDS = 6
SMALLEST_SIDE = 8  # a grid that is too narrow for tables to mix is sorted instead


def grid(n: int) -> tuple[int, int]:
    """The two factors of `n` that are closest to its square root, the smaller first."""
    side = next(d for d in range(math.isqrt(n), 0, -1) if n % d == 0)
    return side, n // side


def permutation(key: Key, n: int) -> Int[Array, " {n}"]:
    """A random permutation of 0 .. n-1, in time linear in `n` wherever `n` has two fair factors."""
    a, b = grid(n)
    if a < SMALLEST_SIDE:
        return jax.random.permutation(key, n)
    tables = jax.random.bits(key, (ROUNDS, b)).astype(jnp.int32) & jnp.iinfo(jnp.int32).max
    left, right = jnp.divmod(jnp.arange(n, dtype=jnp.int32), b)
    for i in range(ROUNDS):
        if i % 2 == 0:
            left = add_modulo(left, (tables[i] % a)[right], a)
        else:
            right = add_modulo(right, (tables[i, :a] % b)[left], b)
    return left * b + right


def minibatches(key: Key, n: int, n_epochs: int, n_minibatches: int) -> Int[Array, " M B"]:
    """The indices of every minibatch of some epochs; each epoch sees each of 0 .. n-1 once."""
    epochs = jax.vmap(lambda key: permutation(key, n))(jax.random.split(key, n_epochs))
    return epochs.reshape(n_epochs * n_minibatches, -1)


def add_modulo(x: Int[Array, " n"], y: Int[Array, " n"], modulus: int) -> Int[Array, " n"]:
    """(x + y) mod `modulus` for numbers already below it, without a division."""
    total = x + y
    return jnp.where(total >= modulus, total - modulus, total)
