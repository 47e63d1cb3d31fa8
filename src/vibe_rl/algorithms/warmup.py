"""Uniformly random actions, or an expert's, that fill the replay before the first update.

An algorithm of its own in the same loop, and not a branch around the update: XLA would have to copy
the parameters for it.
"""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Array

from vibe_rl.algorithms.expert import Expert
from vibe_rl.spaces import random_action
from vibe_rl.types import Key, Keys, PyTree, Transition, description


@description
@dataclass(frozen=True)
class Warmup:
    """The warm-up of an algorithm with a replay."""

    algorithm: Any  # an `OffPolicy`

    @property
    def rollout_length(self) -> int:
        """T of the algorithm."""
        return self.algorithm.rollout_length

    @property
    def expert(self) -> Expert | None:
        """The algorithm's."""
        return self.algorithm.expert

    def act_keys(self, state: Any, fresh: Keys) -> Keys:
        """The algorithm's keys, held as there."""
        return self.algorithm.act_keys(state, fresh)

    def act(self, state: Any, obs: PyTree, key: Key) -> tuple[PyTree, tuple[()]]:
        """A uniformly random action."""
        return random_action(self.algorithm.action_space, obs, key), ()

    def update(self, state: Any, rollout: Transition, key: Key) -> tuple[Any, dict[str, Array]]:
        """Adds the rollout to the replay."""
        memory = self.algorithm.store(state, rollout)
        fill = self.algorithm.replay.fill(memory.ring)
        return state._replace(memory=memory), {"buffer_fill": fill}
