"""Encoders in which a few learned vectors, latents, ask the tokens of an observation.

After Perceiver (Jaegle et al. 2021, arXiv:2103.03206): `lq` asks all tokens at once, `lqh` one part
of the observation after another (Bronstein et al. 2022, arXiv:2210.09539), both in rounds that
share their weights. `wayformer` (Nayakanti et al. 2022, arXiv:2207.05844) has some for each part.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vibe_rl.networks.attention import AttentionLayer, FeedForward, SelfAttention
from vibe_rl.networks.tokens import Embed, Sets, TokenGroup, embeds, join_groups
from vibe_rl.types import Key

ROUNDS, DEPTH = 4, 2
"""Where `token_layers` is None: of lq and lqh, of wayformer."""


def fresh_latents(key: Key, sets: Sets) -> Array:
    """`[n_latents, latent_width]`."""
    shape = sets.fields.n_latents, sets.fields.latent_width
    return jax.random.normal(key, shape, jnp.float32)


class LatentQueries(eqx.Module):
    """Latents that ask each group of tokens, then each other, again and again."""

    embed: tuple[Embed, ...]
    latents: Array  # [n_latents, latent_width]
    cross: tuple[AttentionLayer, ...]  # of each group
    feed_forward: FeedForward
    among: SelfAttention
    rounds: int = eqx.field(static=True)
    together: bool = eqx.field(static=True)  # whether all tokens are one group

    def __init__(self, key: Key, sets: Sets, together: bool):
        keys, width = jax.random.split(key, 5), sets.fields.latent_width
        n_groups = 1 if together else len(sets.spaces)
        seen = sets.fields.token_width
        self.embed = embeds(keys[0], sets)
        self.latents = fresh_latents(keys[1], sets)
        self.cross = tuple(
            AttentionLayer(k, width, seen, sets.heads) for k in jax.random.split(keys[2], n_groups)
        )
        self.feed_forward = FeedForward(keys[3], width, sets.activation)
        self.among = SelfAttention(keys[4], width, sets.heads, sets.activation)
        self.rounds, self.together = sets.layers(ROUNDS), together

    def __call__(self, arrays: Sequence[Array]) -> Float[Array, " latent_width"]:
        """The mean of the latents."""
        groups = [embed(x) for embed, x in zip(self.embed, arrays, strict=True)]
        groups = [join_groups(groups)] if self.together else groups
        asked = [(ask, ask.memory(*group)) for ask, group in zip(self.cross, groups, strict=True)]
        x = self.latents
        for _ in range(self.rounds):  # memories are the same in all, for so are the weights
            for ask, memory in asked:
                x = ask(x, memory)
            x = self.among(self.feed_forward(x))
        return x.mean(0)


class LatentAttention(eqx.Module):
    """Latents that ask a group of tokens once, then each other."""

    latents: Array  # [n_latents, latent_width]
    cross: AttentionLayer
    feed_forward: FeedForward
    among: tuple[SelfAttention, ...]

    def __init__(self, key: Key, sets: Sets, seen_width: int):
        depth, width = sets.layers(DEPTH), sets.fields.latent_width
        keys = jax.random.split(key, 3 + depth)
        self.latents = fresh_latents(keys[0], sets)
        self.cross = AttentionLayer(keys[1], width, seen_width, sets.heads)
        self.feed_forward = FeedForward(keys[2], width, sets.activation)
        self.among = tuple(
            SelfAttention(keys[3 + i], width, sets.heads, sets.activation) for i in range(depth - 1)
        )

    def __call__(self, group: TokenGroup) -> TokenGroup:
        """The latents, all of them there."""
        x = self.feed_forward(self.cross(self.latents, self.cross.memory(*group)))
        for layer in self.among:
            x = layer(x)
        return TokenGroup(x, jnp.ones(len(x), bool))


class Wayformer(eqx.Module):
    """Latent attention over all tokens, or over each part's and perhaps over what comes of it."""

    embed: tuple[Embed, ...]
    parts: tuple[LatentAttention, ...]  # one where the fusion is early
    top: LatentAttention | None  # where it is hierarchical
    early: bool = eqx.field(static=True)

    def __init__(self, key: Key, sets: Sets):
        keys, fusion = jax.random.split(key, 3), sets.fields.fusion
        self.early = fusion == "early"
        n_parts = 1 if self.early else len(sets.spaces)
        width, latent_width = sets.fields.token_width, sets.fields.latent_width
        self.embed = embeds(keys[0], sets)
        self.parts = tuple(
            LatentAttention(k, sets, width) for k in jax.random.split(keys[1], n_parts)
        )
        hierarchical = fusion == "hierarchical"
        self.top = LatentAttention(keys[2], sets, latent_width) if hierarchical else None

    def __call__(self, arrays: Sequence[Array]) -> Float[Array, " latent_width"]:
        """The mean of the last latents."""
        groups = [embed(x) for embed, x in zip(self.embed, arrays, strict=True)]
        groups = [join_groups(groups)] if self.early else groups
        fused = join_groups([part(group) for part, group in zip(self.parts, groups, strict=True)])
        fused = fused if self.top is None else self.top(fused)
        return fused.tokens.mean(0)
