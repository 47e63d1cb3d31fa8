"""A run with its lock, log, checkpoints and trackers around it: what every `train_*` shares."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vibe_rl.checkpoint import saved_steps, settle_replaced
from vibe_rl.errors import ConfigError, check_kind, short
from vibe_rl.plotting.groups import try_to_draw_curve
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import absolute
from vibe_rl.run_dir.manifest import commit, versions
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.config import RunnerConfig, check_checkpoints_used
from vibe_rl.runner.fit import Callback, FitResult, fit
from vibe_rl.runner.noting import (
    found_step,
    how_ended,
    note_session,
    noted_failure,
    watch_health,
)
from vibe_rl.runner.params_files import ParamsWriter
from vibe_rl.runner.params_memory import copies_of, describe_params
from vibe_rl.runner.resuming import Found, check_checkpoints, latest
from vibe_rl.runner.run import Run
from vibe_rl.runner.saving import Saver
from vibe_rl.sharding import leave_mesh
from vibe_rl.system.lock import lock_directory
from vibe_rl.system.processes import (
    check_same,
    end_if_alone,
    greatest,
    is_first,
    run_on_first,
    run_together,
)
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.system.signals import StopRequest
from vibe_rl.tracking.base import LogBackend, Tee, Tracker, check_trackers
from vibe_rl.tracking.console import ConsoleTracker
from vibe_rl.tracking.jsonl import MetricsLogger, rewind
from vibe_rl.tracking.named import check_names
from vibe_rl.tracking.opening import Destinations, open_named


@dataclass(frozen=True)
class Session:
    """A run that nothing refuses any more; made by `open_session`, and valid in its block."""

    run: Run
    run_dir: RunDir | None
    checkpoints: Path | None
    stop: StopRequest
    found: Found | None = None  # where the run resumes

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do, for the run has its whole budget behind it."""
        return is_complete(self.run, self.found)

    @property
    def signal(self) -> int:
        """The number of the signal that has asked one of the processes to stop, or 0."""
        return greatest(self.stop.signal)

    def train(
        self,
        callback: Callback | None = None,
        trackers: Sequence[LogBackend] = (),
        keep_history: bool = False,
    ) -> FitResult:
        """Trains, shows progress and, with a run directory, writes metrics and checkpoints there.

        Of several processes, the first writes and shows.

        Args:
            callback: see `fit.Callback`.
            trackers: get the run's description, its rows and its finished files, in every process.
            keep_history: whether to keep every update's metrics in memory.
        """
        run, found, saver = self.run, self.found, None
        with ExitStack() as stack:
            if self.checkpoints is not None:
                with end_if_alone():
                    saver = make_saver(run, self.checkpoints, self.run_dir)
                stack.callback(saver.close)
            stack.enter_context(end_if_alone())  # before saver.close, for which all are needed
            destinations = stack.enter_context(Destinations())
            own = own_trackers(run, self.run_dir, found, saver, destinations) if is_first() else []
            tee = stack.enter_context(Tee(*trackers, *own))
            begin_tracking(run, found, tee)
            with noted_failure(self.run_dir, found_step(run, found)):
                result = fit(run, tee, callback, keep_history, saver, self.stop, found)
            tee.status = how_ended(result)
            note_session(self.run_dir, found_step(run, found), result)
            if self.run_dir is not None and is_first() and not result.interrupted:
                log_files(run, self.run_dir, tee)
            return result


@contextmanager
def open_session(
    run: Run,
    run_dir: RunDir | None = None,
    callback: Callback | None = None,
    trackers: Sequence[LogBackend] = (),
) -> Iterator[Session]:
    """Locks the run's checkpoints and refuses what cannot work; the block then trains.

    Nothing but the lock has been written when the block begins, so that it may first record what it
    will do. Checkpoints that cannot be read have been set aside, and those whose replacement was
    interrupted have been settled.
    """
    directory = run_together(partial(directory_of, run, run_dir, callback, trackers))
    check_same_files(f"{run.config.checkpoint_dir or run_dir}", directory, callback)
    enable_compilation_cache()
    with StopRequest() as stop, ExitStack() as stack:
        stack.enter_context(leave_mesh())  # a run has its own
        if directory is not None:
            run_on_first(partial(take_directory, directory, stack))
            run_together(partial(check_checkpoints, run, directory))
        yield Session(run, run_dir, directory, stop, _where_to_resume(run, directory))


def directory_of(run: Run, run_dir: Any, callback: Any, trackers: Any) -> Path | None:
    """Where a run of these arguments has its checkpoints; None if it makes none.

    Raises:
        ConfigError: something is of the wrong kind, or would be ignored.
    """
    if run_dir is not None:
        check_kind("run_dir", run_dir, RunDir)
    check_callback(callback)
    check_trackers(trackers)
    config = run.config
    check_names(config.track)
    if config.track and run_dir is None:
        raise ConfigError(
            f"runner.track {config.track} needs a run directory: give run_dir, or trackers."
        )
    saves = config.checkpoint_interval is not None
    directory = checkpoints_of(config, run_dir) if saves else None
    if directory is None:
        check_checkpoints_used(config)
    return directory


