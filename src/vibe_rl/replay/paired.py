"""Two replays side by side: of the envs that an expert drives, and of all others."""

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import jax
from typing_extensions import override

from vibe_rl.replay.base import AbstractReplay, AnyKey
from vibe_rl.replay.ring import Batch
from vibe_rl.spaces import Space
from vibe_rl.types import AnyArray, Number, PyTree, Transition


class Rings(NamedTuple):
    """A ring of each."""

    driven: Any  # `Ring`, of the envs that the expert drives
    own: Any


@final
@dataclass(frozen=True)
class PairedReplay(AbstractReplay):
    """Of so many envs in a row the first has the replay `driven`, the others share `own`.

    `sample` draws from `own`, `sample_driven` from the other.
    """

    driven: AbstractReplay = None  # type: ignore[assignment]
    own: AbstractReplay = None  # type: ignore[assignment]

    @staticmethod
    def of(driven: AbstractReplay, own: AbstractReplay) -> "PairedReplay":
        """The two as one."""
        capacity, num_envs = (
            driven.capacity + own.capacity,
            driven.num_envs + own.num_envs,
        )
        return PairedReplay(capacity, num_envs, own.n_step, False, driven, own)

    def split(self, rollout: PyTree) -> tuple[PyTree, PyTree]:
        """Leaves `[T, N, ...]` of the envs that are driven, and of the others."""
        rows = self.driven.num_envs

        def part(x: Any, driven: bool) -> Any:
            in_rows = x.reshape(x.shape[0], rows, -1, *x.shape[2:])
            chosen = in_rows[:, :, :1] if driven else in_rows[:, :, 1:]
            return chosen.reshape(x.shape[0], -1, *x.shape[2:])

        return tuple(jax.tree.map(lambda x, d=d: part(x, d), rollout) for d in (True, False))  # type: ignore[return-value]

    @override
    def init(self, obs_space: Space, action_space: Space) -> Any:
        return Rings(*(each.init(obs_space, action_space) for each in (self.driven, self.own)))

    @override
    def insert(self, ring: Any, rollout: Transition) -> Any:
        driven, own = self.split(rollout._replace(extras=None))
        return Rings(self.driven.insert(ring.driven, driven), self.own.insert(ring.own, own))

    @override
    def sample(
        self, ring: Any, key: AnyKey, shape: tuple[int, ...], gamma: Number, beta: Number = 1.0
    ) -> Batch:
        return self.own.sample(ring.own, key, shape, gamma, beta)

    def sample_driven(self, ring: Any, key: AnyKey, shape: tuple[int, ...], gamma: Number) -> Batch:
        """Examples with leading axes `shape` of the envs that the expert drives."""
        return self.driven.sample(ring.driven, key, shape, gamma)

    @override
    def reprioritize(self, ring: Any, batch: Batch, priority: AnyArray) -> Any:
        return ring

    @override
    def fill(self, ring: Any) -> AnyArray:
        return self.own.fill(ring.own)

    @override
    def nbytes(self, obs_space: Space, action_space: Space) -> int:
        return sum(each.nbytes(obs_space, action_space) for each in (self.driven, self.own))
