"""The environments of gymnax (Lange 2022): classic control, MinAtar, bsuite and others.

Its `step` resets by itself; here `step_env`, `is_truncated` and `reset_env` are used, which do not.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.env.adapters.conversions import (
    in_dtypes_of,
    numbers_of,
    shared_by_all,
    space_of,
    strong,
)
from vibe_rl.env.adapters.suite_calls import as_suites_expect
from vibe_rl.env.base import Step
from vibe_rl.env.params.arguments import build_env
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.extras import require
from vibe_rl.spaces import Box, Space
from vibe_rl.types import Key, PyTree

DOWNLOADS = ("MNISTBandit-bsuite",)
"""What loads a data set from the network when it is made."""
UNBOUNDED = ("GaussianBandit",)
"""Classes whose observations leave the bounds that gymnax 1.0.1 states."""


def gymnax() -> Any:
    """The package; ConfigError if it is not installed."""
    return require("gymnax", "gymnax", "gymnax's environments")


@dataclass(frozen=True)
class GymnaxAdapter:
    """An environment of gymnax's; two are equal if they hold the same one."""

    inner: Any  # a gymnax.environments.environment.Environment, of version 1.0 or newer

    def default_params(self) -> PyTree:
        """Those of gymnax, as NumPy's numbers."""
        return numbers_of(self.inner.default_params)

    def observation_space(self, params: PyTree) -> Space:
        """That of gymnax, without its bounds where they do not hold."""
        space = self._space(self.inner.observation_space, params)
        if type(self.inner).__name__ in UNBOUNDED:
            return Box(-np.inf, np.inf, space.shape)  # type: ignore[attr-defined]
        return space

    def action_space(self, params: PyTree) -> Space:
        """That of gymnax."""
        return self._space(self.inner.action_space, params)

    @as_suites_expect()
    def _space(self, theirs: Any, params: PyTree) -> Space:
        with jax.ensure_compile_time_eval():
            return space_of(theirs(shared_by_all(params, self.default_params())))

    @as_suites_expect()
    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """The first observation and state of a new episode."""
        obs, state = self.inner.reset_env(key, params)
        return self._seen(obs, params), strong(state)

    @as_suites_expect()
    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step, without a reset; truncated at `params.max_steps_in_episode`."""
        obs, state, reward, terminated, _ = self.inner.step_env(key, state, action, params)
        ends = terminated, self.inner.is_truncated(state, params)
        ends = [jnp.asarray(end, bool) for end in ends]
        return Step(
            self._seen(obs, params), strong(state), jnp.asarray(reward, jnp.float32), *ends, {}
        )

    def _seen(self, obs: PyTree, params: PyTree) -> PyTree:
        return in_dtypes_of(self.observation_space(params), obs)


def make(name: str, **kwargs: Any) -> tuple[GymnaxAdapter, PyTree]:
    """An environment by gymnax's id, such as `"Breakout-MinAtar"`, and its params."""
    if name in DOWNLOADS:
        raise ConfigError(
            f"gymnax:{name} downloads a data set when it is made: make it with gymnax.make, and "
            "put it into vibe_rl.env.adapters.gymnax.GymnaxAdapter."
        )
    if name not in names():
        raise unknown("environment of gymnax", name, names())
    signature = type(_made(name).inner)
    return build_env(f"gymnax:{name}", partial(_made, name), kwargs, signature)


def names() -> tuple[str, ...]:
    """What is registered with gymnax, but for what downloads."""
    return tuple(name for name in gymnax().registered_envs if name not in DOWNLOADS)


@lru_cache(maxsize=None, typed=True)
@as_suites_expect()
def _made(name: str, **kwargs: Any) -> GymnaxAdapter:
    """The same for the same arguments, so that programs are compiled once."""
    return GymnaxAdapter(gymnax().make(name, **kwargs)[0])
