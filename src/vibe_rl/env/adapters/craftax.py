"""Environments of Craftax (Matthews et al. 2024, arXiv:2402.16801).

A death, and in the full game the defeat of the last boss, terminates; `max_timesteps` truncates,
10,000 by default in Craftax-Classic and 100,000 in Craftax.
"""

from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import EnumMeta
from functools import cache
from io import StringIO
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.adapters.conversions import numbers_of, space_of, strong
from vibe_rl.env.adapters.suite_calls import (
    as_suites_expect,
    check_name,
    copied,
    in_types_of,
    making,
    suite_module,
)
from vibe_rl.env.base import Environment, Step
from vibe_rl.env.params.arguments import with_numbers
from vibe_rl.spaces import Discrete, Space
from vibe_rl.types import Key, PyTree

NEVER = np.int32(2**31 - 1)
"""Env steps that no episode lasts."""
NAMES = (
    "Craftax-Classic-Pixels-v1",
    "Craftax-Classic-Symbolic-v1",
    "Craftax-Pixels-v1",
    "Craftax-Symbolic-v1",
)


@dataclass(frozen=True)
class CraftaxEnvironment:
    """Craftax or Craftax-Classic, seen as symbols or as pixels.

    `info["episode"]` says which achievements there have been, 1 or 0 each.
    """

    env_id: str

    @property
    def suite_env(self) -> Any:
        """The suite's own environment, which does not reset itself."""
        return _built(self.env_id)

    def default_params(self) -> PyTree:
        """The suite's, as arrays."""
        return numbers_of(self.suite_env.default_params)

    def observation_space(self, params: PyTree) -> Space:
        """A vector of symbols, or a picture, from 0 to 1."""
        return space_of(self.suite_env.observation_space(params))

    def action_space(self, params: PyTree) -> Discrete:
        """17 actions in Craftax-Classic, 43 in Craftax."""
        return Discrete(int(self.suite_env.num_actions))

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """A new world."""
        with as_suites_expect():
            obs, state = self.suite_env.reset_env(jax.random.key_data(key), params)
            return obs.astype(jnp.float32), strong(state)

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of the suite."""
        with as_suites_expect():
            key = jax.random.key_data(key)
            obs, after, reward, _, _ = self.suite_env.step_env(key, copied(state), action, params)
            after = in_types_of(after, state)
            truncated = after.timestep >= params.max_timesteps
            timeless = params.replace(max_timesteps=NEVER)
            terminated = jnp.asarray(self.suite_env.is_terminal(after, timeless), bool)
            info = {"episode": _achievements(self.env_id, after.achievements)}
        reward = jnp.asarray(reward, jnp.float32)
        return Step(obs.astype(jnp.float32), after, reward, terminated, truncated, info)


def make(name: str, **kwargs: Any) -> tuple[Environment, PyTree]:
    """One of Craftax's environments, such as `"Craftax-Symbolic-v1"`, and its params.

    Args:
        name: one of `names()`.
        **kwargs: fields of the suite's params, such as `max_timesteps`.

    Raises:
        ConfigError: Craftax is not installed, or has no such environment or field.
    """
    check_name("craftax", name, names())
    env = CraftaxEnvironment(name)
    return env, with_numbers(f"craftax:{name}", env.default_params(), kwargs)


def names() -> tuple[str, ...]:
    """The names of Craftax's environments."""
    _craftax()
    return NAMES


def _craftax() -> Any:
    return suite_module("craftax.craftax_env", "craftax", "Craftax's environments")


@cache
def _built(name: str) -> Any:
    with making(f"craftax:{name}"), redirect_stdout(StringIO()):  # that textures were loaded
        return _craftax().make_craftax_env_from_name(name, auto_reset=False)


def _achievements(name: str, achieved: Array) -> dict[str, Array]:
    game = "craftax_classic" if "Classic" in name else "craftax"
    module = suite_module(f"craftax.{game}.constants", "craftax", "Craftax's environments")
    table: EnumMeta = module.Achievement
    return {
        f"achievements/{each.name.lower()}": achieved[each.value].astype(jnp.float32)  # type: ignore[attr-defined]
        for each in table
    }
