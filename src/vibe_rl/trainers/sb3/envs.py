"""The environments of a training: Gymnasium's, with masks, a limit of steps and a monitor."""

import multiprocessing
import signal
from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium
import numpy as np

import vibe_rl.env.hackmatrix.gymnasium_env  # noqa: F401 - registers HackMatrix
from vibe_rl.errors import ConfigError, reason
from vibe_rl.trainers.sb3.settings import Settings

MASK = "action_mask"


class MaskOfInfo(gymnasium.Wrapper):
    """Answers MaskablePPO from the mask that `reset` and `step` have brought in `info`."""

    def reset(self, **how: Any) -> tuple[Any, dict[str, Any]]:
        """Begins an episode; ConfigError if there is no mask."""
        obs, info = self.env.reset(**how)
        if MASK not in info:
            spec = self.env.spec
            raise ConfigError(
                f"env_id {spec and spec.id}: MaskablePPO needs masks, let reset and step return "
                f"info[{MASK!r}]."
            )
        self._keep(info)
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Makes a step; its `info` need have no mask where the episode ends."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._keep(info)
        return obs, reward, terminated, truncated, info

    def _keep(self, info: Mapping[str, Any]) -> None:
        if MASK in info:
            self._mask = np.asarray(info[MASK], bool)

    def action_masks(self) -> np.ndarray:
        """Which actions are legal, `bool[A]`."""
        return self._mask


def make_one(env_id: str, max_episode_steps: int) -> gymnasium.Env:
    """An environment with masks.

    Raises:
        ConfigError: there is none of this id.
    """
    if multiprocessing.parent_process() is not None:  # Ctrl-C is for the process that trains
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        env = gymnasium.make(env_id, max_episode_steps=max_episode_steps)
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise ConfigError(f"env_id {env_id} cannot be made: {reason(error)}") from None
    return env if hasattr(env.unwrapped, "action_masks") else MaskOfInfo(env)


def make_envs(settings: Settings, n: int) -> Any:
    """As many environments as one of SB3's; where several train, each has a process.

    Raises:
        ConfigError: there is none of this id, or it has no masks.
    """
    from stable_baselines3.common import vec_env  # noqa: PLC0415 # pyright: ignore

    make = partial(make_monitored, settings.env_id, settings.max_episode_steps)
    kind = vec_env.DummyVecEnv if settings.num_envs == 1 else vec_env.SubprocVecEnv
    return kind([make] * n)


def make_monitored(env_id: str, max_episode_steps: int) -> Any:
    """An environment that says what its episodes returned."""
    from stable_baselines3.common.monitor import Monitor  # noqa: PLC0415 # pyright: ignore

    return Monitor(make_one(env_id, max_episode_steps))
