"""`fit` with a run's files and words around it: what every `train_*` function shares."""

import dataclasses
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from vibe_rl.algorithms.off_policy import without_ring
from vibe_rl.checkpoint import save_checkpoint
from vibe_rl.errors import ConfigError
from vibe_rl.metrics import MetricsLogger
from vibe_rl.run_dir import RunDir
from vibe_rl.runner.compilation_cache import enable_compilation_cache
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.fit import Callback, FitResult, fit
from vibe_rl.runner.prepare import Run
from vibe_rl.tracking.base import Tee, Tracker
from vibe_rl.tracking.console import ConsoleTracker


def resolve_num_envs(algorithm_envs: int, runner_envs: int) -> int:
    """The number of envs, which either config may give; ConfigError if they disagree."""
    if 1 not in (algorithm_envs, runner_envs) and algorithm_envs != runner_envs:
        raise ConfigError(
            f"algo.num_envs {algorithm_envs} and runner.num_envs {runner_envs} disagree: "
            "give one of them."
        )
    return max(algorithm_envs, runner_envs)


def check_shape(name: str, given: Any, actual: Any) -> None:
    """Raises ConfigError if an optional argument contradicts what the env says of itself."""
    if given is not None and given != actual:
        raise ConfigError(f"{name} {given} is not the environment's {actual}: leave it out.")


def run_training(
    run: Run,
    *,
    run_dir: RunDir | None = None,
    callback: Callback | None = None,
    tracker: Tracker | None = None,
    keep_history: bool = False,
) -> FitResult:
    """Trains, shows progress and, with a `run_dir`, writes metrics and the final agent there.

    `tracker` is told whatever the others are.
    """
    run.check_memory()
    enable_compilation_cache()
    more = () if tracker is None else (tracker,)
    with closing(Tee(*more, *trackers(run, run_dir))) as tee:
        tee.log_config(settings(run))
        result = fit(run, tee, callback, keep_history)
    if run_dir is not None:
        save_agent(run_dir, result, run.config)
    return result


def settings(run: Run) -> dict[str, Any]:
    """What trackers are told of a run before its first metrics."""
    algorithm = {"algo": dataclasses.asdict(run.algorithm.config)}
    return algorithm | {"runner": dataclasses.asdict(run.config), "num_envs": run.num_envs}


def trackers(run: Run, run_dir: RunDir | None) -> list[Any]:
    """Where a run's metrics go."""
    files = [] if run_dir is None else [MetricsLogger(run_dir.log_path())]
    if not run.config.progress_bar:
        return files
    console = ConsoleTracker(run.n_updates * run.steps_per_update)
    size = "" if run.off_policy is None else f"replay of {run.off_policy.describe_replay()}; "
    console.status(f"{size}compiling ...")
    return [*files, console]


def save_agent(run_dir: RunDir, result: FitResult, config: RunnerConfig) -> None:
    """Writes the agent's final state with what is needed to evaluate it again."""
    notes: Mapping[str, Any] = {"update": result.updates, "seed": config.seed}
    agent_state = without_ring(result.state.agent_state)
    save_checkpoint(run_dir.checkpoints, agent_state, step=result.step, metadata=notes)
