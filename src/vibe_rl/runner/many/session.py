"""Many runs with their locks, logs and checkpoints: what `runner.session` is for one."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial

from vibe_rl.checkpoint import saved_steps
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import Divergence, mark_diverged
from vibe_rl.runner.fit import FitResult
from vibe_rl.runner.health import note_non_finite
from vibe_rl.runner.many.fit import MemberFiles, fit_many
from vibe_rl.runner.many.runs import ManyRuns
from vibe_rl.runner.noting import how_ended, note_session
from vibe_rl.runner.resuming import check_checkpoints, latest, set_later_aside
from vibe_rl.runner.run import Run
from vibe_rl.runner.session import (
    begin_tracking,
    check_not_past,
    make_saver,
    own_trackers,
    take_directory,
)
from vibe_rl.sharding import leave_mesh
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.system.signals import StopRequest
from vibe_rl.tracking.base import Tee
from vibe_rl.tracking.named import check_names
from vibe_rl.tracking.opening import Destinations


def run_many(
    many: ManyRuns,
    run_dirs: Sequence[RunDir],
    record: Callable[[], object] | None = None,
    stop: StopRequest | None = None,
    fit: Callable[..., list[FitResult]] = fit_many,
) -> list[FitResult]:
    """Trains many agents at once, each with a run directory; progress is that of the first.

    Args:
        many: see `side_by_side`.
        run_dirs: of the members, in their order.
        record: called once nothing can be refused any more, to write down what will be done.
        stop: may ask all to end early; None asks at Ctrl-C or SIGTERM.
        fit: what trains them.
    """
    enable_compilation_cache()
    check_names(many.run.config.track)
    pairs = list(zip(map(keeping_two, many.members), run_dirs, strict=True))
    requested = StopRequest() if stop is None else nullcontext(stop)
    with requested as stopping, ExitStack() as stack:
        stack.enter_context(leave_mesh())  # the group has its own
        for member, run_dir in pairs:
            take_directory(run_dir.checkpoints, stack)
            check_checkpoints(member, run_dir.checkpoints)
        common = set.intersection(*(set(saved_steps(d.checkpoints)) for d in run_dirs))
        resumes_at = max(common, default=0)
        check_not_past(many.run, resumes_at)
        if record is not None:
            record()
        for run_dir in run_dirs:
            set_later_aside(run_dir.checkpoints, resumes_at)
        files, destinations = [], stack.enter_context(Destinations())
        for i, (member, run_dir) in enumerate(pairs):
            shown = member if i == 0 else without_progress(member)
            files.append(open_files(shown, run_dir, common, stack, destinations))
        results = fit(many, files, stopping, partial(_mark, run_dirs))
        for run_dir, result in zip(run_dirs, results, strict=True):
            note_session(run_dir, resumes_at, result, len(run_dirs))
        tell_endings(files, run_dirs, results)
        return results


def tell_endings(
    files: Sequence[MemberFiles], run_dirs: Sequence[RunDir], results: Sequence[FitResult]
) -> None:
    """Tells the members' trackers how each run ended, and which checkpoint is its best."""
    for each, run_dir, result in zip(files, run_dirs, results, strict=True):
        assert isinstance(each.tracker, Tee)
        each.tracker.status = how_ended(result)
        if run_dir.best_checkpoint is not None and not result.interrupted:
            each.tracker.log_file(run_dir.best_checkpoint)


def open_files(
    run: Run, run_dir: RunDir, common: set[int], stack: ExitStack, destinations: Destinations
) -> MemberFiles:
    """A member's trackers, saver and checkpoint to resume from, closed with the stack."""
    found = latest(run, run_dir.checkpoints, common)
    saver = make_saver(run, run_dir.checkpoints, run_dir)
    stack.callback(saver.close)
    tee = stack.enter_context(Tee(*own_trackers(run, run_dir, found, saver, destinations)))
    begin_tracking(run, found, tee)
    return MemberFiles(tee, saver, found)


def _mark(run_dirs: Sequence[RunDir], member: int, step: int, reason: str) -> None:
    mark_diverged(run_dirs[member], Divergence(step, reason))
    note_non_finite(run_dirs[member], step, reason)


def keeping_two(run: Run) -> Run:
    """The run with two checkpoints at least: a kill may come when some of many have a new one."""
    kept = max(2, run.config.max_checkpoints)
    return dataclasses.replace(run, config=dataclasses.replace(run.config, max_checkpoints=kept))


def without_progress(run: Run) -> Run:
    """The run without a progress bar."""
    return dataclasses.replace(run, config=dataclasses.replace(run.config, progress_bar=False))
