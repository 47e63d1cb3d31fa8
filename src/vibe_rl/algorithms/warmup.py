"""Uniformly random actions, remembered and not learned from: what comes before the first update.

An algorithm of its own in the same loop, and not a branch around the update: XLA would have to copy
the parameters for it.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.networks.distributions import Categorical, mask_logits
from vibe_rl.spaces import Space
from vibe_rl.types import Key, Keys, MaskedObs, PyTree, Transition, description


def random_action(space: Space, obs: PyTree, key: Key) -> PyTree:
    """A uniformly random action; among the legal ones where `obs` says which they are."""
    if isinstance(obs, MaskedObs):
        legal = Categorical(mask_logits(jnp.zeros(obs.legal.shape), obs.legal)).sample(key)
        return legal.astype(space.dtype)  # type: ignore[attr-defined]
    return space.sample(key)


@description
@dataclass(frozen=True)
class Warmup:
    """The warm-up of an algorithm with a replay."""

    algorithm: Any  # an `OffPolicy`

    @property
    def rollout_length(self) -> int:
        """T of the algorithm."""
        return self.algorithm.rollout_length

    def act_keys(self, state: Any, fresh: Keys) -> Keys:
        """Those of the algorithm."""
        return self.algorithm.act_keys(state, fresh)

    def act(self, state: Any, obs: PyTree, key: Key) -> tuple[PyTree, tuple[()]]:
        """A uniformly random action."""
        return random_action(self.algorithm.action_space, obs, key), ()

    def update(self, state: Any, rollout: Transition, key: Key) -> tuple[Any, dict[str, Array]]:
        """Remembers."""
        memory = self.algorithm.remember(state, rollout)
        fill = self.algorithm.replay.fill(memory.ring)
        return state._replace(memory=memory), {"buffer_fill": fill}
