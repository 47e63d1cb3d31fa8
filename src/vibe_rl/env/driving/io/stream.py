"""Batches of scenarios from a set that is too large for the memory, shuffled and repeatable."""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np

from vibe_rl.env.driving.io.loading import Folder, bounds, check_rows, shard
from vibe_rl.env.driving.io.manifest import Manifest, read_manifest
from vibe_rl.env.driving.io.split import check_disjoint
from vibe_rl.env.driving.scenarios.scenario import Scenario, bytes_of, chosen, stacked
from vibe_rl.errors import ConfigError, shown


@dataclass(frozen=True)
class ScenarioStream:
    """Scenarios of a set, each once an epoch, without end.

    In each epoch the shards are put in a new order and cut into windows of a few, within which
    scenarios are shuffled. The order depends on `seed` and epoch alone: a batch is the same
    whenever, and in whichever order, batches are asked for. Threads may share a stream.
    """

    path: Folder
    """A directory that `write_scenarios` wrote."""
    count: int
    """Scenarios in a batch."""
    split: str = "train"
    seed: int = 0
    every: int = 1
    """Updates that a batch stays."""
    window: int = 4
    """Shards from which scenarios are drawn at a time; twice as many are kept in memory."""
    _shards: OrderedDict[int, Scenario] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )
    _checked: set[int] = field(default_factory=set, init=False, repr=False, compare=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def __post_init__(self):
        if min(self.count, self.every, self.window) < 1 or self.seed < 0:
            raise ConfigError(
                f"count {self.count}, every {self.every}, window {self.window}, seed {self.seed}: "
                "give at least 1, and a seed of at least 0."
            )
        check_disjoint(self.manifest.members("train"), self.manifest.members("valid"))
        if not self.size:
            raise ConfigError(
                f"{shown(self.path)} has no scenario of the split {self.split!r}: take another one."
            )

    @cached_property
    def manifest(self) -> Manifest:
        """What the set says of itself."""
        return read_manifest(Path(self.path))

    @cached_property
    def _rows(self) -> list[np.ndarray]:
        """The split's scenarios in each shard, as rows of it."""
        places = self.manifest.members(self.split).places
        return [places[(places >= a) & (places < b)] - a for a, b in bounds(self.manifest)]

    @cached_property
    def size(self) -> int:
        """Scenarios in an epoch."""
        return sum(len(rows) for rows in self._rows)

    @property
    def memory(self) -> int:
        """Bytes that it takes at most: the shards that are kept and a batch."""
        largest = max(each.count for each in self.manifest.shards)
        kept = min(2 * self.window, len(self.manifest.shards)) * largest
        return bytes_of(kept + self.count, self.manifest.dims)

    def batch_at(self, update: int) -> Scenario:
        """The bank `[count]` that belongs to an update."""
        first = update // self.every * self.count
        places: list[list[int]] = []
        while len(places) < self.count:
            epoch, begin = divmod(first + len(places), self.size)
            places += self.order(epoch)[begin : begin + self.count - len(places)].tolist()
        return stacked([chosen(self._shard(number), row) for number, row in places])

    def order(self, epoch: int) -> np.ndarray:
        """Shard and row `[size, 2]` of an epoch's scenarios."""
        generator = np.random.default_rng([self.seed, epoch])
        used = [i for i, rows in enumerate(self._rows) if len(rows)]
        shards = generator.permutation(used)
        windows = [shards[i : i + self.window] for i in range(0, len(shards), self.window)]
        return np.concatenate([generator.permutation(self._within(window)) for window in windows])

    def _within(self, window: np.ndarray) -> np.ndarray:
        pairs = [(np.full_like(self._rows[i], i), self._rows[i]) for i in window]
        return np.concatenate([np.stack(pair, 1) for pair in pairs])

    def _shard(self, number: int) -> Scenario:
        """A shard from those that are kept, or from its file."""
        with self._lock:
            if number not in self._shards:
                self._shards[number] = self._read(number)
            self._shards.move_to_end(number)
            while len(self._shards) > 2 * self.window:
                self._shards.popitem(last=False)
            return self._shards[number]

    def _read(self, number: int) -> Scenario:
        """A shard from its file, whose scenarios are checked when it is read first."""
        bank = shard(Path(self.path), self.manifest, number)
        if number not in self._checked:
            check_rows(bank, self._rows[number], bounds(self.manifest)[number][0])
            self._checked.add(number)
        return bank
