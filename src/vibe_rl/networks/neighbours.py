"""Attention of every thing to those nearest to it, after MTR (Shi et al. 2022, arXiv:2209.13508).

What the past of a thing holds is pooled into one token by its largest features. Who is near is said
by the distance between tokens before the first layer, not in metres: so it needs to know no unit
and no column of a set, and depends on everything that a thing is, its place among it. Things attend
to agents alone (`Tokens.agents`), or to all where no part of the observation has any.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vibe_rl.networks.attention import AttentionLayer, FeedForward
from vibe_rl.networks.tokens import Embed, Sets, TokenGroup, embeds, join_groups, mean_of
from vibe_rl.spaces import Tokens
from vibe_rl.types import Key

LAYERS = 4
"""Where `token_layers` is None."""


class LocalLayer(eqx.Module):
    """Tokens, each with what it finds near it added, then changed one by one."""

    attention: AttentionLayer
    feed_forward: FeedForward

    def __init__(self, key: Key, sets: Sets):
        keys, width = jax.random.split(key), sets.fields.token_width
        self.attention = AttentionLayer(keys[0], width, width, sets.heads)
        self.feed_forward = FeedForward(keys[1], width, sets.activation)

    def __call__(
        self,
        tokens: Float[Array, " n width"],
        seen: slice,
        near: Bool[Array, " n m"],
    ) -> Float[Array, " n width"]:
        """The changed tokens; `near` are those of `tokens[seen]` that each of them sees."""
        memory = self.attention.memory(tokens[seen], near)
        return self.feed_forward(self.attention(tokens, memory))


class Neighbours(eqx.Module):
    """Layers of local attention, and the mean of all tokens."""

    embed: tuple[Embed, ...]
    layers: tuple[LocalLayer, ...]
    n_neighbours: int = eqx.field(static=True)

    def __init__(self, key: Key, sets: Sets):
        keys = jax.random.split(key)
        self.embed = embeds(keys[0], sets)
        of_layers = jax.random.split(keys[1], sets.layers(LAYERS))
        self.layers = tuple(LocalLayer(k, sets) for k in of_layers)
        self.n_neighbours = sets.fields.n_neighbours

    def __call__(self, arrays: Sequence[Array]) -> Float[Array, " token_width"]:
        """The mean of the tokens that are there."""
        groups = [pool_time(embed, x) for embed, x in zip(self.embed, arrays, strict=True)]
        agents = [g for e, g in zip(self.embed, groups, strict=True) if are_agents(e)]
        others = [g for e, g in zip(self.embed, groups, strict=True) if not are_agents(e)]
        whole, seen = join_groups([*agents, *others]), join_groups(agents or groups)
        near = nearest_neighbours(whole.tokens, seen, self.n_neighbours)
        tokens = whole.tokens
        for layer in self.layers:
            tokens = layer(tokens, slice(len(seen.there)), near)
        return mean_of(whole._replace(tokens=tokens))


def are_agents(embed: Embed) -> bool:
    """Whether a part of the observation is of agents."""
    return isinstance(embed.space, Tokens) and embed.space.agents


def pool_time(embed: Embed, x: Float[Array, "..."]) -> TokenGroup:
    """A token for each thing: of its rows that are there, the largest of each feature."""
    tokens, there = embed(x)
    n_things = embed.space.shape[0]
    tokens, there = tokens.reshape(n_things, -1, tokens.shape[1]), there.reshape(n_things, -1)
    largest = jnp.where(there[..., None], tokens, -jnp.inf).max(1)
    any_there = there.any(1)
    return TokenGroup(jnp.where(any_there[:, None], largest, 0.0), any_there)


def nearest_neighbours(
    tokens: Float[Array, " n width"], seen: TokenGroup, k: int
) -> Bool[Array, " n m"]:
    """Which `k` of `seen` are nearest to each token, fewer where fewer are there.

    Those that are as near as the k-th are among them.
    """
    tokens, others = jax.lax.stop_gradient((tokens, seen.tokens))
    squares = (tokens**2).sum(1)[:, None] + (others**2).sum(1)[None] - 2.0 * tokens @ others.T
    distance = jnp.where(seen.there[None], squares, jnp.inf)
    if k >= len(others):
        return jnp.broadcast_to(seen.there[None], distance.shape)
    furthest = jax.lax.top_k(-distance, k)[0][:, -1:]
    return (distance <= -furthest) & seen.there[None]
