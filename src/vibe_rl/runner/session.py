"""`fit` with a run's files and words around it: what every `train_*` function shares."""

import dataclasses
import json
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from vibe_rl.checkpoint import saved_steps
from vibe_rl.run_dir.directory import RunDir, versions
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.fit import Callback, FitResult, fit
from vibe_rl.runner.resuming import check_checkpoints
from vibe_rl.runner.run import Run
from vibe_rl.runner.saving import Progress, Saver
from vibe_rl.system.lock import locked
from vibe_rl.system.processes import by_first, check_same, ended_if_alone, is_first, together
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.system.signals import StopRequest
from vibe_rl.tracking.base import Tee, Tracker
from vibe_rl.tracking.console import ConsoleTracker
from vibe_rl.tracking.jsonl import MetricsLogger, rewind


def run_training(
    run: Run,
    *,
    run_dir: RunDir | None = None,
    callback: Callback | None = None,
    tracker: Tracker | None = None,
    keep_history: bool = False,
    record: Callable[[], object] | None = None,
) -> FitResult:
    """Trains, shows progress and, with a `run_dir`, writes metrics and checkpoints there.

    `tracker` is told whatever the others are. `record` is called once nothing can be refused any
    more, to write down what is about to happen. Of several processes, the first writes and shows.
    """
    directory = checkpoints_of(run, run_dir)
    check_same_run(run, directory, callback)
    together(run.check_memory)
    enable_compilation_cache()
    with StopRequest() as stop, ExitStack() as stack:
        if directory is not None:
            by_first(lambda: stack.enter_context(locked(directory)))
            together(partial(check_checkpoints, run, directory))
        if record is not None:
            by_first(record)
        saver = None if directory is None else make_saver(run, directory, run_dir)
        if saver is not None:
            stack.callback(saver.close)
        stack.enter_context(ended_if_alone())  # before saver.close, for which all are needed
        own = [] if tracker is None else [tracker]
        shared = trackers(run, run_dir, saver) if is_first() else []
        tee = stack.enter_context(Tee(*own, *shared))
        tee.log_config(settings(run))
        return fit(run, tee, callback, keep_history, saver, stop)


def check_same_run(run: Run, directory: Path | None, callback: Callback | None) -> None:
    """Raises ConfigError if processes that are to train together were given different things."""
    check_same("settings of the run", json.dumps(plain(settings(run)), sort_keys=True))
    steps = [] if directory is None else saved_steps(directory)
    check_same("directory and checkpoints in it", f"{directory} {steps}")
    check_same("having a callback or none", str(callback is None))


def checkpoints_of(run: Run, run_dir: RunDir | None) -> Path | None:
    """Where the run keeps its checkpoints, if it keeps any."""
    if run.config.checkpoint_dir is not None:
        return Path(run.config.checkpoint_dir)
    return None if run_dir is None else run_dir.checkpoints


def make_saver(
    run: Run, directory: Path, run_dir: RunDir | None, among: Collection[int] | None = None
) -> Saver:
    """What saves the run; the best is marked in the run directory if that holds the checkpoints."""
    notes = {"seed": run.config.seed, "settings": plain(settings(run)), "versions": versions()}
    in_run_dir = run_dir is not None and directory == run_dir.checkpoints and is_first()
    on_best = run_dir.mark_best if in_run_dir else None  # type: ignore[union-attr]
    return Saver(run, directory, notes, on_best, among)


def settings(run: Run) -> dict[str, Any]:
    """What trackers are told of a run before its first metrics."""
    algorithm = {"algo": dataclasses.asdict(run.algorithm.config)}
    return algorithm | {"runner": dataclasses.asdict(run.config), "num_envs": run.num_envs}


def trackers(run: Run, run_dir: RunDir | None, saver: Saver | None) -> list[Any]:
    """Where a run's metrics go."""
    done = Progress() if saver is None else saver.progress()
    files = [] if run_dir is None else [log_of(run, run_dir, done.update * run.steps_per_update)]
    if not run.config.progress_bar:
        return files
    console = ConsoleTracker(run.n_updates * run.steps_per_update)
    size = "" if run.off_policy is None else f"replay of {run.off_policy.describe_replay()}; "
    console.status(f"{size}compiling ...")
    return [*files, console]


def log_of(run: Run, run_dir: RunDir, step: int) -> MetricsLogger:
    """The run's log; where it is not a new one, rows later than `step` have been set aside."""
    goes_on = run.config.resume or run.config.overwrite
    if goes_on:
        rewind(run_dir.log_path(), step)
    return MetricsLogger(run_dir.log_path(), resume=goes_on)
