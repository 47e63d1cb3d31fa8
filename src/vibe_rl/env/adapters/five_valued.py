"""Environments whose `step` returns five values, `obs, state, reward, done, info`."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.env.base import Step
from vibe_rl.env.wrappers import Wrapper
from vibe_rl.errors import ConfigError
from vibe_rl.types import Key, PyTree


@dataclass(frozen=True)
class FiveValuedAdapter(Wrapper):
    """Makes an `Environment` of one whose `step` does not distinguish termination from truncation.

    `info["terminated"]` and `info["truncated"]` are used where present. Where neither is,
    every `done` counts as a termination, which is wrong for time limits: values would not be
    bootstrapped from the last state. `reset`, `default_params` and the spaces are passed on;
    the spaces must be those of `vibe_rl.spaces`.
    """

    env: Any  # hashable, with the five methods of an Environment

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, its end marked as termination or truncation."""
        values = self.env.step(key, state, action, params)
        if len(values) != 5:
            raise ConfigError(
                f"{type(self.env).__name__}.step returns {len(values)} values: leave out the "
                "FiveValuedAdapter, which is for five."
            )
        obs, state, reward, done, info = values
        terminated, truncated = endings(jnp.asarray(done, bool), info)
        return Step(obs, state, jnp.asarray(reward, jnp.float32), terminated, truncated, dict(info))


def endings(done: Array, info: Any) -> tuple[Array, Array]:
    """What ended the episode, if anything: `terminated, truncated`; `info` has precedence."""
    if "truncated" not in info and "terminated" in info:
        terminated = jnp.asarray(info["terminated"], bool)
        return terminated, done & ~terminated
    truncated = jnp.asarray(info.get("truncated", False), bool)
    return jnp.asarray(info.get("terminated", done & ~truncated), bool), truncated
