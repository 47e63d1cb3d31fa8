"""A replay ring in equal parts, one for the envs of each device; parts exchange nothing."""

from dataclasses import dataclass
from functools import partial
from typing import Any, final

import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from vibe_rl.replay.base import AbstractReplay
from vibe_rl.replay.device import Replay
from vibe_rl.replay.ring import Batch, Ring
from vibe_rl.sharding import wait_for
from vibe_rl.spaces import Space
from vibe_rl.types import Key, Number, PyTree, Transition

SHARDS = "shards"


@final
@dataclass(frozen=True)
class ShardedReplay(AbstractReplay):
    """A ring whose every part keeps its envs' transitions and gives an equal share of a batch.

    What is drawn has an equal share of its last axis from each part.
    Where there are no priorities, a ring is the same array whatever the number of parts.
    """

    n_shards: int = 1  # must divide num_envs and the last axis of what is sampled

    @property
    def part(self) -> Replay:
        """What each part is, alone."""
        num_envs = self.num_envs // self.n_shards
        return Replay((self.length - 1) * num_envs, num_envs, self.n_step, self.prioritized)

    @override
    def init(self, obs_space: Space, action_space: Space) -> Ring:
        part = self.part.init(obs_space, action_space)
        return _joined(jax.tree.map(lambda x: jnp.stack([x] * self.n_shards), part))

    @override
    def insert(self, ring: Ring, rollout: Transition) -> Ring:
        insert = jax.vmap(self.part.insert, in_axes=(0, 1), axis_name=SHARDS)
        lean = rollout._replace(extras=None)
        return _joined(insert(self._parts(ring), self._split(lean)))

    @override
    def sample(
        self, ring: Ring, key: Key, shape: tuple[int, ...], gamma: Number, beta: Number = 1.0
    ) -> Batch:
        *before, batch = shape
        shape = (*before, batch // self.n_shards)
        least_of_all = partial(jax.lax.pmin, axis_name=SHARDS)

        def sample(part: Ring, key: Key) -> Batch:
            return self.part.sample_part(part, key, shape, gamma, beta, least_of_all)

        keys = jax.random.split(key, self.n_shards)
        axis = len(before)
        many = jax.vmap(sample, out_axes=axis, axis_name=SHARDS)(self._parts(ring), keys)
        many = many._replace(weight=wait_for(ring.filled, many.weight))  # priorities do not read it
        return jax.tree.map(lambda x: x.reshape(*x.shape[:axis], batch, *x.shape[axis + 2 :]), many)

    @override
    def reprioritize(self, ring: Ring, batch: Batch, priority: Array) -> Ring:
        if ring.priorities is None:
            return ring
        axis = batch.slot.ndim - 1
        drawn = Batch(*[None] * len(Batch._fields))._replace(slot=batch.slot, weight=batch.weight)
        reprioritize = jax.vmap(self.part.reprioritize, (0, axis, axis), axis_name=SHARDS)
        return _joined(reprioritize(self._parts(ring), *self._split((drawn, priority), axis)))

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


def _joined(parts: Ring) -> Ring:
    """The ring without the axis of parts; of scalars, the greatest counts."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]) if x.ndim > 1 else x.max(), parts)
