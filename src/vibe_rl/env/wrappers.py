"""Layers around an environment, each an environment itself.

A wrapper is a frozen dataclass whose field `env` holds the layer below. To write your own, derive
from `Wrapper` and override what changes, or from `ObservationWrapper` and define how an observation
is transformed; for a few lines of reward shaping, pass a function to `HookWrapper`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vibe_rl.env.base import Environment, Step, checked
from vibe_rl.env.host import HostEnvironment
from vibe_rl.errors import ConfigError, set_whole_numbers, short
from vibe_rl.spaces import Box, Image, Space
from vibe_rl.types import AnyArray, Key, PyTree, narrow


@dataclass(frozen=True)
class Wrapper:
    """An environment that passes everything on to `env`; the base of all layers."""

    env: Environment

    def inner_params(self, params: PyTree) -> PyTree:
        """The part of `params` that belongs to `env`: all of it, unless a layer adds its own."""
        return params

    def with_inner_params(self, params: PyTree, inner: PyTree) -> PyTree:
        """`params` with another part that belongs to `env`."""
        return inner

    def inner_state(self, state: PyTree) -> PyTree:
        """The part of `state` that belongs to `env`: all of it, unless a layer adds its own."""
        return state

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
        return checked(self.env.step(key, state, action, self.inner_params(params)))

    def draw(self, state: PyTree, params: PyTree) -> AnyArray:
        """What `env` draws of the state, if it does; see `vibe_rl.env.pictures.drawing`."""
        return self.env.draw(self.inner_state(state), self.inner_params(params))  # type: ignore[attr-defined]

    def draw_cells(self, state: PyTree, params: PyTree) -> Any:
        """The rows of text that `env` draws of the state, if it does."""
        return self.env.draw_cells(self.inner_state(state), self.inner_params(params))  # type: ignore[attr-defined]


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
    `vmap` turns a choice into both branches; where `env` has a method `obs_of(state, params)`,
    which gives the observation of any of its states, that of a reset is not.
    """

    def __post_init__(self):
        if has_layer(self.env, AutoResetWrapper) or isinstance(self.env, HostEnvironment):
            raise ConfigError(f"{self.env} resets itself already: remove AutoResetWrapper.")

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, followed by a reset if the episode is over."""
        step_key, reset_key = jax.random.split(key)
        step = super().step(step_key, state, action, params)
        if "final_obs" in step.info:
            raise ConfigError(f"{self.env} resets itself already: leave out AutoResetWrapper.")
        done, fresh = step.terminated | step.truncated, self.env.reset(reset_key, params)
        obs_of = getattr(self.env, "obs_of", None)
        if obs_of is None:
            obs, state = select(done, fresh, (step.obs, step.state))
        else:  # once, of the state that is chosen
            state = select(done, fresh[1], step.state)
            obs = obs_of(state, params)
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
    inside and outside `AutoResetWrapper` alike. Put it below layers that change the reward if the
    statistics are to be in the task's own unit.
    """

    def inner_state(self, state: EpisodeStatisticsState) -> PyTree:
        """Without the sums."""
        return state.inner

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, EpisodeStatisticsState]:
        """A reset of `env` with empty sums."""
        obs, inner = self.env.reset(key, params)
        zero = jnp.zeros((), jnp.float32), jnp.zeros((), jnp.int32)
        return obs, EpisodeStatisticsState(inner, *zero)

    def step(self, key: Key, state: EpisodeStatisticsState, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, counted."""
        step = super().step(key, state.inner, action, params)
        sums = {
            "episode_return": state.episode_return + narrow(step.reward),
            "episode_length": state.episode_length + 1,
        }
        done = step.terminated | step.truncated
        kept = {name: jnp.where(done, 0, value) for name, value in sums.items()}
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

    def __post_init__(self):
        is_number = isinstance(self.scale, int | float | np.number)
        if not is_number or not math.isfinite(self.scale):
            raise ConfigError(f"scale {short(self.scale)} of RewardScaleWrapper: give a number.")

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, rewarded on another scale."""
        step = super().step(key, state, action, params)
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
        """One step of `env`, as the hook returns it."""
        return self.hook(state, action, super().step(key, state, action, params), params)


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
            raise ConfigError("TimeLimitWrapper is outside AutoResetWrapper: put it inside.")
        set_whole_numbers(self, max_steps=1)

    def inner_state(self, state: TimeLimitState) -> PyTree:
        """Without the age."""
        return state.inner

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, TimeLimitState]:
        """A reset of `env` at time 0."""
        obs, inner = self.env.reset(key, params)
        return obs, TimeLimitState(inner, jnp.zeros((), jnp.int32))

    def step(self, key: Key, state: TimeLimitState, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, truncated if the time is up."""
        step = super().step(key, state.inner, action, params)
        time = state.time + 1
        truncated = step.truncated | (time >= self.max_steps)
        return step._replace(state=TimeLimitState(step.state, time), truncated=truncated)


@dataclass(frozen=True)
class ObservationWrapper(Wrapper, ABC):
    """The base of layers that transform single observations.

    Every observation passes through `observation`: that of a reset, that of a step, and
    `info["final_obs"]` where there is one. So such a layer is right inside and outside
    `AutoResetWrapper`. Override `observation_space` too if the set changes.
    """

    @abstractmethod
    def observation(self, obs: PyTree, params: PyTree) -> PyTree:
        """`obs` of the layer below as this layer shows it; `params` are this layer's own."""

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """A reset of `env`, its observation transformed."""
        obs, state = super().reset(key, params)
        return self.observation(obs, params), state

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, its observations transformed."""
        step = super().step(key, state, action, params)
        info = dict(step.info)
        if "final_obs" in info:
            info["final_obs"] = self.observation(info["final_obs"], params)
        return step._replace(obs=self.observation(step.obs, params), info=info)


class ObsNormParams(NamedTuple):
    """The constants below and the statistics to normalise by."""

    inner: PyTree
    mean: Array  # float32, of the observation's shape
    var: Array  # float32, of the observation's shape


@dataclass(frozen=True)
class ObsNormWrapper(ObservationWrapper):
    """Shows `(obs - mean) / sqrt(var + epsilon)`, clipped to +-10, as float32.

    Mean and variance are constants, in `ObsNormParams`, 0 and 1 by default: use this layer where
    they are known. Statistics that are learned while training belong to the agent
    (`normalize_obs=True` in the algorithm's config): in an environment they would be lost at every
    reset, differ from copy to copy, and be missing from a saved policy.
    """

    epsilon: float = 1e-8

    def inner_params(self, params: ObsNormParams) -> PyTree:
        """Without the statistics."""
        return params.inner

    def with_inner_params(self, params: ObsNormParams, inner: PyTree) -> ObsNormParams:
        """With the same statistics."""
        return params._replace(inner=inner)

    def default_params(self) -> ObsNormParams:
        """Those of `env`, mean 0 and variance 1."""
        inner = self.env.default_params()
        shape = _array_space(self.env.observation_space(inner)).shape
        mean, var = np.zeros(shape, np.float32), np.ones(shape, np.float32)
        return ObsNormParams(inner, mean, var)  # type: ignore[arg-type]

    def observation_space(self, params: ObsNormParams) -> Box:
        """Everything within the clipping."""
        return Box(-10.0, 10.0, _array_space(super().observation_space(params)).shape)

    def observation(self, obs: Array, params: ObsNormParams) -> Float[Array, "..."]:
        """Centred, scaled and clipped."""
        scaled = (obs - params.mean) / jnp.sqrt(params.var + np.float32(self.epsilon))
        return jnp.clip(scaled, -10.0, 10.0)


def _array_space(space: Space) -> Box | Image:
    if not isinstance(space, (Box, Image)):
        raise ConfigError(f"{space} cannot be normalised: give ObsNormWrapper a Box or an Image.")
    return space
