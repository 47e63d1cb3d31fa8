"""What every replay is: sizes, and who writes to a ring and draws from it."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.replay import sum_tree
from vibe_rl.replay.ring import Batch, Ring, empty_ring, gather
from vibe_rl.spaces import Space
from vibe_rl.types import AnyArray, Number, Transition

AnyKey = Any
"""A key, or for a ring in the host's memory a key's data."""


@dataclass(frozen=True)
class AbstractReplay(ABC):
    """The latest transitions of every env, in a ring.

    Without priorities every transition is equally likely, and drawn with replacement. With them the
    probability is in proportion to the priority, one example from each of B equal shares of the
    total (Schaul et al. 2016, arXiv:1511.05952), where B is the last axis of what is drawn, and new
    transitions have the highest one so far.
    """

    capacity: int  # transitions over all envs; an episode's end takes the room of one
    num_envs: int = 1
    n_step: int = 1
    prioritized: bool = False

    @property
    def length(self) -> int:
        """C, the slots of each env: one more than transitions, for the newest successor."""
        return -(-self.capacity // self.num_envs) + 1

    @abstractmethod
    def init(self, obs_space: Space, action_space: Space) -> Ring:
        """An empty ring for members of these spaces."""

    @abstractmethod
    def insert(self, ring: Ring, rollout: Transition) -> Ring:
        """The ring with a rollout `[T, N, ...]` written over its oldest transitions."""

    @abstractmethod
    def sample(
        self, ring: Ring, key: AnyKey, shape: tuple[int, ...], gamma: Number, beta: Number = 1.0
    ) -> Batch:
        """Examples with leading axes `shape`, weighted to make up for priorities to the power beta.

        An example for which no transition was found weighs nothing.
        """

    @abstractmethod
    def reprioritize(self, ring: Ring, batch: Batch, priority: AnyArray) -> Ring:
        """The ring with the priorities of a batch's transitions replaced, if it has any."""

    def gather(self, ring: Ring, slot: AnyArray, weight: AnyArray, gamma: Number) -> Batch:
        """The transitions that begin in these slots, with `n_step` rewards summed."""
        return gather(ring, slot, weight, self.n_step, gamma)

    def fill(self, ring: Ring) -> AnyArray:
        """The share of the slots that may hold something, float32."""
        return (ring.filled / self.length).astype(np.float32)

    def nbytes(self, obs_space: Space, action_space: Space) -> int:
        """Size in bytes of a ring for members of these spaces."""
        shapes = jax.eval_shape(partial(self._empty, jnp, obs_space, action_space))
        return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))

    def _empty(self, xp: Any, obs_space: Space, action_space: Space) -> Ring:
        n_slots = self.num_envs * self.length
        priorities = sum_tree.init(n_slots) if self.prioritized else None
        return empty_ring(xp, self.num_envs, self.length, obs_space, action_space, priorities)
