"""Sums over finished episodes, and what becomes of the metrics that an environment has of its own.

A chunk's programs reduce them to a figure an update; the host reduces these to a row's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vibe_rl.env.reductions import column


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


class Reduction(NamedTuple):
    """One way to reduce, in two steps that chunks may cut anywhere."""

    nothing: float  # the reduction of no number
    reduce: Callable[..., Any]  # numbers to one, on the device
    combine: Callable[[np.ndarray, int], Any]  # such numbers, and of how many they are


REDUCE = {
    "mean": Reduction(0.0, jnp.sum, lambda sums, n: sums.sum() / n),
    "sum": Reduction(0.0, jnp.sum, lambda sums, n: sums.sum()),
    "max": Reduction(-np.inf, jnp.max, lambda largest, n: largest.max()),
    "min": Reduction(np.inf, jnp.min, lambda smallest, n: smallest.min()),
}
"""By the names of `vibe_rl.env.reductions.REDUCTIONS`."""


def reduction(name: str) -> Reduction | None:
    """How the column of this name is reduced; None for a plain metric."""
    own = column(name)
    return None if own is None else REDUCE[own.how]


def reduce_ended(columns: Mapping[str, Array], done: Bool[Array, " *T"]) -> dict[str, Array]:
    """The metrics of the episodes that ended, reduced; float32."""
    reduced = {}
    for name, values in columns.items():
        how = reduction(name)
        assert how is not None
        reduced[name] = how.reduce(jnp.where(done, values.astype(jnp.float32), how.nothing))
    return reduced


def reduce_steps(columns: Mapping[str, Array]) -> dict[str, Array]:
    """The metrics of steps, each over all entries; float32 of integers and booleans too."""
    reduced = {}
    for name in sorted(columns):
        how = reduction(name)
        reduced[name] = (
            jnp.mean(columns[name], dtype=jnp.float32)
            if how is None
            else how.reduce(columns[name].astype(jnp.float32))
        )
    return reduced


def names_of_single(names: Iterable[str]) -> list[str]:
    """What the env says of single episodes, in the order of a table with these columns."""
    found = map(column, sorted(names))
    return [own.name for own in found if own is not None and own.entry == "episode"]


def own_metrics(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """The env's own metrics of a row, from columns `[n_updates]` of some chunks.

    Those of episodes are absent where none ended.
    """
    found = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        own = column(name)
        if own is None:
            continue
        having = [part for part in parts if name in part]
        values, counts = (np.concatenate([p[n] for p in having]) for n in (name, "episodes"))
        if own.entry == "episode":
            values = values[counts > 0]
        if values.size:
            found[own.row_name] = float(REDUCE[own.how].combine(values, int(counts.sum())))
    return found
