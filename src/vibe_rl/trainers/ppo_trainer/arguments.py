"""What a `PPOTrainer` makes of its arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from vibe_rl.errors import ConfigError, check_kind, short
from vibe_rl.policies.registry import check_alias
from vibe_rl.trainers.ppo_trainer.agent import PPOAgent, checked_key
from vibe_rl.trainers.ppo_trainer.cartpole import CartPoleWrapper
from vibe_rl.trainers.ppo_trainer.progress.monitors import ConvergenceMonitor, Monitor
from vibe_rl.trainers.ppo_trainer.settings import TrainerSettings
from vibe_rl.types import EitherKey


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
    data = np.asarray(jax.random.key_data(checked_key(key, "PPOTrainer key")))
    if data.shape != (2,):
        raise ConfigError(f"key of {data.size} words: give one of jax.random.key, or seed.")
    return {"seed": int(data[0]) << 32 | int(data[1])}


def monitor_of(settings: TrainerSettings) -> ConvergenceMonitor:
    """The rule that the settings describe."""
    settings.check_window()
    return ConvergenceMonitor(
        target=settings.target_reward,
        window=settings.convergence_window,
        patience=settings.early_stopping_patience,
        mode="legacy" if settings.legacy_convergence else "sustained",
    )


def check_monitor(monitor: Any) -> None:
    """Raises ConfigError for what is no rule that ends a training."""
    if not (monitor is None or isinstance(monitor, Monitor)) or isinstance(monitor, type):
        raise ConfigError(
            f"monitor {short(monitor)}: give a ConvergenceMonitor, a PlateauMonitor, or an object "
            "with what Monitor names."
        )


def checked_name(name: Any) -> str:
    """The name of an experiment; ConfigError if it is none."""
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"mlflow_experiment_name {short(name)}: give a name, in quotes.")
    return name


def checked_stage(stage: Any) -> str | None:
    """The alias that a stage of seed 002 is; ConfigError if it cannot be one."""
    if stage is None:
        return None
    check_kind("register_stage", stage, str)
    check_alias(stage.lower())
    return stage.lower()


def names_of(track: Sequence[str] | str, mlflow: bool) -> tuple[str, ...]:
    """The names of trackers, of which a text has several with commas; MLflow's if it is wanted."""
    check_kind("track", track, str, list, tuple)
    named = track.split(",") if isinstance(track, str) else track
    for name in named:
        check_kind("a name of track", name, str)
    names = [name.strip() for name in named]
    return tuple(dict.fromkeys([*names, "mlflow"] if mlflow else names))


def as_list(name: str, given: Any, method: str) -> list[Any]:
    """One or several objects that have a method; ConfigError for anything else."""
    several = given if isinstance(given, list | tuple) else [given]
    for each in several:
        if isinstance(each, type) or not hasattr(each, method):
            raise ConfigError(
                f"{name} {short(each)}: give objects with a method {method}, in a list."
            )
    return list(several)


def seed_given(key: EitherKey | None, settings: Mapping[str, Any]) -> dict[str, int]:
    """The seed of a key, if one is given; ConfigError if a seed is given too."""
    if key is None:
        return {}
    if "seed" in settings:
        raise ConfigError(f"seed {settings['seed']} and a key: give one of them.")
    return seed_of(key)


FIXED = (
    *("seed", "key", "eval_at_start", "mode", "episodes_per_update", "num_envs", "rollout_steps"),
    *("max_steps_per_episode", "log_gradient_flow", "mlflow_experiment_name", "run_dir"),
)
"""Arguments that a training keeps when it is resumed."""


def check_changes(changes: Mapping[str, Any]) -> None:
    """Raises ConfigError for what a resumed training cannot have otherwise."""
    for name in changes:
        if name in FIXED:
            raise ConfigError(f"{name} of a resumed training stays as it was: leave it out.")
