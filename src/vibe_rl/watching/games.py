"""Episodes that are played a step at a time, of environments in JAX and of Gymnasium's."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from vibe_rl.env.adapters.gymnasium import GymnasiumWrapper
from vibe_rl.env.base import Environment, Step
from vibe_rl.env.checks.traced import auto_resets
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.env.params.many import entries_of, take_entries
from vibe_rl.env.pictures.cells import Picture, cells
from vibe_rl.env.pictures.drawing import check_draws, picture
from vibe_rl.env.wrappers import Wrapper, has_layer, layers
from vibe_rl.errors import ConfigError, reason
from vibe_rl.runner.evaluator import Running, one_step
from vibe_rl.runner.recording import EndingWrapper, jit_begin, on_host, with_layers
from vibe_rl.spaces import Space
from vibe_rl.types import Key, PyTree

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
"""The colours of text that Gymnasium renders."""


class Moment(NamedTuple):
    """An episode after some env steps, and what the last of them brought."""

    number: int  # env steps so far
    obs: PyTree  # NumPy's
    reward: float
    episode_return: float  # undiscounted, this step included
    parts: Mapping[str, float]  # info["metrics"] of the step
    outcome: Mapping[str, float]  # info["episode"]; empty while the episode goes on
    terminated: bool
    truncated: bool
    picture: Callable[[], Picture]  # ConfigError if there is none
    state: Mapping[str, np.ndarray]  # the env's own, by name; empty where it is unknown
    theirs: tuple[Any, Any] = (None, None)  # Gymnasium's own observation and mask, if any

    @property
    def done(self) -> bool:
        """Whether the episode has ended."""
        return self.terminated or self.truncated


@runtime_checkable
class Game(Protocol):
    """An environment with one episode under way."""

    obs_space: Space
    action_space: Space

    def begin(self, key: Key) -> Moment:
        """A new episode; equal keys give equal ones."""
        ...

    def step(self, action: PyTree) -> Moment:
        """The episode an env step later."""
        ...

    def close(self) -> None:
        """Frees what the environment holds."""
        ...


def open_game(env: AnyEnvironment, env_params: PyTree) -> Game:
    """A game of an environment, with or without auto-reset.

    Raises:
        ConfigError: it runs in Python and is not Gymnasium's.
    """
    if isinstance(env, GymnasiumWrapper):
        return GymnasiumGame(env)
    if isinstance(env, HostEnvironment):
        raise ConfigError(f"{type(env).__name__} cannot be watched: use GymnasiumWrapper.")
    return CompiledGame(env, env_params)


@partial(jax.jit, static_argnames="env")
def _jit_step(
    env: Environment, env_params: PyTree, running: Running, action: PyTree
) -> tuple[Running, Step]:
    """One env step of an episode."""
    return one_step(action, env, env_params, 1.0, running)


class CompiledGame:
    """Of an environment written in JAX: the episodes that an evaluation plays with these keys.

    Where each has params of its own, the first key takes the first, and so on.
    """

    def __init__(self, env: Environment, env_params: PyTree):
        self.env, self.all_params = with_layers(env), env_params
        self.n_entries = entries_of(env, env_params)
        self.known: dict[bytes, int] = {}  # the place of each key
        env_params = self._params_of(0)
        self.obs_space = env.observation_space(env_params)
        self.action_space = env.action_space(env_params)
        ends = has_layer(self.env, EndingWrapper)
        self.last_is_known = ends or not auto_resets(env, env_params)

    def begin(self, key: Key) -> Moment:
        """A new episode."""
        place = self.known.setdefault(
            np.asarray(jax.random.key_data(key)).tobytes(), len(self.known)
        )
        self.env_params = self._params_of(place)
        self.running = jit_begin(self.env, self.env_params, key)
        self.shown = on_host(self.running.state)
        return self._moment(None)

    def step(self, action: PyTree) -> Moment:
        """The episode an env step later."""
        action = jax.tree.map(np.asarray, action)
        self.running, step = _jit_step(self.env, self.env_params, self.running, action)
        if self.last_is_known or not self.running.episodes.finished:
            self.shown = on_host(self.running.state)
        return self._moment(step)

    def close(self) -> None:
        """Nothing is held."""

    def _params_of(self, episode: int) -> PyTree:
        if self.n_entries is None:
            return self.all_params
        return take_entries(self.env, self.all_params, episode % self.n_entries)

    def _moment(self, step: Step | None) -> Moment:
        obs, episodes = jax.device_get((self.running.obs, self.running.episodes))
        info, ends, reward = {}, (False, False), 0.0
        if step is not None:
            info = jax.device_get({k: step.info.get(k, {}) for k in ("metrics", "episode")})
            ends = bool(step.terminated), bool(step.truncated)
            reward = float(step.reward)
        return Moment(
            int(episodes.length),
            obs,
            reward,
            float(episodes.episode_return),
            _scalars(info.get("metrics", {})),
            _scalars(info.get("episode", {})) if any(ends) else {},
            *ends,
            partial(picture, self.env, self.shown, self.env_params),
            named_arrays(innermost(self.env, self.shown)),
        )


def _scalars(values: Mapping[str, Any]) -> dict[str, float]:
    """Those of named values that are single numbers."""
    arrays = {name: np.asarray(value) for name, value in values.items()}
    return {name: float(x) for name, x in arrays.items() if x.ndim == 0 and x.dtype.kind in "biuf"}


def innermost(env: Any, state: PyTree) -> PyTree:
    """The state of the environment below all layers."""
    for layer in layers(env):
        if isinstance(layer, Wrapper):
            state = layer.inner_state(state)
    return state


def named_arrays(tree: PyTree) -> dict[str, np.ndarray]:
    """The arrays of a tree by their places in it, such as `player.row`."""
    paths = jax.tree.leaves_with_path(tree)
    keystr = partial(jax.tree_util.keystr, simple=True, separator=".")
    return {keystr(path): np.asarray(leaf) for path, leaf in paths}


def words_of(env: Any, method: str, default: Any) -> Any:
    """What a method without arguments says, of the outermost layer that has it, or the default."""
    found = (getattr(layer, method) for layer in layers(env) if hasattr(layer, method))
    return next(found, lambda: default)()


class GymnasiumGame:
    """Of one of Gymnasium's environments, seen by its own `render`."""

    def __init__(self, wrapper: GymnasiumWrapper):
        self.wrapper, self.env = wrapper, wrapper.open_shown()
        self.obs_space = wrapper.observation_space(())
        self.action_space = wrapper.action_space(())

    def begin(self, key: Key) -> Moment:
        """A new episode; its seed is made of the key."""
        seed = int(np.asarray(jax.random.key_data(key))[-1]) >> 1
        obs, info = self.env.reset(seed=seed)
        self.number, self.total = 0, 0.0
        return self._moment(obs, 0.0, (False, False), info)

    def step(self, action: PyTree) -> Moment:
        """The episode an env step later."""
        theirs = self.wrapper.conversions[1].to_theirs(action)
        obs, reward, terminated, truncated, info = self.env.step(theirs)
        self.number, self.total = self.number + 1, self.total + float(reward)
        return self._moment(obs, float(reward), (bool(terminated), bool(truncated)), info)

    def close(self) -> None:
        """Ends it."""
        self.env.close()

    def _moment(
        self, obs: Any, reward: float, ends: tuple[bool, bool], info: Mapping[str, Any]
    ) -> Moment:
        ours = self.wrapper.conversions[0].to_ours(obs)
        progress = self.number, ours, reward, self.total
        parts = _scalars(info.get("reward_breakdown", {}))
        outcome = _scalars(info.get("episode_stats", {}))
        theirs = obs, info.get("action_mask")
        return Moment(*progress, parts, outcome, *ends, self._drawing(), {}, theirs)

    def _drawing(self) -> Callable[[], Picture]:
        """What draws this moment: text is made now, as after a step it is another moment's."""
        if self.env.render_mode == "ansi":
            with suppress(ConfigError):  # which is raised by who wants to see
                text = self._picture()
                return lambda: text
        return self._picture

    def _picture(self) -> Picture:
        try:
            rendered = self.env.render()
        except Exception as error:  # whatever it may lack, such as pygame
            raise ConfigError(f"{self.wrapper.source} cannot be drawn: {reason(error)}") from error
        if isinstance(rendered, str):
            return cells(ESCAPE.sub("", rendered).expandtabs().splitlines())
        image = np.asarray(rendered)
        if image.dtype != np.uint8 or image.ndim != 3:
            raise ConfigError(
                f"{self.wrapper.source} has no picture: make it with render_mode='rgb_array'."
            )
        return image


def check_seen(env: AnyEnvironment) -> None:
    """Raises ConfigError if an environment that is written in JAX has no picture."""
    if not isinstance(env, HostEnvironment):
        check_draws(env)
