"""What can be refused of a run before its scenarios are there: making them may take hours."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.experiment.build import build_for_run_dir, check_new, resumed
from vibe_rl.run_dir.directory import RunDir, check_free_name
from vibe_rl.run_dir.group import check_single
from vibe_rl.runner.eval_metrics import EvalMetric
from vibe_rl.runner.fit import Callback
from vibe_rl.runner.resuming import check_checkpoints
from vibe_rl.runner.run import Run, check_evaluation
from vibe_rl.runner.session import check_callback
from vibe_rl.system.processes import run_together
from vibe_rl.tracking.named import check_installed, check_names
from vibe_rl.trainers.driving.names import base_of, run_name
from vibe_rl.trainers.driving.plans import Plan


def checked_run(
    config: TrainConfig, before: Path | None, eval_metrics: Mapping[str, EvalMetric] | None
) -> Run:
    """The run that a config describes, a new one or one that goes on.

    Raises:
        ConfigError: it cannot work.
    """
    run = build_for_run_dir(config, check_new if before is None else resumed)
    run = replace(run, eval_metrics=dict(eval_metrics or {}))
    check_evaluation(run)
    return run


def check_before_scenarios(
    plan: Plan,
    before: Path | None,
    callback: Callback | None,
    eval_metrics: Mapping[str, EvalMetric] | None,
) -> None:
    """Raises ConfigError for all that cannot work whatever the scenarios are.

    The run is made with the environment's built-in scenarios in their place.
    """
    run_together(partial(_check_place, plan, before))
    run = checked_run(plan.config, before, eval_metrics)
    run_together(partial(check_callback, callback))
    run_together(partial(_check_trackers, run.config.track))
    if before is not None and not getattr(plan.source, "stream", 0):  # whose envs begin anew
        run_together(partial(check_checkpoints, run, RunDir.open(before).checkpoints))


def _check_place(plan: Plan, before: Path | None) -> None:
    """Raises ConfigError unless a run's directory is there, or one can be made."""
    if before is None:
        check_free_name(run_name(plan), base_of(plan))
    else:
        check_single(before)
        RunDir.open(before)


def _check_trackers(names: Sequence[str]) -> None:
    """Raises ConfigError for trackers that do not exist, or whose packages are missing."""
    check_names(names)
    check_installed(names)
