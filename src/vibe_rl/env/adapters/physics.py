"""Environments of simulated bodies whose state carries obs, reward and done: Brax's, Playground's.

Neither suite's wrappers are used: a time limit is a `TimeLimitWrapper`, a reset `AutoResetWrapper`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from vibe_rl.env.adapters.conversions import strong
from vibe_rl.env.adapters.suite_calls import (
    Arguments,
    as_suites_expect,
    copied,
    in_types_of,
    scalars,
)
from vibe_rl.env.base import Environment, Step
from vibe_rl.env.checks.traced import result_shapes
from vibe_rl.env.wrappers import TimeLimitWrapper, select
from vibe_rl.spaces import Box, Dict, Space
from vibe_rl.types import Key, PyTree


@dataclass(frozen=True)
class PhysicsEnvironment(ABC):
    """One body in one task, without time limit.

    `done` of the suite is a termination, and so is a simulation that has diverged: what is not
    finite then, in observation, reward and metrics, becomes 0.
    """

    env_id: str
    arguments: Arguments = ()
    action_repeat: int = 1

    @property
    @abstractmethod
    def suite_env(self) -> Any:
        """The suite's own environment."""

    def default_params(self) -> tuple[()]:
        """Nothing, `()`: constants are arguments of the suite's own class."""
        return ()

    def observation_space(self, params: PyTree) -> Space:
        """Numbers without bounds, one array or a dictionary of some."""
        return _unbounded(result_shapes(self, "reset", jax.random.key(0), ())[0])

    def action_space(self, params: PyTree) -> Box:
        """A number from -1 to 1 for each motor."""
        return Box(-1.0, 1.0, (int(self.suite_env.action_size),))

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """The suite's reset; its state is ours."""
        with as_suites_expect():
            state = strong(self.suite_env.reset(jax.random.key_data(key)))
        return _plain(state.obs), state

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of the suite, or `action_repeat` while the episode goes on; no use of `key`."""
        with as_suites_expect():
            zero = jnp.zeros_like(state.reward)
            after = self._steps(state.replace(reward=zero, done=zero), action)
        obs, reward = _plain(after.obs), after.reward.astype(jnp.float32)
        diverged = ~_finite((obs, reward))
        terminated = (after.done > 0) | diverged
        obs, reward = jax.tree.map(_finite_or_zero, (obs, reward))
        info = {"metrics": scalars(after.metrics, _finite_or_zero)}
        return Step(obs, after, reward, terminated, jnp.zeros((), bool), info)

    def _steps(self, state: PyTree, action: PyTree) -> PyTree:
        """The state afterwards, with the sum of rewards."""

        def one(state: PyTree, _: None) -> tuple[PyTree, None]:
            after = self._one(state, action)
            after = after.replace(reward=state.reward + after.reward)
            return select(state.done > 0, state, after), None

        if self.action_repeat > 1:
            return jax.lax.scan(one, state, length=self.action_repeat)[0]
        return self._one(state, action)

    def _one(self, state: PyTree, action: PyTree) -> PyTree:
        return in_types_of(self.suite_env.step(copied(state), action), state)


def limited(env: PhysicsEnvironment, episode_length: int) -> Environment:
    """`env`, truncated after as many steps of the suite's as it says an episode has."""
    return TimeLimitWrapper(env, -(-episode_length // env.action_repeat))


def _plain(obs: PyTree) -> PyTree:
    """An array, or a dictionary, whatever kind of mapping it was."""
    return {name: _plain(part) for name, part in obs.items()} if isinstance(obs, Mapping) else obs


def _unbounded(obs: PyTree) -> Space:
    if isinstance(obs, Mapping):
        return Dict({name: _unbounded(part) for name, part in obs.items()})
    return Box(-jnp.inf, jnp.inf, obs.shape, obs.dtype)


def _finite(tree: PyTree) -> Bool[Array, ""]:
    return jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]).all()


def _finite_or_zero(x: Array) -> Array:
    return jnp.where(jnp.isfinite(x), x, jnp.zeros_like(x))
