"""Layers around an environment, each an environment itself.

A wrapper is a frozen dataclass whose field `env` holds the layer below. To write your own, derive
from `Wrapper` and override what changes, or from `ObservationWrapper` and say how one observation
is transformed; for a few lines of reward shaping, pass a function to `HookWrapper`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.env.base import Environment, Step
from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Space
from vibe_rl.types import Key, PyTree


@dataclass(frozen=True)
class Wrapper:
    """An environment that passes everything on to `env`; the base of all layers."""

    env: Environment

    def inner_params(self, params: PyTree) -> PyTree:
        """The part of `params` that belongs to `env`: all of it, unless a layer adds its own."""
        return params

    def default_params(self) -> PyTree:
        """The constants of `env`."""
        return self.env.default_params()

    def observation_space(self, params: PyTree) -> Space:
        """The observations of `env`."""
        return self.env.observation_space(self.inner_params(params))

    def action_space(self, params: PyTree) -> Space:
        """The actions of `env`."""
        return self.env.action_space(self.inner_params(params))

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """The first observation and state of a new episode."""
        return self.env.reset(key, self.inner_params(params))

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of `env`."""
        return self.env.step(key, state, action, self.inner_params(params))


def layers(env: Any) -> Iterator[Any]:
    """`env` and what it wraps, from the outermost layer to the innermost."""
    while env is not None:
        yield env
        env = getattr(env, "env", None)


def has_layer(env: Any, kind: type) -> bool:
    """Whether `env` or anything it wraps is a `kind`."""
    return any(isinstance(layer, kind) for layer in layers(env))


def select(condition: Bool[Array, ""], yes: PyTree, no: PyTree) -> PyTree:
    """`yes` where the condition holds, else `no`, leaf by leaf; typed keys are leaves too."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


@dataclass(frozen=True)
class AutoResetWrapper(Wrapper):
    """Starts a new, freshly randomised episode as soon as one ends, so that `scan` never stops.

    `obs` and `state` of a step that ends an episode belong to the next one;
    `info["final_obs"]` is the true successor of the action, on this and on every other step.
    Rewards and flags are those of the old episode. A reset is paid for on every step, because
    `vmap` turns a choice into both branches.
    """

    def __post_init__(self):
        if has_layer(self.env, AutoResetWrapper):
            raise ConfigError(f"{self.env} resets itself already: remove one AutoResetWrapper.")

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, followed by a reset if the episode is over."""
        step_key, reset_key = jax.random.split(key)
        step = self.env.step(step_key, state, action, params)
        fresh = self.env.reset(reset_key, params)
        obs, state = select(step.terminated | step.truncated, fresh, (step.obs, step.state))
        return step._replace(obs=obs, state=state, info=step.info | {"final_obs": step.obs})


class EpisodeStatisticsState(NamedTuple):
    """The state below and the sums of the running episode."""

    inner: PyTree
    episode_return: Array  # float32, undiscounted, as rewarded by the layers below
    episode_length: Array  # int32, env steps


@dataclass(frozen=True)
class EpisodeStatisticsWrapper(Wrapper):
    """Writes `info["episode_return"]` and `info["episode_length"]`, this step included.

    They are the finished episode's where `terminated | truncated`, and start from zero after that,
    inside and outside `AutoResetWrapper` alike.
    """

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, EpisodeStatisticsState]:
        """A reset of `env` with empty sums."""
        obs, inner = self.env.reset(key, params)
        zero = jnp.zeros((), jnp.float32), jnp.zeros((), jnp.int32)
        return obs, EpisodeStatisticsState(inner, *zero)

    def step(
        self, key: Key, state: EpisodeStatisticsState, action: PyTree, params: PyTree
    ) -> Step:
        """One step of `env`, counted."""
        step = self.env.step(key, state.inner, action, params)
        sums = {
            "episode_return": state.episode_return + step.reward,
            "episode_length": state.episode_length + 1,
        }
        running = ~(step.terminated | step.truncated)
        kept = {name: value * running for name, value in sums.items()}
        state = EpisodeStatisticsState(step.state, **kept)
        return step._replace(state=state, info=step.info | sums)


def with_episode_statistics(env: Environment) -> Environment:
    """`env` itself if some layer already counts episodes, else `env` with that layer outside."""
    counted = has_layer(env, EpisodeStatisticsWrapper)
    return env if counted else EpisodeStatisticsWrapper(env)


@dataclass(frozen=True)
class RewardScaleWrapper(Wrapper):
    """Multiplies every reward by `scale`."""

    scale: float

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, rewarded on another scale."""
        step = self.env.step(key, state, action, params)
        return step._replace(reward=step.reward * np.float32(self.scale))


Hook = Callable[[PyTree, PyTree, Step, PyTree], Step]


@dataclass(frozen=True)
class HookWrapper(Wrapper):
    """Passes every step through `hook(state, action, step, params) -> Step`: a place for your code.

    `state` is the one before the step. The hook must be pure, and keep shapes and dtypes; define it
    at module level, because a new function object means a new compilation. Put it inside
    `AutoResetWrapper`, where `step.obs` and `step.state` still belong to the same episode.
    """

    hook: Hook

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, as the hook tells it."""
        return self.hook(state, action, self.env.step(key, state, action, params), params)


class TimeLimitState(NamedTuple):
    """The state below and the age of the episode."""

    inner: PyTree
    time: Array  # int32, env steps


@dataclass(frozen=True)
class TimeLimitWrapper(Wrapper):
    """Truncates episodes after `max_steps` steps; goes inside `AutoResetWrapper`."""

    max_steps: int

    def __post_init__(self):
        if has_layer(self.env, AutoResetWrapper):
            raise ConfigError("TimeLimitWrapper must be inside AutoResetWrapper to end an episode.")
        if self.max_steps < 1:
            raise ConfigError(f"max_steps={self.max_steps} of TimeLimitWrapper must be at least 1.")

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, TimeLimitState]:
        """A reset of `env` at time 0."""
        obs, inner = self.env.reset(key, params)
        return obs, TimeLimitState(inner, jnp.zeros((), jnp.int32))

    def step(self, key: Key, state: TimeLimitState, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, truncated if the time is up."""
        step = self.env.step(key, state.inner, action, params)
        time = state.time + 1
        truncated = step.truncated | (time >= self.max_steps)
        return step._replace(state=TimeLimitState(step.state, time), truncated=truncated)
