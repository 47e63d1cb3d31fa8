"""`fit` with a run's files and words around it: what every `train_*` function shares."""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from vibe_rl.checkpoint import saved_steps
from vibe_rl.divergence import Divergence, mark_diverged
from vibe_rl.errors import ConfigError
from vibe_rl.metrics import MetricsLogger, rewind
from vibe_rl.records import plain
from vibe_rl.run_dir import RunDir, versions
from vibe_rl.run_lock import locked
from vibe_rl.runner.compilation_cache import enable_compilation_cache
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.fit import Callback, FitResult, fit
from vibe_rl.runner.fit_many import OnEvaluation, fit_many
from vibe_rl.runner.interrupt import StopRequest
from vibe_rl.runner.many import ManyRuns
from vibe_rl.runner.prepare import Run
from vibe_rl.runner.resuming import check_checkpoints, set_later_aside
from vibe_rl.runner.saving import Progress, Saver
from vibe_rl.tracking.base import Tee, Tracker
from vibe_rl.tracking.console import ConsoleTracker


def resolve_num_envs(algorithm_envs: int, config: RunnerConfig) -> int:
    """The number of envs on all devices; ConfigError if algorithm's and runner's disagree."""
    runner_envs, n_devices = config.num_envs, config.num_devices or 1
    if 1 in (algorithm_envs, runner_envs):
        return algorithm_envs if algorithm_envs > 1 else runner_envs * n_devices
    if algorithm_envs != runner_envs * n_devices:
        raise ConfigError(
            f"algo.num_envs {algorithm_envs} and runner.num_envs {runner_envs} x {n_devices} "
            "devices disagree: give one of them."
        )
    return algorithm_envs


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
    record: Callable[[], object] | None = None,
) -> FitResult:
    """Trains, shows progress and, with a `run_dir`, writes metrics and checkpoints there.

    `tracker` is told whatever the others are. `record` is called once nothing can be refused any
    more, to write down what is about to happen.
    """
    run.check_memory()
    enable_compilation_cache()
    with StopRequest() as stop, ExitStack() as stack:
        directory = checkpoints_of(run, run_dir)
        if directory is not None:
            stack.enter_context(locked(directory))
            check_checkpoints(run, directory)
        if record is not None:
            record()
        saver = None if directory is None else make_saver(run, directory, run_dir)
        if saver is not None:
            stack.callback(saver.close)
        more = () if tracker is None else (tracker,)
        tee = stack.enter_context(Tee(*more, *trackers(run, run_dir, saver)))
        tee.log_config(settings(run))
        return fit(run, tee, callback, keep_history, saver, stop)


def run_many(
    run: ManyRuns,
    run_dirs: Sequence[RunDir],
    record: Callable[[], object] | None = None,
    stop: StopRequest | None = None,
    on_evaluation: OnEvaluation | None = None,
) -> list[FitResult]:
    """Trains many agents at once, each with a run directory; progress is that of the first.

    `stop` may ask all to end early; None asks at Ctrl-C or SIGTERM. `on_evaluation` is told every
    evaluation of all.
    """
    run.check_memory()
    enable_compilation_cache()
    pairs = list(zip(map(keeping_two, run.members), run_dirs, strict=True))
    asked = StopRequest() if stop is None else nullcontext(stop)
    with asked as stopping, ExitStack() as stack:
        for member, run_dir in pairs:
            stack.enter_context(locked(run_dir.checkpoints))
            check_checkpoints(member, run_dir.checkpoints)
        common = set.intersection(*(set(saved_steps(d.checkpoints)) for d in run_dirs))
        if record is not None:
            record()
        for run_dir in run_dirs:
            set_later_aside(run_dir.checkpoints, max(common, default=0))
        savers, tees = [], []
        for i, (member, run_dir) in enumerate(pairs):
            savers.append(make_saver(member, run_dir.checkpoints, run_dir, common))
            stack.callback(savers[-1].close)
            shown = member if i == 0 else quiet(member)
            tees.append(stack.enter_context(Tee(*trackers(shown, run_dir, savers[-1]))))
            tees[-1].log_config(settings(member))
        return fit_many(run, tees, savers, stopping, partial(_mark, run_dirs), on_evaluation)


def _mark(run_dirs: Sequence[RunDir], member: int, step: int, reason: str) -> None:
    mark_diverged(run_dirs[member], Divergence(step, reason))


def keeping_two(run: Run) -> Run:
    """The run with two checkpoints at least: a kill may come when some of many have a new one."""
    kept = max(2, run.config.max_checkpoints)
    return dataclasses.replace(run, config=dataclasses.replace(run.config, max_checkpoints=kept))


def quiet(run: Run) -> Run:
    """The run without a progress bar."""
    return dataclasses.replace(run, config=dataclasses.replace(run.config, progress_bar=False))


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
    in_run_dir = run_dir is not None and directory == run_dir.checkpoints
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
