"""`CartPoleWrapper`: the library's CartPole-v1 behind Gymnasium's methods, one env at a time."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.env.pictures.drawing import draw
from vibe_rl.errors import ConfigError, check_flag, check_kind, whole_number
from vibe_rl.ops import prng
from vibe_rl.ops.normalization import RunningStatistics, normalize
from vibe_rl.runner.recording import frames, record, write_gif
from vibe_rl.trainers.ppo_trainer.agent import PPOAgent, checked_key
from vibe_rl.types import EitherKey

FPS = 50  # a step is 0.02 s
GymStep = tuple[np.ndarray, float, bool, bool, dict[str, Any]]
"""What a step returns: obs, reward, terminated, truncated, info."""


class CartPoleWrapper:
    """CartPole-v1, to be stepped by hand, or to be trained in by a `PPOTrainer`.

    Args:
        render_mode: None, or `rgb_array` for `render`.
        max_episode_steps: after which an episode is truncated.
        normalize_observations: whether agents that train here standardise what they observe, by
            statistics of their own.
        video_record_freq: episodes between two GIFs of evaluations; None: the trainer's.
        video_dir: where GIFs are written; None: the run directory's folder `videos`.

    Raises:
        ConfigError: an argument cannot work.
    """

    env_id = "CartPole-v1"

    def __init__(
        self,
        render_mode: str | None = None,
        max_episode_steps: int = 500,
        normalize_observations: bool = True,
        video_record_freq: int | None = None,
        video_dir: str | os.PathLike[str] | None = None,
    ):
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(
                f"render_mode {render_mode!r}: no window is opened, give rgb_array or None."
            )
        whole_number("max_episode_steps", max_episode_steps, 1)
        if video_record_freq is not None:
            whole_number("video_record_freq", video_record_freq)
        if video_dir is not None:
            check_kind("video_dir", video_dir, str, os.PathLike)
        check_flag("normalize_observations", normalize_observations)
        self.render_mode, self.max_episode_steps = render_mode, int(max_episode_steps)
        self.normalize_observations = normalize_observations
        self.video_record_freq = video_record_freq
        self.video_dir = None if video_dir is None else Path(video_dir)
        self.env, self.env_params = make(self.env_id, **self.env_kwargs(max_episode_steps))
        self._statistics: RunningStatistics | None = None
        self._gifs: list[Path] = []
        self._key, self._state = jax.random.key(0), None

    @staticmethod
    def env_kwargs(max_steps: int) -> dict[str, int]:
        """What `make` is to be given for episodes of at most so many steps."""
        return {"max_steps": max_steps}

    @property
    def observation_dim(self) -> int:
        """Numbers in an observation: 4."""
        return self.env.observation_space(self.env_params).shape[0]  # type: ignore[attr-defined]

    @property
    def action_dim(self) -> int:
        """Choices of an action: 2."""
        return self.env.action_space(self.env_params).n  # type: ignore[attr-defined]

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """The first observation, float32 `[4]`, and an empty dict; a seed repeats it."""
        if seed is not None:
            check_kind("seed", seed, int, np.integer)
            self._key = prng.jax_key(int(seed))
        self._key, key = jax.random.split(self._key)
        obs, self._state = jit_reset(self.env, key, self.env_params)
        return self._seen(obs), {}

    def step(self, action: int) -> GymStep:
        """One step: obs, reward, terminated, truncated, info.

        Raises:
            ConfigError: before `reset`, or for an action that there is not.
        """
        if self._state is None:
            raise ConfigError("step of CartPoleWrapper comes before reset: call reset first.")
        if np.ndim(action) or action not in range(self.action_dim):
            raise ConfigError(f"action {action}: give one of 0 to {self.action_dim - 1}.")
        self._key, key = jax.random.split(self._key)
        after = _jit_step(self.env, key, self._state, jnp.int32(action), self.env_params)
        self._state = after.state
        ends = bool(after.terminated), bool(after.truncated)
        return self._seen(after.obs), float(after.reward), *ends, {}

    def _seen(self, obs: jax.Array) -> np.ndarray:
        """The observation, standardised if statistics were set."""
        return np.asarray(obs if self._statistics is None else normalize(self._statistics, obs))

    def render(self) -> np.ndarray:
        """A picture of the present state, uint8 `[height, width, 3]`."""
        if self.render_mode is None:
            raise ConfigError('render_mode None draws nothing: give render_mode="rgb_array".')
        if self._state is None:
            raise ConfigError("render of CartPoleWrapper comes before reset: call reset first.")
        return draw(self.env, self._state, self.env_params)

    def set_normalization_stats(self, stats: Mapping[str, Any] | None) -> None:
        """Lets `reset` and `step` standardise by `count`, `mean` and `var`; None ends that."""
        if stats is None:
            self._statistics = None
            return
        missing = {"count", "mean", "var"} - set(stats)
        if missing:
            raise ConfigError(f"stats have no {', '.join(sorted(missing))}: give count, mean, var.")
        arrays = {name: jnp.asarray(stats[name], jnp.float32) for name in ("count", "mean", "var")}
        self._statistics = RunningStatistics(**arrays)

    def get_observation_stats(self) -> dict[str, Any] | None:
        """What `set_normalization_stats` was given; agents have `observation_stats`."""
        if self._statistics is None:
            return None
        return {name: np.asarray(x) for name, x in self._statistics._asdict().items()}

    def record_episode_gif(
        self,
        agent: PPOAgent,
        path: str | os.PathLike[str] = "episode.gif",
        key: EitherKey | None = None,
    ) -> Path:
        """Plays a greedy episode of the agent and writes it as a GIF.

        Raises:
            ConfigError: Pillow is not installed, or the file cannot be written.
        """
        env = AutoResetWrapper(self.env)  # type: ignore[arg-type]
        given = jax.random.key(0) if key is None else key
        how = checked_key(given, "key of record_episode_gif"), self.max_episode_steps
        episode = record(agent.algorithm, agent.state, env, self.env_params, *how)
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_gif(frames(episode, env, self.env_params), path, FPS)
        self._gifs.append(path)
        return path

    def get_recorded_gifs(self) -> list[Path]:
        """The files that `record_episode_gif` has written."""
        return list(self._gifs)

    def close(self) -> None:
        """Forgets the running episode; nothing else is held."""
        self._state = None


@partial(jax.jit, static_argnums=0)
def jit_reset(env: Any, key: Any, params: Any) -> Any:
    """The first observation and state of an env."""
    return env.reset(key, params)


@partial(jax.jit, static_argnums=0)
def _jit_step(env: Any, key: Any, state: Any, action: Any, params: Any) -> Any:
    """One step of an env."""
    return env.step(key, state, action, params)
