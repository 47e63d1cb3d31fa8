"""An actor of the environment whose actions an algorithm learns from."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.networks.actor_critic import rescale, to_unit
from vibe_rl.spaces import ArraySpace, Box, Space, random_action
from vibe_rl.types import Key, Number, PyTree, description, number, static


@description
@dataclass(frozen=True)
class Expert:
    """Drives some of the envs while an algorithm collects.

    The extras of a rollout are then what it would do in every env, without noise.
    """

    name: str = static()
    """In `actors_of` the env."""
    action_space: Space = static()
    noise: Number = number(0.0, least=0)
    """Of what it does: of bounded numbers the standard deviation where the bounds are -1 and 1, of
    choices the share that is random."""
    one_in: int = static(1, least=1)
    """Of so many envs it drives the first."""

    def drives(self, num_envs: int) -> np.ndarray:
        """Which envs, bool `[num_envs]`."""
        return np.arange(num_envs) % self.one_in == 0

    def member(self, action: PyTree) -> PyTree:
        """What it says as a member of the action space: within its bounds, of its type."""
        space = self.action_space
        if not isinstance(space, ArraySpace):
            return action
        if isinstance(space, Box):
            action = jnp.clip(action, space.low, space.high)
        return jnp.asarray(action, space.dtype)

    def disturb(self, obs: PyTree, action: PyTree, key: Key) -> PyTree:
        """What it does in place of `action`."""
        space = self.action_space
        if isinstance(space, Box):
            return add_noise(space, action, self.noise, key)
        action_key, draw_key = jax.random.split(key)
        random = random_action(space, obs, action_key)
        draws = jax.random.uniform(draw_key, dtype=jnp.float32) < self.noise
        return jax.tree.map(lambda r, a: jnp.where(draws, r, a), random, action)


def add_noise(space: Box, action: PyTree, noise: Number, key: Key) -> PyTree:
    """A bounded action with a normal disturbance, cut at the bounds."""
    disturbance = noise * jax.random.normal(key, space.shape, jnp.float32)
    unit = jnp.clip(to_unit(space, action) + disturbance, -1.0, 1.0)
    return rescale(space, unit).astype(space.dtype)
