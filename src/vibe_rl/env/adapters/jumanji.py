"""Environments of Jumanji (Bonnet et al. 2023, arXiv:2306.09884).

Jumanji ends an episode whose time is up as it ends one whose task is over, with discount 0. Here
the suite's clock never runs out, and a `TimeLimitWrapper` truncates after the same `time_limit`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.adapters.conversions import strong
from vibe_rl.env.adapters.suite_calls import (
    Arguments,
    as_suites_expect,
    check_name,
    copied,
    frozen,
    in_types_of,
    making,
    scalars,
    suite_module,
)
from vibe_rl.env.base import Environment, Step
from vibe_rl.env.wrappers import TimeLimitWrapper
from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Box, Dict, Discrete, Masked, MultiDiscrete, Space
from vibe_rl.types import Key, MaskedObs, PyTree

MASK = "action_mask"
"""The part of an observation that says which actions are legal."""
CLOCK = "step_count"
"""The part that says how old the episode is."""
UNSET = {("TSP-v1", "position"): -1}
"""Parts that begin with a number below those that the suite states."""
NEVER = 2**30
"""Env steps that no episode lasts."""
DOWNLOADS = ("Sokoban-v0",)
"""What fetches its levels when it is made."""
APART = ("Connector-v3", "LevelBasedForaging-v0", "SearchAndRescue-v0")
"""What has several agents, each with a reward of its own."""


class Built(NamedTuple):
    """An environment of Jumanji whose clock never runs out, and when it would have."""

    env: Any
    time_limit: int | None  # env steps


@dataclass(frozen=True)
class JumanjiEnvironment:
    """One of Jumanji's, made with `arguments` of its class, without time limit.

    Where the mask has an entry for each action, also for each combination of several choices,
    actions are `Discrete` and observations masked; where it allows none and the episode goes on,
    all are allowed, since the suite says what illegal ones do. A mask of several players' single
    choices is a part of the observation.
    """

    env_id: str
    arguments: Arguments = ()

    @property
    def suite_env(self) -> Any:
        """The suite's own environment."""
        return _built(self.env_id, self.arguments).env

    @property
    def choices(self) -> tuple[int, ...]:
        """How many values each choice of an action has, `()` for real numbers."""
        spec = self.suite_env.action_spec
        if not np.issubdtype(spec.dtype, np.integer) or (np.asarray(spec.minimum) != 0).any():
            return ()
        most = np.broadcast_to(np.asarray(spec.maximum), spec.shape)
        return tuple(int(x) + 1 for x in most.ravel())

    @property
    def masked(self) -> bool:
        """Whether the mask has an entry for every action."""
        spec = self.suite_env.observation_spec._specs.get(MASK)
        return spec is not None and spec.shape == self.choices

    def default_params(self) -> tuple[()]:
        """Nothing, `()`: constants are arguments of the suite's own class."""
        return ()

    def observation_space(self, params: PyTree) -> Space:
        """A dictionary of the observation's parts, masked if the mask says all."""
        specs = self.suite_env.observation_spec._specs
        spaces = {name: _space(name, spec) for name, spec in specs.items()}
        for (env_id, name), low in UNSET.items():
            if env_id == self.env_id:
                spaces[name] = Box(low, specs[name].maximum, (), specs[name].dtype)
        if not self.masked:
            return Dict(spaces)
        del spaces[MASK]
        return Masked(Dict(spaces), int(np.prod(self.choices)))

    def action_space(self, params: PyTree) -> Space:
        """One choice, several, or real numbers within bounds."""
        if self.masked or (self.choices and self.suite_env.action_spec.shape == ()):
            return Discrete(int(np.prod(self.choices)))
        return MultiDiscrete(self.choices) if self.choices else _box(self.suite_env.action_spec)

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """The suite's reset; its state is ours."""
        with as_suites_expect():
            state, timestep = self.suite_env.reset(jax.random.key_data(key))
            return self._observed(timestep.observation), strong(state)

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of the suite, which draws from a key in its state, not from this one."""
        with as_suites_expect():
            after, timestep = self.suite_env.step(copied(state), self._action(action))
            obs, after = self._observed(timestep.observation), in_types_of(after, state)
            last, dead = timestep.last(), timestep.discount == 0
            info = {"episode": scalars(timestep.extras)}
            reward = jnp.asarray(timestep.reward, jnp.float32)
        return Step(obs, after, reward, last & dead, last & ~dead, info)

    def _action(self, action: PyTree) -> Array:
        spec = self.suite_env.action_spec
        if self.masked and spec.shape != ():
            action = jnp.stack(jnp.unravel_index(action, self.choices))
        return jnp.asarray(action, spec.dtype)

    def _observed(self, obs: Any) -> PyTree:
        parts = _parts(self.suite_env.observation_spec, obs)
        if not self.masked:
            return parts
        legal = parts.pop(MASK).astype(bool).ravel()
        return MaskedObs(parts, legal | ~legal.any())


def make(name: str, download: bool = False, **kwargs: Any) -> tuple[Environment, tuple[()]]:
    """One of Jumanji's environments, such as `"Game2048-v1"`, and no params.

    Args:
        name: one of `names()`.
        download: whether Jumanji may fetch levels, from the Hugging Face Hub.
        **kwargs: arguments of Jumanji's class, such as `time_limit`, or `generator`, an object.

    Raises:
        ConfigError: Jumanji is not installed, has no such environment, refuses an argument, would
            have to download, or rewards several agents apart.
    """
    check_name("jumanji", name, _jumanji().registered_environments())
    if name in DOWNLOADS and not download and "generator" not in kwargs:
        raise ConfigError(
            f"jumanji:{name} fetches its levels from the Hugging Face Hub: pass download=True to "
            "let it, or a generator of jumanji.environments.routing.sokoban."
        )
    env = JumanjiEnvironment(name, frozen(kwargs))
    _check_rewards(env)
    time_limit = _built(name, env.arguments).time_limit
    return (env if time_limit is None else TimeLimitWrapper(env, time_limit)), ()


def names() -> tuple[str, ...]:
    """The names that need no download, of environments with one reward."""
    return tuple(sorted(_jumanji().registered_environments() - {*DOWNLOADS, *APART}))


def _jumanji() -> Any:
    return suite_module("jumanji", "jumanji", "Jumanji's environments")


@cache
def _built(name: str, arguments: Arguments) -> Built:
    with making(f"jumanji:{name}"):
        env = _jumanji().make(name, **dict(arguments))
    time_limit = getattr(env, "time_limit", None)
    if time_limit is not None:
        env.time_limit = NEVER  # after the specs, which show it, have been made
    return Built(env, time_limit)


def _check_rewards(env: JumanjiEnvironment) -> None:
    shape = env.suite_env.reward_spec.shape
    if shape != ():
        raise ConfigError(
            f"jumanji:{env.env_id} rewards its {shape[0]} agents apart: choose an environment with "
            "one reward, such as Cleaner-v0."
        )


def _parts(spec: Any, obs: Any) -> Any:
    """An observation, or a part of it, as dictionaries of arrays."""
    if not spec._specs:
        return jnp.asarray(obs, spec.dtype)
    return {name: _parts(part, getattr(obs, name)) for name, part in spec._specs.items()}


def _space(name: str, spec: Any) -> Space:
    if spec._specs:
        return Dict({part: _space(part, below) for part, below in spec._specs.items()})
    if name == CLOCK and hasattr(spec, "num_values"):  # which the last observation reaches
        return Box(0, spec.num_values, (), spec.dtype)
    return Discrete(spec.num_values, spec.dtype) if hasattr(spec, "num_values") else _box(spec)


def _box(spec: Any) -> Box:
    low, high = getattr(spec, "minimum", -np.inf), getattr(spec, "maximum", np.inf)
    return Box(np.asarray(low), np.asarray(high), spec.shape, spec.dtype)
