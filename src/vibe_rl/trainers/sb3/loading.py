"""Saved models: made, resumed, or loaded as a policy with masks.

Loading one runs code that is in it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.errors import ConfigError, reason, shown
from vibe_rl.extras import require
from vibe_rl.trainers.sb3.models import step_of
from vibe_rl.trainers.sb3.settings import ENV_ID, HYPERPARAMETERS, Settings

POLICIES = {"Dict": "MultiInputPolicy"}
"""By the class of the observation space; others are vectors."""


def require_sb3() -> Any:
    """The class `MaskablePPO`; ConfigError if sb3-contrib is not installed."""
    require("stable_baselines3", "sb3", "models of MaskablePPO")
    return require("sb3_contrib", "sb3", "models of MaskablePPO").MaskablePPO


def make_model(settings: Settings, envs: Any) -> Any:
    """A new model, or that which is resumed, with the hyperparameters that are given.

    Raises:
        ConfigError: a batch does not divide an update's steps, or the saved model does not fit.
    """
    resumed = None if settings.resume is None else Path(settings.resume)
    step = 0 if resumed is None else step_of(resumed)
    how = {**settings.typed, "env": envs, "seed": settings.seed_of(step, 0)}
    if resumed is not None:
        model = _load(resumed, **how)
        _check_batch(settings.num_envs, model.n_steps, model.batch_size)
        return model
    how = HYPERPARAMETERS | how
    _check_batch(settings.num_envs, how["n_steps"], how["batch_size"])
    policy = POLICIES.get(type(envs.observation_space).__name__, "MlpPolicy")
    return require_sb3()(policy, **how)


def _check_batch(num_envs: int, n_steps: int, batch_size: int) -> None:
    """Raises ConfigError if a batch does not divide the steps of an update."""
    if num_envs * n_steps % batch_size:
        raise ConfigError(
            f"--batch_size {batch_size}: it does not divide the {num_envs * n_steps} steps of an "
            "update, --num_envs times --n_steps; give one that does."
        )


def _load(path: Path, **how: Any) -> Any:
    """A saved model; ConfigError if it is none of MaskablePPO, or does not fit the environment.

    Args:
        path: of the zip, whose code is run.
        **how: what is not to be as it was saved.
    """
    step_of(path)
    try:
        return require_sb3().load(path, **how)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{shown(path)} cannot be loaded ({reason(error)}): name a model of MaskablePPO that "
            "was trained on this environment."
        ) from error


def hyperparameters_of(model: Any) -> dict[str, float]:
    """What the model learns with."""
    values = {name: getattr(model, name) for name in HYPERPARAMETERS}
    schedules = {"learning_rate": model.lr_schedule, "clip_range": model.clip_range}
    return values | {name: float(schedule(1.0)) for name, schedule in schedules.items()}


class Advice(NamedTuple):
    """What a policy makes of an observation."""

    action: int
    probabilities: np.ndarray  # [A], 0 where an action is illegal
    value: float  # the discounted return that is expected


class MaskedPolicy:
    """A saved model at play.

    Args:
        model: of MaskablePPO.
        env_id: Gymnasium's id of the environment that it is for.
    """

    def __init__(self, model: Any, env_id: str = ENV_ID):
        self.model, self.env_id = model, env_id

    @property
    def step(self) -> int:
        """Env steps that it was trained for."""
        return self.model.num_timesteps

    @property
    def spaces(self) -> tuple[Any, Any]:
        """Gymnasium's, of the observations and of the actions that it was trained in."""
        return self.model.observation_space, self.model.action_space

    def __call__(
        self, obs: Any, legal: np.ndarray | None = None, *, sample: bool = False
    ) -> Advice:
        """Decides at one observation.

        Args:
            obs: as the environment gives it, a mapping of arrays or an array.
            legal: which actions are legal, `bool[A]`; None allows all.
            sample: draws the action instead of taking the likeliest.
        """
        policy = self.model.policy
        masks = None if legal is None else np.asarray(legal, bool)[None]
        one = {n: np.asarray(x) for n, x in obs.items()} if isinstance(obs, Mapping) else obs
        with require("torch", "sb3", "models of MaskablePPO").no_grad():
            tensor, _ = policy.obs_to_tensor(one)
            distribution = policy.get_distribution(tensor, action_masks=masks)
            probabilities = distribution.distribution.probs[0].cpu().numpy()
            action = distribution.get_actions(deterministic=not sample)
            value = policy.predict_values(tensor)
        return Advice(int(action), probabilities, float(value))


def load_policy(path: str | os.PathLike[str], env_id: str = ENV_ID) -> MaskedPolicy:
    """A saved model as a policy with masks; loading runs code that is in the file.

    Raises:
        ConfigError: sb3-contrib is not installed, or the file is no model of MaskablePPO.
    """
    model = _load(Path(path), device="cpu")
    model.policy.set_training_mode(False)
    return MaskedPolicy(model, env_id)
