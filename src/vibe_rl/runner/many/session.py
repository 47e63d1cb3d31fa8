"""Many runs with their files and words around them: what `runner.session` is for one."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial

from vibe_rl.checkpoint import saved_steps
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import Divergence, mark_diverged
from vibe_rl.runner.fit import FitResult
from vibe_rl.runner.many.fit import fit_many
from vibe_rl.runner.many.runs import ManyRuns
from vibe_rl.runner.resuming import check_checkpoints, set_later_aside
from vibe_rl.runner.run import Run
from vibe_rl.runner.session import make_saver, settings, trackers
from vibe_rl.system.lock import locked
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.system.signals import StopRequest
from vibe_rl.tracking.base import Tee


def run_many(
    run: ManyRuns,
    run_dirs: Sequence[RunDir],
    record: Callable[[], object] | None = None,
    stop: StopRequest | None = None,
    fit: Callable[..., list[FitResult]] = fit_many,
) -> list[FitResult]:
    """Trains many agents at once, each with a run directory; progress is that of the first.

    `stop` may ask all to end early; None asks at Ctrl-C or SIGTERM. `fit` is what trains them.
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
        return fit(run, tees, savers, stopping, partial(_mark, run_dirs))


def _mark(run_dirs: Sequence[RunDir], member: int, step: int, reason: str) -> None:
    mark_diverged(run_dirs[member], Divergence(step, reason))


def keeping_two(run: Run) -> Run:
    """The run with two checkpoints at least: a kill may come when some of many have a new one."""
    kept = max(2, run.config.max_checkpoints)
    return dataclasses.replace(run, config=dataclasses.replace(run.config, max_checkpoints=kept))


def quiet(run: Run) -> Run:
    """The run without a progress bar."""
    return dataclasses.replace(run, config=dataclasses.replace(run.config, progress_bar=False))
