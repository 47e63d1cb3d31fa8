"""One agent's part of a chunk in which many were trained, taken apart only where it is used."""

from collections.abc import Callable
from functools import cache

import jax
import numpy as np

from vibe_rl.runner.loop import MetricTable
from vibe_rl.types import PyTree


class Slice:
    """An entry of an array's leading axis, which NumPy gets when it asks: until then it may be
    under way."""

    def __init__(self, fetch: Callable[[], np.ndarray], i: int):
        self._fetch, self._i = fetch, i

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._fetch()[self._i], dtype=dtype, copy=copy)


def split_table(table: MetricTable, n_members: int) -> list[MetricTable]:
    """The table of each agent; all wait for one copy on the host, and make it at most once."""
    rows = cache(lambda: np.asarray(table.rows))
    episodes = cache(lambda: np.asarray(table.episodes))
    return [MetricTable(Slice(rows, i), Slice(episodes, i), table.names) for i in range(n_members)]


def entry_of_each(tree: PyTree, i: int) -> PyTree:
    """An entry of the leading axis of every leaf, taken on the device where it is, in one go."""
    pieces = [piece_with(leaf, i) for leaf in jax.tree.leaves(tree)]
    here = jax.tree.unflatten(jax.tree.structure(tree), pieces)
    return _entry(here, i % len(pieces[0]))


def piece_with(leaf: jax.Array, i: int) -> jax.Array:
    """What the device that has the entry has of the leaf."""
    pieces = sorted(leaf.addressable_shards, key=lambda piece: piece.index[0].start or 0)
    return pieces[i * len(pieces) // len(leaf)].data


@jax.jit
def _entry(tree: PyTree, i: jax.Array) -> PyTree:
    return jax.tree.map(lambda x: x[i], tree)
