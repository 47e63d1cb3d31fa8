"""Threefry-2x32 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") in one piece.

JAX's own Threefry is lowered on a CPU to a loop of some eighty tiny operations per call, which
takes most of the time of a rollout of few environments. This one is straight-line code that fuses
with its surroundings; keys, splits and bits are the same as those of `jax.random.key`, bit for bit.
"""

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl
from jaxtyping import Array, UInt32

from vibe_rl.errors import ConfigError, short
from vibe_rl.types import Key, PyTree, is_key

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = np.uint32(0x1BD11BDA)
MANY = 8  # draws of at least so many numbers are worth a loop
WORDS = {8: jnp.uint8, 16: jnp.uint16, 32: jnp.uint32}


def rotate_left(x: UInt32[Array, " *n"], bits: int) -> UInt32[Array, " *n"]:
    """The 32 bits of each number, turned."""
    return (x << np.uint32(bits)) | (x >> np.uint32(32 - bits))


def threefry(
    key: UInt32[Array, "2"], high: UInt32[Array, " *n"], low: UInt32[Array, " *n"]
) -> tuple[UInt32[Array, " *n"], UInt32[Array, " *n"]]:
    """Encrypts 64-bit counters, given as two halves, in twenty rounds."""
    schedule = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    x, y = high + schedule[0], low + schedule[1]
    for group in range(5):
        for bits in ROTATIONS[group % 2]:
            x = x + y
            y = x ^ rotate_left(y, bits)
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


inlined = partial(jax.jit, inline=True)
"""One call outside `jit`, instead of a hundred; no trace of itself inside."""


def _encrypted_counters(key: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    if math.prod(shape) >= 2**32:
        raise NotImplementedError(f"random numbers of shape {shape}: draw fewer than 2^32 at once.")
    low = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    return threefry(key, jnp.zeros_like(low), low)


@inlined
def _seed(seed: Array) -> Array:
    wide = jnp.asarray(seed)
    bits = wide.dtype.itemsize * 8
    high = (wide >> np.array(32, wide.dtype)).astype(jnp.uint32) if bits > 32 else jnp.uint32(0)
    return jnp.stack([high, wide.astype(jnp.uint32)])


@partial(jax.jit, static_argnums=1, inline=True)
def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.stack(_encrypted_counters(key, shape), axis=-1)


@inlined
def _fold_in(key: Array, data: Array | int) -> Array:
    return jnp.stack(threefry(key, jnp.uint32(0), jnp.uint32(data)))


def once(numbers: Callable[[], PyTree]) -> PyTree:
    """`numbers()`, computed one time and kept.

    XLA computes straight-line code anew inside every operation that reads it, which does not take
    long but makes programs that use noise in many places twice as long to compile. It does not look
    into a loop, though, unless it sees that the loop has a single round. The number of rounds must
    not depend on the key: where keys differ by device, devices would have to agree on it.
    """
    rounds = jax.lax.optimization_barrier(np.uint32(1))  # XLA cannot constant-fold it
    start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(numbers))
    carry = (np.uint32(0), start)
    return jax.lax.while_loop(
        lambda carry: carry[0] < rounds, lambda carry: (carry[0] + np.uint32(1), numbers()), carry
    )[1]


@partial(jax.jit, static_argnums=(1, 2), inline=True)
def _random_bits(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    draw = partial(_encrypted_counters, key, shape)
    high, low = once(draw) if math.prod(shape) >= MANY else draw()
    if bit_width == 64:
        return (high.astype(jnp.uint64) << np.uint64(32)) | low.astype(jnp.uint64)
    return (high ^ low).astype(WORDS[bit_width])


def seed_key(seed: Array) -> Array:
    """A key's two words."""
    return _seed(seed)


def split_key(key: Array, shape: tuple[int, ...]) -> Array:
    """New keys."""
    return _split(key, shape)


def fold_in_key(key: Array, data: Array | int) -> Array:
    """A key that depends on a number too."""
    return _fold_in(key, data)


def random_bits(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    """Unsigned integers of so many bits."""
    return _random_bits(key, bit_width, shape)


STRAIGHT_THREEFRY = define_prng_impl(  # of plain functions: keys are pickled with them
    key_shape=(2,),
    seed=seed_key,
    split=split_key,
    random_bits=random_bits,
    fold_in=fold_in_key,
    name="straight_threefry2x32",
    tag="sfry",
)


def implementation() -> Any:
    """The straight one on a CPU, JAX's own on an accelerator; their random numbers are the same."""
    return STRAIGHT_THREEFRY if jax.default_backend() == "cpu" else "threefry2x32"


def key(seed: int) -> Key:
    """`jax.random.key(seed)`, with the same random numbers, made faster on a CPU.

    All 64 bits of the seed count, whether JAX is set to 64 bits or not.

    Raises:
        ConfigError: the seed has more bits, or is negative.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**64:
        raise ConfigError(f"seed {short(seed)}: give a whole number from 0 to 2^64 - 1.")
    words = np.array([number >> 32, number & 0xFFFFFFFF], np.uint32)
    return jax.random.wrap_key_data(jnp.asarray(words), impl=implementation())


def jax_key(seed: int) -> Key:
    """`key` of JAX's own implementation, for programs that are compiled for such keys.

    Raises:
        ConfigError: the seed has more bits, or is negative.
    """
    return jax.random.wrap_key_data(jax.random.key_data(key(seed)))


def drawn_once(draw: Callable[[Key], PyTree], key: Key) -> PyTree:
    """`draw(key)`, its random numbers made by JAX's own loops: the same, but slower to run.

    Their code is smaller and compiles faster, which is what counts where a program runs once. Keys
    among the results are of the given key's implementation.
    """

    def given(leaf: Any) -> Any:
        return with_implementation(leaf, jax.random.key_impl(key)) if is_key(leaf) else leaf

    return jax.tree.map(given, draw(with_implementation(key, "threefry2x32")))


def with_implementation(key: Key, implementation: Any) -> Key:
    """The key with other code behind it; both must have Threefry's numbers."""
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=implementation)
