"""Attention over sets of which some members are missing, in blocks whose gate is 0 at first.

A block adds `gate * change(x)` to x (ReZero, Bachlechner et al. 2020, arXiv:2003.04887), so that a
fresh network is the identity and no normalisation is needed.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vibe_rl.networks.layers import ACTIVATIONS, RowLinear
from vibe_rl.types import Key

Vectors = Float[Array, " n width"]


class KeysAndValues(NamedTuple):
    """What can be attended to."""

    keys: Array  # [n, heads, d]
    values: Array  # [n, heads, d]
    there: Array  # bool [n], or [queries, n] where each query may see others


class AttentionLayer(eqx.Module):
    """Vectors, each with what it attends to added (Vaswani et al. 2017, arXiv:1706.03762)."""

    queries: RowLinear
    keys_values: RowLinear
    out: RowLinear
    gate: Array  # []
    n_heads: int = eqx.field(static=True)

    def __init__(self, key: Key, width: int, seen_width: int, heads: tuple[int, int]):
        self.n_heads, head_width = heads
        inner, keys = self.n_heads * head_width, jax.random.split(key, 3)
        self.queries = RowLinear(keys[0], width, inner, scale=1.0)
        self.keys_values = RowLinear(keys[1], seen_width, 2 * inner, scale=1.0)
        self.out = RowLinear(keys[2], inner, width, scale=1.0)
        self.gate = jnp.zeros((), jnp.float32)

    def memory(
        self, seen: Vectors, there: Bool[Array, " n"] | Bool[Array, " q n"]
    ) -> KeysAndValues:
        """Keys and values of what can be seen; those that are not there never are."""
        both = jax.vmap(self.keys_values)(seen).reshape(len(seen), 2, self.n_heads, -1)
        return KeysAndValues(both[:, 0], both[:, 1], there)

    def __call__(self, x: Vectors, memory: KeysAndValues) -> Vectors:
        """Where nothing can be seen, what is added is the same whatever `memory` holds."""
        queries = jax.vmap(self.queries)(x).reshape(len(x), self.n_heads, -1)
        found = attend(queries, memory).reshape(len(x), -1)
        return x + self.gate * jax.vmap(self.out)(found)


def attend(
    queries: Float[Array, " q heads d"], memory: KeysAndValues
) -> Float[Array, " q heads d"]:
    """For each query the mean of the values that are there, weighted by their keys; else 0."""
    scores = jnp.einsum("qhd,nhd->hqn", queries, memory.keys) / math.sqrt(queries.shape[-1])
    there = jnp.broadcast_to(memory.there, scores.shape)
    weights = jax.nn.softmax(jnp.where(there, scores, jnp.finfo(scores.dtype).min), axis=-1)
    return jnp.einsum("hqn,nhd->qhd", jnp.where(there, weights, 0.0), memory.values)


class FeedForward(eqx.Module):
    """Vectors, each changed by a dense layer of twice its width and a linear one."""

    hidden: RowLinear
    out: RowLinear
    gate: Array  # []
    activation: str = eqx.field(static=True)

    def __init__(self, key: Key, width: int, activation: str):
        keys = jax.random.split(key)
        self.hidden = RowLinear(keys[0], width, 2 * width)
        self.out = RowLinear(keys[1], 2 * width, width, scale=1.0)
        self.gate = jnp.zeros((), jnp.float32)
        self.activation = activation

    def __call__(self, x: Vectors) -> Vectors:
        """The changed vectors."""
        hidden = ACTIVATIONS[self.activation](jax.vmap(self.hidden)(x))
        return x + self.gate * jax.vmap(self.out)(hidden)


class SelfAttention(eqx.Module):
    """Vectors that attend to each other, then are changed one by one."""

    attention: AttentionLayer
    feed_forward: FeedForward

    def __init__(self, key: Key, width: int, heads: tuple[int, int], activation: str):
        keys = jax.random.split(key)
        self.attention = AttentionLayer(keys[0], width, width, heads)
        self.feed_forward = FeedForward(keys[1], width, activation)

    def __call__(self, x: Vectors) -> Vectors:
        """The changed vectors."""
        memory = self.attention.memory(x, jnp.ones(len(x), bool))
        return self.feed_forward(self.attention(x, memory))