def check_callback(callback: Any) -> None:
    """Raises ConfigError for what cannot be called."""
    if not (callback is None or callable(callback)):
        raise ConfigError(f"callback {short(callback)}: give a function, or None.")


def take_directory(directory: Path, stack: ExitStack) -> None:
    """Locks a directory of checkpoints until the stack is closed; see `settle_replaced`."""
    stack.enter_context(lock_directory(directory))
    settle_replaced(directory)


def is_complete(run: Run, found: Found | None) -> bool:
    """Whether a run that resumes there has nothing left to do."""
    if found is None or found.evaluation_is_cut:
        return False
    return found.update == run.n_updates


def _where_to_resume(run: Run, directory: Path | None) -> Found | None:
    """Where the run resumes, if it does.

    Raises:
        ConfigError: it is past its budget there.
    """
    if directory is None:
        return None
    with end_if_alone():
        found = latest(run, directory)
        if found is not None:
            check_not_past(run, found.update * run.steps_per_update)
        return found


def check_not_past(run: Run, step: int) -> None:
    """Raises ConfigError if a run that resumes at an env step is past its budget there."""
    if step > run.n_updates * run.steps_per_update:
        raise ConfigError(
            f"total_timesteps {run.config.total_timesteps} is less than the {step} env steps that "
            "were made: give more."
        )


def check_same_files(named: str, directory: Path | None, callback: Callback | None) -> None:
    """Raises ConfigError if processes that train together have different files or callbacks.

    Their machines may reach the directory on different ways: it has to be named the same.
    """
    steps = [] if directory is None else saved_steps(directory)
    check_same("directory and checkpoints in it", f"{named} {steps}")
    check_same("having a callback or none", str(callback is None))


def checkpoints_of(config: RunnerConfig, run_dir: RunDir | None) -> Path | None:
    """Where checkpoints of the run would be, if it has a place for them; absolute."""
    if config.checkpoint_dir is not None:
        return absolute(config.checkpoint_dir)
    return None if run_dir is None else run_dir.checkpoints


def make_saver(run: Run, directory: Path, run_dir: RunDir | None) -> Saver:
    """What saves the run; the best is marked in the run directory if that holds the checkpoints."""
    notes = {
        "seed": run.config.seed,
        "settings": plain(run.description),
        "versions": versions(),
    }
    in_run_dir = run_dir is not None and directory == run_dir.checkpoints and is_first()
    mark_best = run_dir.mark_best if in_run_dir else None  # type: ignore[union-attr]
    folder = directory if run_dir is None else run_dir.root
    write_params = ParamsWriter(folder, run) if run.config.save_params else None
    return Saver(run, directory, notes, mark_best, write_params)


def begin_tracking(run: Run, found: Found | None, tracker: Tracker) -> None:
    """Tells what the run is, and where it resumes."""
    if found is not None:
        tracker.rewind(found.update * run.steps_per_update)
    tracker.log_config({**plain(run.description), "versions": versions(), "commit": commit()})


def own_trackers(
    run: Run,
    run_dir: RunDir | None,
    found: Found | None,
    saver: Saver | None,
    destinations: Destinations,
) -> list[Any]:
    """The run's log, which passes rows on to the trackers that the config names, and its progress.

    The line of progress tells what the saver says. What is unhealthy is said and written down.
    """
    step = None if found is None else found_step(run, found)
    logs: list[Any] = [] if run_dir is None else [open_log(run, run_dir, step, destinations)]
    logs.append(watch_health(run, run_dir))
    if not run.config.progress_bar:
        return logs
    console = ConsoleTracker(run.n_updates * run.steps_per_update)
    doing = "nothing is left to do" if is_complete(run, found) else "compiling ..."
    params = describe_params(run.first_params, copies_of(run.env_params))
    said = run.algorithm.describe_memory(), params, doing
    console.status("; ".join(filter(None, said)))
    if saver is not None:
        saver.say = console.status
    return [*logs, console]


def open_log(
    run: Run, run_dir: RunDir, step: int | None, destinations: Destinations
) -> MetricsLogger:
    """The run's log; where it is not a new one, rows that will come again have been set aside.

    Args:
        run: what is logged.
        run_dir: where.
        step: where the run resumes; None where it begins.
        destinations: of the trackers that the run names.
    """
    continues = run.config.resume or run.config.overwrite
    if continues:
        rewind(run_dir.log_path(), step or 0)
    trackers = open_named(run.config.track, run_dir, step, destinations)
    return MetricsLogger(run_dir.log_path(), trackers, resume=continues)


def log_files(run: Run, run_dir: RunDir, tracker: Tracker) -> None:
    """Draws the reward curve if it is wanted, and passes on what the run leaves."""
    curve = try_to_draw_curve(run_dir) if run.config.plot else None
    if curve is not None:
        tracker.log_file(curve)
    if run_dir.best_checkpoint is not None:
        tracker.log_file(run_dir.best_checkpoint)
    params = run_dir.root / f"params_{run.n_updates}.npz"
    if params.exists():
        tracker.log_file(params)
