"""What a training with MaskablePPO is told: seed 003's flags and its hyperparameters."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vibe_rl.errors import ConfigError, Typed, check_bounds
from vibe_rl.types import number

ENV_ID = "vibe_rl/HackMatrix-v0"
HYPERPARAMETERS = {
    "learning_rate": 3e-4,
    "n_steps": 2048,
    "batch_size": 64,
    "n_epochs": 10,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "ent_coef": 0.1,
}
"""Seed 003's, under Stable-Baselines3's names."""


@dataclass(frozen=True, kw_only=True)
class Settings(Typed):
    """Trains MaskablePPO on HackMatrix, played by a process of its own for each environment.

    A model of Stable-Baselines3 runs code when it is loaded: resume only those that you trust.
    """

    section: ClassVar[str] = "--"

    timesteps: int = number(1_000_000, least=1)
    """Env steps of the whole run, those before --resume included; the last update is completed."""
    save_freq: int = number(10_000, least=1)
    """Env steps between saved models."""
    eval_freq: int = number(5_000, least=1)
    """Env steps between evaluations of 5 episodes with the likeliest actions."""
    log_dir: str = "logs"
    """Folder of the run directories."""
    model_dir: str = "models"
    """Folder of the folders of models, which are named as the run directories."""
    resume: str | None = None
    """A model, such as models/RUN/interrupted_model.zip, whose run goes on."""
    run_suffix: str = ""
    """Further part of the run's name."""
    debug: bool = False
    """Prints what --info prints, and what Python's loggers have to say."""
    info: bool = False
    """Prints Stable-Baselines3's table after each update."""
    num_envs: int = number(1, least=1)
    """Environments side by side; more than one have a process each besides the game's."""
    max_episode_steps: int = number(1000, least=1)
    """Env steps after which an episode is cut off."""
    wandb: bool = True
    """Sends the run to Weights & Biases too."""
    seed: int = number(0, least=0)
    """Of the network, the actions and the games."""
    env_id: str = ENV_ID
    """Gymnasium's id of another environment with action masks."""
    learning_rate: float | None = number(None, least=0)
    """Adam's; 3e-4 if it is not given. This and what follows are the model's if it is resumed."""
    n_steps: int | None = number(None, least=2)
    """Steps of each environment in an update; 2048 if it is not given."""
    batch_size: int | None = number(None, least=2)
    """Steps in a gradient step; 64 if it is not given."""
    n_epochs: int | None = number(None, least=1)
    """Passes over the steps of an update; 10 if it is not given."""
    gamma: float | None = number(None, least=0, most=1)
    """Discount factor; 0.99 if it is not given."""
    gae_lambda: float | None = number(None, least=0, most=1)
    """Lambda of the advantage estimates; 0.95 if it is not given."""
    clip_range: float | None = number(None, least=0)
    """How far the probability ratio may move the objective; 0.2 if it is not given."""
    ent_coef: float | None = number(None, least=0, finite=True)
    """Weight of the entropy bonus; 0.1 if it is not given."""

    @property
    def typed(self) -> dict[str, Any]:
        """The hyperparameters that are given."""
        given = {name: getattr(self, name) for name in HYPERPARAMETERS}
        return {name: value for name, value in given.items() if value is not None}

    def calls(self, frequency: int) -> int:
        """Env steps as steps that all environments make together."""
        return max(frequency // self.num_envs, 1)

    def seed_of(self, step: int, what: int) -> int:
        """A seed for the games or the evaluations of a training that begins at an env step."""
        words = np.random.SeedSequence((self.seed, step, what)).generate_state(1)
        return int(words[0] >> 1)  # a C int


def check_training(settings: Settings) -> None:
    """Raises ConfigError for a setting that cannot work, or would be ignored."""
    check_bounds(settings, Settings.section)
    if "/" in settings.run_suffix or "\\" in settings.run_suffix:
        raise ConfigError(f"--run_suffix {settings.run_suffix}: give a name without slashes.")
    if settings.run_suffix and settings.resume is not None:
        raise ConfigError("--run_suffix is of a new run: leave it out where one is resumed.")
