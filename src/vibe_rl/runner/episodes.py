"""Sums over finished episodes."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class EpisodeSummary(NamedTuple):
    """Sums over the episodes that finished within some steps; two of them add up."""

    episodes: Array  # int32
    return_sum: Array
    return_min: Array  # +inf when no episode finished
    return_max: Array  # -inf when no episode finished
    length_sum: Array


def summarize_episodes(
    done: Bool[Array, " *T"],
    episode_return: Float[Array, " *T"],
    episode_length: Int[Array, " *T"],
) -> EpisodeSummary:
    """The episodes among these steps: where `done`, return and length are those of the whole."""
    return EpisodeSummary(
        episodes=done.sum(dtype=jnp.int32),
        return_sum=jnp.where(done, episode_return, 0.0).sum(),
        return_min=jnp.where(done, episode_return, jnp.inf).min(),
        return_max=jnp.where(done, episode_return, -jnp.inf).max(),
        length_sum=jnp.where(done, episode_length, 0).sum(dtype=jnp.int32).astype(jnp.float32),
    )
