"""A run's random streams: one to train with, one to evaluate with, whatever the other does."""

import jax
import jax.numpy as jnp
import jaxtyping
from jaxtyping import Array

from vibe_rl.ops import prng

Seed = int | tuple[int, ...]
"""Of a run, or one for each of many."""
RunKey = jaxtyping.Key[Array, " *M"]
"""The key of a run, or one for each of many `[M]`."""


def stream(seed: Seed, name: str) -> RunKey:
    """The root of one of a run's two independent random streams, "training" and "evaluation".

    With several seeds, the keys of all, `[M]`.
    """
    if isinstance(seed, tuple):
        return jnp.stack([stream(each, name) for each in seed])
    return jax.random.fold_in(prng.key(seed), ("training", "evaluation").index(name))


def evaluation_key(seed: Seed, update: int) -> RunKey:
    """The key of the evaluation after `update` updates, whatever else was evaluated."""
    if isinstance(seed, tuple):
        return jnp.stack([evaluation_key(each, update) for each in seed])
    return jax.random.fold_in(stream(seed, "evaluation"), update)
