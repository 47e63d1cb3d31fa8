"""One agent's part of a chunk in which many were trained, taken apart only where it is used."""

from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np

from vibe_rl.runner.loop import Chunk, MetricTable, TrainState
from vibe_rl.types import PyTree


class SharedTable:
    """The metrics of all agents, brought to the host at most once."""

    def __init__(self, metrics: MetricTable):
        self.names, self._metrics = metrics.names, metrics

    @cached_property
    def on_host(self) -> MetricTable:
        """Waits for the device."""
        return jax.device_get(self._metrics)


@dataclass(frozen=True)
class MemberTable:
    """The metrics of one agent: what `MetricTable` is for a run of its own."""

    shared: SharedTable
    index: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return self.shared.names

    @property
    def _own(self) -> MetricTable:
        table = self.shared.on_host
        return MetricTable(table.rows[self.index], table.episodes[self.index], table.names)

    def ended(self, updates: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `MetricTable.ended`."""
        return self._own.ended(updates)

    def columns(self, n_updates: int) -> dict[str, np.ndarray]:
        """See `MetricTable.columns`."""
        return self._own.columns(n_updates)


@dataclass(frozen=True)
class MemberChunk:
    """What `Chunk` is for a run of its own."""

    chunk: Chunk
    metrics: MemberTable
    index: int

    @property
    def state(self) -> TrainState:
        """The agent's own."""
        return entry(self.chunk.state, self.index)

    @property
    def n_updates(self) -> int:
        """Of all agents."""
        return self.chunk.n_updates

    @property
    def first(self) -> bool:
        """See `Chunk.first`."""
        return self.chunk.first


def entry(tree: PyTree, i: int) -> PyTree:
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


def members_of(chunk: Chunk, n_members: int) -> list[MemberChunk]:
    """The parts of a chunk."""
    shared = SharedTable(chunk.metrics)
    return [MemberChunk(chunk, MemberTable(shared, i), i) for i in range(n_members)]
