"""A replay in the host's memory, for buffers larger than the device's."""

from dataclasses import dataclass
from typing import Any, final

import jax
import numpy as np
from typing_extensions import override

from vibe_rl.replay.base import AbstractReplay
from vibe_rl.replay.ring import Batch, Ring, slots_of, write
from vibe_rl.spaces import Space
from vibe_rl.types import Number, Transition


@final
@dataclass(frozen=True)
class HostReplay(AbstractReplay):
    """A ring of NumPy's arrays, written in place; `insert` and `sample` run outside `jit`.

    Sampling is uniform only, and as reproducible: `sample` seeds its generator with the key's data.
    """

    @override
    def init(self, obs_space: Space, action_space: Space) -> Ring:
        return self._empty(np, obs_space, action_space)

    @override
    def insert(self, ring: Ring, rollout: Transition) -> Ring:
        lean = rollout._replace(extras=None)
        for t in range(rollout.reward.shape[0]):
            ring = write(np, ring, jax.tree.map(lambda x, t=t: x[t], lean))
        return ring

    @override
    def sample(
        self, ring: Ring, key: Any, shape: tuple[int, ...], gamma: Number, beta: Number = 1.0
    ) -> Batch:
        high, low = map(int, np.asarray(key))
        generator = np.random.Generator(np.random.Philox(key=(high << 32) | low))
        end = max(self.num_envs * ring.filled, 1)
        drawn = generator.integers(0, end, (2, *shape), np.int32)
        return self.gather(ring, *slots_of(np, ring, drawn), gamma)

    @override
    def reprioritize(self, ring: Ring, batch: Batch, priority: Any) -> Ring:
        return ring
