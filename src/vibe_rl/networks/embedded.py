"""Every part of an observation by dense layers of its own: what V-Max (2025) calls its MLP."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vibe_rl.networks.layers import MLP, RowLinear
from vibe_rl.networks.tokens import Sets, check_hidden_sizes, rows_of
from vibe_rl.spaces import ArraySpace
from vibe_rl.types import Key


class EmbeddedPart(eqx.Module):
    """All rows of one array, end to end, through dense layers; those that are missing are 0."""

    mlp: MLP
    out: RowLinear
    space: ArraySpace = eqx.field(static=True)

    def __init__(self, key: Key, space: ArraySpace, sets: Sets):
        keys, sizes = jax.random.split(key), check_hidden_sizes(sets.fields)
        self.space, n_in = space, math.prod(space.shape)
        self.mlp = MLP(keys[0], n_in, sizes, sets.activation, RowLinear)
        self.out = RowLinear(keys[1], (n_in, *sizes)[-1], sets.fields.token_width, scale=1.0)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, " token_width"]:
        """The features of one array."""
        rows, _ = rows_of(self.space, x)
        return self.out(self.mlp(rows.ravel()))


class Embedded(eqx.Module):
    """The features of all arrays, end to end."""

    parts: tuple[EmbeddedPart, ...]

    def __init__(self, key: Key, sets: Sets):
        keys = jax.random.split(key, len(sets.spaces))
        self.parts = tuple(
            EmbeddedPart(keys[i], space, sets) for i, space in enumerate(sets.spaces)
        )

    def __call__(self, arrays: Sequence[Array]) -> Float[Array, " n"]:
        """The features of one observation."""
        return jnp.concatenate([part(x) for part, x in zip(self.parts, arrays, strict=True)])
