"""A replay on the device: inserting costs as much as what is new, sampling as much as a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from vibe_rl.replay.base import AbstractReplay
from vibe_rl.replay.prioritized import draw_by_priority, reprioritize
from vibe_rl.replay.ring import Batch, Ring, slots_of, write
from vibe_rl.spaces import Space
from vibe_rl.types import Key, Number, Transition


@final
@dataclass(frozen=True)
class Replay(AbstractReplay):
    """A ring on one device, used inside `jit`."""

    @override
    def init(self, obs_space: Space, action_space: Space) -> Ring:
        return self._empty(jnp, obs_space, action_space)

    @override
    def insert(self, ring: Ring, rollout: Transition) -> Ring:
        lean = rollout._replace(extras=None)
        return jax.lax.scan(lambda ring, step: (write(jnp, ring, step), None), ring, lean)[0]

    @override
    def sample(
        self, ring: Ring, key: Key, shape: tuple[int, ...], gamma: Number, beta: Number = 1.0
    ) -> Batch:
        return self.sample_part(ring, key, shape, gamma, beta, least_of_all=lambda least: least)

    def sample_part(
        self,
        ring: Ring,
        key: Key,
        shape: tuple[int, ...],
        gamma: Number,
        beta: Number,
        least_of_all: Callable[[Array], Array],
    ) -> Batch:
        """`sample` where this is a part of a larger ring; see `draw_by_priority`."""
        if ring.priorities is None:
            drawn = jax.random.randint(key, (2, *shape), 0, self.num_envs * ring.filled, jnp.int32)
            slot, weight = slots_of(jnp, ring, drawn)
        else:
            slot, weight = draw_by_priority(ring, key, shape, beta, least_of_all)
        return self.gather(ring, slot, weight, gamma)

    @override
    def reprioritize(self, ring: Ring, batch: Batch, priority: Array) -> Ring:
        return reprioritize(ring, batch, priority)
