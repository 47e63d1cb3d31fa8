"""What actions a space and a mask allow."""

import jax
import jax.numpy as jnp

from vibe_rl.errors import ConfigError
from vibe_rl.spaces.arrays import Box, Discrete, MultiBinary, MultiDiscrete, Space
from vibe_rl.spaces.structured import Masked
from vibe_rl.types import Key, MaskedObs, PyTree


def random_action(space: Space, obs: PyTree, key: Key) -> PyTree:
    """A uniformly random action; among the legal ones where `obs` says which they are."""
    if isinstance(obs, MaskedObs) and isinstance(space, Discrete):
        least = jnp.finfo(jnp.float32).min
        logits = jnp.where(obs.legal, jnp.zeros(obs.legal.shape, jnp.float32), least)
        return jax.random.categorical(key, logits).astype(space.dtype)
    return space.sample(key)


def what_takes(action_space: Space) -> str:
    """The remedy where an algorithm does not take such actions."""
    if isinstance(action_space, MultiDiscrete | MultiBinary):
        return "use PPO"
    if not isinstance(action_space, Box):
        return "make them Discrete, or a Box with one axis"
    if len(action_space.shape) != 1:
        return "flatten them"
    return "use SAC or PPO" if action_space.bounded else "use PPO"


def check_masks(obs_space: Space, n_actions: int) -> None:
    """Raises ConfigError if observations mask another number of actions than there are."""
    if isinstance(obs_space, Masked) and obs_space.n_actions != n_actions:
        raise ConfigError(
            f"observations mask {obs_space.n_actions} actions and there are {n_actions}: masks "
            "need one entry per discrete action."
        )
