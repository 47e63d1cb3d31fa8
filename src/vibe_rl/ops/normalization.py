"""Running mean and variance of observations."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from vibe_rl.types import MaskedObs, PyTree


class RunningStatistics(NamedTuple):
    """Mean and variance so far, entry by entry."""

    count: Array  # float32; rounded, which shifts the moments by less than they vary
    mean: PyTree
    var: PyTree  # population variance


def initial_statistics(like: PyTree) -> RunningStatistics:
    """Statistics of nothing yet: mean 0, variance 1, for arrays of the shapes of `like`."""
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), like)
    return RunningStatistics(jnp.float32(0.0), zeros, jax.tree.map(jnp.ones_like, zeros))


def update_statistics(
    statistics: RunningStatistics, batch: PyTree, counts: Bool[Array, " T N"] | None = None
) -> RunningStatistics:
    """Adds a batch with leading axes `[T, N]` (Chan et al. 1979, the pairwise update).

    Args:
        statistics: so far.
        batch: observations.
        counts: which of them count; None: all.
    """
    first = jax.tree.leaves(batch)[0]
    added = float(first.shape[0] * first.shape[1]) if counts is None else jnp.float32(counts.sum())
    total = statistics.count + added
    share = added / total

    def merge(mean, var, x):
        x = x.astype(jnp.float32)
        where = None if counts is None else counts.reshape(*counts.shape, *(1,) * (x.ndim - 2))
        shift = x.mean((0, 1), where=where) - mean
        spread = (1.0 - share) * var + share * x.var((0, 1), where=where)
        return mean + share * shift, spread + share * (1.0 - share) * shift**2

    merged = jax.tree.map(merge, statistics.mean, statistics.var, batch)
    mean, var = jax.tree.transpose(jax.tree.structure(batch), jax.tree.structure((0, 0)), merged)
    return RunningStatistics(total, mean, var)


def normalize(statistics: RunningStatistics, x: PyTree, clip: float = 10.0) -> PyTree:
    """`x` in standard deviations from the mean, clipped; `x` is one example."""

    def standardize(x, mean, var):
        return jnp.clip((x - mean) * jax.lax.rsqrt(var + 1e-8), -clip, clip)

    return jax.tree.map(standardize, x, statistics.mean, statistics.var)


def standardize_obs(statistics: RunningStatistics | None, obs: PyTree) -> PyTree:
    """What the networks get: the view of `obs` normalised, or `obs` itself without statistics."""
    if statistics is None:
        return obs
    if isinstance(obs, MaskedObs):
        return obs._replace(view=normalize(statistics, obs.view))
    return normalize(statistics, obs)
