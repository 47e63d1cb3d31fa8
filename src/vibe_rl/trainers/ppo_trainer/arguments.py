"""What a `PPOTrainer` makes of its arguments."""

import json
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from vibe_rl.errors import ConfigError, check_kind
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.trainers.ppo_trainer.agent import PPOAgent
from vibe_rl.trainers.ppo_trainer.cartpole import CartPoleWrapper
from vibe_rl.trainers.ppo_trainer.monitors import ConvergenceMonitor
from vibe_rl.trainers.ppo_trainer.settings import TrainerSettings
from vibe_rl.types import EitherKey, typed_key


def check_sizes(agent: PPOAgent, env: CartPoleWrapper) -> None:
    """Raises ConfigError if the agent does not fit the env."""
    check_kind("agent", agent, PPOAgent)
    check_kind("env", env, CartPoleWrapper)
    for name in ("observation_dim", "action_dim"):
        has, needs = getattr(agent.config, name), getattr(env, name)
        if has != needs:
            raise ConfigError(f"PPOAgent {name} {has} is not the env's {needs}: give {needs}.")


def seed_of(key: EitherKey) -> dict[str, int]:
    """The seed that a key was made of, such as 42 of `PRNGKey(42)`."""
    data = np.asarray(jax.random.key_data(typed_key(key)))
    if data.shape != (2,):
        raise ConfigError(f"key of shape {data.shape}: give one key, or seed.")
    return {"seed": int(data[0]) << 32 | int(data[1])}


def monitor_of(settings: TrainerSettings) -> ConvergenceMonitor:
    """The rule that the settings describe."""
    return ConvergenceMonitor(
        target=settings.target_reward,
        window=settings.convergence_window,
        patience=settings.early_stopping_patience,
        mode="legacy" if settings.legacy_convergence else "sustained",
    )


def with_mlflow(track: Sequence[str]) -> tuple[str, ...]:
    """The names of trackers, MLflow's among them."""
    return tuple(track) if "mlflow" in track else (*track, "mlflow")


def newest_manifest(run_dir: RunDir) -> dict[str, Any]:
    """The manifest of a run's last session."""
    found = sorted(run_dir.root.glob("manifest*.json"), key=lambda path: path.stat().st_mtime)
    return json.loads(found[-1].read_text()) if found else {}
