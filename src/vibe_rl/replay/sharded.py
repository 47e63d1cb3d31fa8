"""A replay ring in equal parts, one for the envs of each device; they exchange nothing."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.replay.ring import AnyKey, Batch, Replay, Ring
from vibe_rl.spaces import Space
from vibe_rl.types import Number, PyTree, Transition

SHARDS = "shards"


@dataclass(frozen=True)
class Part(Replay):
    """The share of one device, `vmap`ped over all."""

    def least_of_all(self, least: Array) -> Array:
        """The least probability among the parts."""
        return jax.lax.pmin(least, SHARDS)


@dataclass(frozen=True)
class ShardedReplay(Replay):
    """A ring whose every part keeps its envs' transitions and gives an equal share of a batch.

    Where there are no priorities, a ring is the same array whatever the number of parts.
    """

    n_shards: int = 1  # must divide num_envs and the last axis of what is sampled

    @property
    def part(self) -> Part:
        """What each part is, alone."""
        num_envs = self.num_envs // self.n_shards
        return Part((self.length - 1) * num_envs, num_envs, self.n_step, self.prioritized)

    def init(self, obs_space: Space, action_space: Space) -> Ring:
        """An empty ring for members of these spaces."""
        part = self.part.init(obs_space, action_space)
        return joined(jax.tree.map(lambda x: jnp.stack([x] * self.n_shards), part))

    def insert(self, ring: Ring, rollout: Transition) -> Ring:
        """The ring with a rollout `[T, N, ...]` written over its oldest transitions."""
        insert = jax.vmap(self.part.insert, in_axes=(0, 1), axis_name=SHARDS)
        lean = rollout._replace(extras=None)
        return joined(insert(self._parts(ring), self._split(lean)))

    def sample(
        self, ring: Ring, key: AnyKey, shape: tuple[int, ...], gamma: Number, beta: Number = 1.0
    ) -> Batch:
        """Examples with leading axes `shape`, an equal share of the last axis from each part."""
        *before, batch = shape
        shape = (*before, batch // self.n_shards)

        def sample(part: Ring, key: AnyKey) -> Batch:
            return self.part.sample(part, key, shape, gamma, beta)

        keys = jax.random.split(key, self.n_shards)
        axis = len(before)
        many = jax.vmap(sample, out_axes=axis, axis_name=SHARDS)(self._parts(ring), keys)
        return jax.tree.map(lambda x: x.reshape(*x.shape[:axis], batch, *x.shape[axis + 2 :]), many)

    def reprioritize(self, ring: Ring, batch: Batch, priority: Array) -> Ring:
        """The ring with the priorities of a batch's transitions replaced, if it has any."""
        if ring.priorities is None:
            return ring
        axis = batch.slot.ndim - 1
        drawn = Batch(*[None] * len(Batch._fields))._replace(slot=batch.slot, weight=batch.weight)
        reprioritize = jax.vmap(self.part.reprioritize, (0, axis, axis), axis_name=SHARDS)
        return joined(reprioritize(self._parts(ring), *self._split((drawn, priority), axis)))

    def _split(self, tree: PyTree, axis: int = 1) -> PyTree:
        """Leaves with this axis as two, the first of which is that of the parts."""
        return jax.tree.map(
            lambda x: x.reshape(*x.shape[:axis], self.n_shards, -1, *x.shape[axis + 1 :]), tree
        )

    def _parts(self, ring: Ring) -> Ring:
        """The ring with a leading axis of parts."""

        def parts(x: Any) -> Any:
            shape = (self.n_shards, -1, *x.shape[1:])
            return x.reshape(shape) if x.ndim else jnp.broadcast_to(x, (self.n_shards,))

        return jax.tree.map(parts, ring)


def joined(parts: Ring) -> Ring:
    """The ring without the axis of parts; of single numbers the greatest counts."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]) if x.ndim > 1 else x.max(), parts)
