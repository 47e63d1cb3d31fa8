"""Names of runs, and V-Max's names of metrics for trackers and the console; the log keeps ours."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from vibe_rl.configs.train_config import algorithm_name
from vibe_rl.run_dir.directory import RunDir, find_runs
from vibe_rl.run_dir.files import first_free, numbered_names
from vibe_rl.tracking.settings import TrackingSettings
from vibe_rl.trainers.driving.plans import Plan

BASE = "runs"
TIME = r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d"
NAMES: dict[str, list[str]] = {
    "episode_return_mean": ["rollout/ep_rew_mean"],
    "episode_length_mean": ["rollout/ep_len_mean"],
    "episodes": ["rollout/episodes"],
    "eval_return": ["evaluation/ep_rew_mean"],
    "eval_length": ["evaluation/ep_len_mean"],
    "actor_loss": ["train/policy_loss"],
    "critic_loss": ["train/value_loss"],
    "imitation_loss": ["train/imitation_loss"],
    "alpha": ["train/alpha"],
    "entropy": ["train/entropy"],
    "q_mean": ["train/q_mean"],
    "grad_norm": ["train/grad_norm"],
    "actor_grad_norm": ["train/grad_norm"],
    "gradient_steps": ["train/rl_gradient_steps"],
    "imitation_steps": ["train/il_gradient_steps"],
    "env_steps": ["train/env_steps"],
    "steps_per_second": ["runtime/sps"],
    "wall_time": ["runtime/wall_time"],
    "iteration_time": ["runtime/iter_time"],
    "data_time": ["runtime/data_time"],
    "training_time": ["runtime/training_time"],
    "eval_time": ["runtime/eval_time"],
    "log_time": ["runtime/log_time"],
}
"""From ours to V-Max's, but for what the environment tells of its episodes."""


def stem_of(plan: Plan) -> str:
    """What the name of a run begins with: algorithm, observation, encoder."""
    encoder = [] if plan.encoder == "none" else [plan.encoder]
    return "_".join([algorithm_name(plan.config), plan.observation, *encoder]).upper()


def run_name(plan: Plan, now: datetime | None = None) -> str:
    """The name of a new run; two of the same second are numbered."""
    if plan.keys.name_run is not None:
        return plan.keys.name_run
    time = f"{now or datetime.now(UTC):%Y-%m-%d_%H-%M-%S}"
    name = f"{stem_of(plan)}_{time}_s{plan.keys.seed}"
    return first_free(Path(base_of(plan)), numbered_names(name)).name


def base_of(plan: Plan) -> str:
    """The folder of a plan's runs."""
    return plan.keys.name_exp or BASE


def newest_run_of(plan: Plan) -> RunDir | None:
    """The newest run that has the plan's name, but for the time; None if there is none."""
    pattern = rf"{re.escape(stem_of(plan))}_{TIME}_s{plan.keys.seed}(_\d+)?"
    if plan.keys.name_run is not None:
        pattern = re.escape(plan.keys.name_run)
    runs = [run for run in find_runs(base_of(plan)) if re.fullmatch(pattern, run.root.name)]
    return runs[-1] if runs else None


def tracking_settings(
    plan: Plan, own: Mapping[str, str], steps_per_update: int
) -> TrackingSettings:
    """What a run's trackers are told.

    Args:
        plan: of the run.
        own: what the environment tells of its steps and episodes: names in rows, and its own.
        steps_per_update: env steps.
    """
    known = {ours: [f"metrics/{theirs}"] for ours, theirs in own.items()}
    evaluated = {f"eval_{ours}": [f"evaluation/{theirs}"] for ours, theirs in own.items()}
    return TrackingSettings({**NAMES, **known, **evaluated}, _sums(plan, steps_per_update))


def _sums(plan: Plan, steps_per_update: int) -> dict[str, dict[str, float]]:
    """What rows have no metric of, as weighted sums of those that they have."""
    share = 1 / max(plan.keys.log_freq, 1)  # of a row's time that an iteration takes
    return {
        "iteration_time": {"iter_time": share},
        "env_steps": {"update": float(steps_per_update)},
    }
