"""Rows of an observation as tokens: what all encoders of sets have in common.

A row is a thing at one time: one of `Tokens`, which may be missing, or of a Box of two axes, which
never is. What a missing row holds has no influence on anything.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vibe_rl.errors import ConfigError
from vibe_rl.networks.layers import MLP, RowLinear
from vibe_rl.networks.vectors import is_image
from vibe_rl.spaces import ArraySpace, Box, Tokens
from vibe_rl.types import Key


class Sets(NamedTuple):
    """The sets of an observation and what their networks are made of."""

    spaces: tuple[ArraySpace, ...]
    fields: Any  # of `TokenFields`
    activation: str

    @property
    def heads(self) -> tuple[int, int]:
        """Of an attention: how many, and their width."""
        return self.fields.n_heads, self.fields.head_width

    def layers(self, default: int) -> int:
        """How many rounds or layers there are."""
        return self.fields.token_layers or default


class TokenGroup(NamedTuple):
    """Tokens that are attended to together."""

    tokens: Array  # [n, width]
    there: Array  # bool [n]


def is_set(space: ArraySpace) -> bool:
    """Whether an array is rows of features, one for each thing."""
    rows = isinstance(space, Box) and len(space.shape) == 2 and not is_image(space)
    return rows or isinstance(space, Tokens)


def rows_of(
    space: ArraySpace, x: Float[Array, "..."]
) -> tuple[Float[Array, " n F"], Bool[Array, " n"]]:
    """The rows of one array, zeros for those that are missing, and which are there."""
    rows = x.reshape(-1, x.shape[-1])
    if not isinstance(space, Tokens):
        return rows, jnp.ones(len(rows), bool)
    there = rows[:, -1] > 0.0
    return jnp.where(there[:, None], rows, 0.0), there


class Embed(eqx.Module):
    """A token for each row: dense layers that the rows share, and a vector of the row's place."""

    mlp: MLP
    out: RowLinear
    place: Array  # [n, width]
    space: ArraySpace = eqx.field(static=True)

    def __init__(self, key: Key, space: ArraySpace, sets: Sets):
        keys, fields = jax.random.split(key, 3), sets.fields
        sizes, width, n_in = check_hidden_sizes(fields), fields.token_width, space.shape[-1]
        self.mlp = MLP(keys[0], n_in, sizes, sets.activation, RowLinear)
        self.out = RowLinear(keys[1], (n_in, *sizes)[-1], width, scale=1.0)
        n_rows = jax.eval_shape(lambda x: rows_of(space, x)[0], zeros_of(space)).shape[0]
        self.place = 0.1 * jax.random.normal(keys[2], (n_rows, width), jnp.float32)
        self.space = space

    def __call__(self, x: Float[Array, "..."]) -> TokenGroup:
        """The tokens of one array."""
        rows, there = rows_of(self.space, x)
        return TokenGroup(jax.vmap(self.out)(jax.vmap(self.mlp)(rows)) + self.place, there)


def check_hidden_sizes(fields: Any) -> tuple[int, ...]:
    """The widths of the dense layers before a token; ConfigError if one is less than 1."""
    sizes = fields.token_hidden_sizes
    if min(sizes, default=1) < 1:
        raise ConfigError(f"token_hidden_sizes {sizes}: give widths of at least 1.")
    return sizes


def zeros_of(space: ArraySpace) -> jax.ShapeDtypeStruct:
    """What a member of a space is to a network."""
    return jax.ShapeDtypeStruct(space.shape, jnp.float32)


def embeds(key: Key, sets: Sets) -> tuple[Embed, ...]:
    """One for each set."""
    keys = jax.random.split(key, len(sets.spaces))
    return tuple(Embed(keys[i], space, sets) for i, space in enumerate(sets.spaces))


def join_groups(groups: Sequence[TokenGroup]) -> TokenGroup:
    """All tokens as one group."""
    return TokenGroup(*(jnp.concatenate(both) for both in zip(*groups, strict=True)))


def mean_of(group: TokenGroup) -> Float[Array, " width"]:
    """The mean of the tokens that are there; 0 where none is."""
    there = group.there[:, None]
    n = jnp.maximum(there.sum(dtype=jnp.int32), 1)
    return jnp.where(there, group.tokens, 0.0).sum(0) / n
