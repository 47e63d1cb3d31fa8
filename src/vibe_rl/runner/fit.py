"""The host side of training: log, evaluate, call back, stop, in the body of an ordinary `for`.

The device is never waited for without need: while it computes a chunk, the host handles the one
before. Only a callback, which sees the state and the metrics of the same step, makes it wait.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import numpy as np

from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.loop import Chunk, TrainState
from vibe_rl.runner.rows import AnyTable, Pending, Report, Row
from vibe_rl.runner.run import Run
from vibe_rl.runner.saving import Saver
from vibe_rl.runner.schedule import Stops
from vibe_rl.system.processes import greatest
from vibe_rl.system.signals import StopRequest
from vibe_rl.tracking.base import Tee, Tracker
from vibe_rl.types import PyTree

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)
Callback = Callable[[int, PyTree, Row], None]
"""Called as `callback(step, agent_state, metrics)` after every row, once learning has begun."""


class FitResult(NamedTuple):
    """How a run ended."""

    state: TrainState
    step: int  # env steps taken
    updates: int
    history: dict[str, np.ndarray]  # one entry per update and metric; empty unless asked for
    evaluation: EvalMetrics | None  # the last one; of the state returned unless interrupted
    interrupted: bool  # whether a signal ended it before its budget
    diverged: str | None = None  # of one among many: what was not finite; nothing is evaluated then


@runtime_checkable
class AnyChunk(Protocol):
    """What the host sees of a chunk: of a run of its own, or of one among many."""

    @property
    def state(self) -> TrainState:
        """See `Chunk.state`."""
        ...

    @property
    def metrics(self) -> AnyTable:
        """See `Chunk.metrics`."""
        ...

    @property
    def n_updates(self) -> int:
        """See `Chunk.n_updates`."""
        ...

    @property
    def first(self) -> bool:
        """See `Chunk.first`."""
        ...


@dataclass
class Host:
    """What is done between two chunks, in this order: log, call back, save."""

    run: Run
    report: Report
    callback: Callback | None
    saver: Saver | None
    pending: Pending | None = None

    @property
    def restore(self) -> Callable[[], TrainState] | None:
        """What gives the state to go on from, if there is one."""
        return self.saver.restore if self.saver is not None and self.saver.resuming else None

    def begin(self) -> int:
        """How many updates have been made before."""
        if self.saver is None:
            return 0
        progress = self.saver.progress()
        self.report.unfinished = list(progress.unfinished)
        return progress.update

    def longest(self) -> int:
        """How many updates a chunk should have at most; processes agree, for clocks differ."""
        return greatest(self.report.updates_at_once())

    def stops(self) -> Stops:
        """What a chunk may not go on past, besides evaluations."""
        of_rows = [] if self.callback is None else [self.run.next_row]
        return of_rows if self.saver is None else [*of_rows, self.saver.next_save]

    def after(self, chunk: AnyChunk, update: int, scores: EvalMetrics | None) -> None:
        """Handles a chunk that may be under way, and waits only for the one before if it can."""
        self.observe(chunk, update, scores)
        if self.saver is not None and self.saver.due(update, scores):
            self.save(chunk.state, update, scores)

    def observe(self, chunk: AnyChunk, update: int, scores: EvalMetrics | None) -> None:
        """Logs the chunk before, and this one too if there is a callback."""
        run = self.run
        if chunk.first:  # the clock does not run while training is compiled
            under_way = 0 if run.waits else chunk.n_updates
            self.report.speedometer.restart((update - under_way) * run.steps_per_update)
        self.flush()
        self.pending = Pending(chunk.metrics, chunk.n_updates, update, scores)
        if self.callback is not None:
            row = self.flush()
            if row and update > run.warmup_updates:
                self.callback(update * run.steps_per_update, chunk.state.agent_state, row)

    def save(self, state: TrainState, update: int, scores: EvalMetrics | None) -> None:
        """Saves what is logged and known to be finite."""
        self.flush()
        assert self.saver is not None
        self.saver.save(update, state, self.report.unfinished, scores)

    def flush(self) -> Row:
        """Waits for the chunk whose metrics are not logged yet; its last row, or nothing."""
        pending, self.pending = self.pending, None
        return self.report(pending)

    def end(self, update: int, state: TrainState) -> FitResult:
        """Logs and saves what is left; a row cut short only if no resumed run can end it."""
        self.flush()
        run, report = self.run, self.report
        if self.saver is None:
            report.close(update)
        else:
            scores = report.evaluation if run.evaluates_after(update) else None
            self.saver.finish(update, state, report.unfinished, scores)
        return FitResult(
            state=state,
            step=update * run.steps_per_update,
            updates=update,
            history=report.table(),
            evaluation=report.evaluation,
            interrupted=update < run.n_updates,
        )


@runtime_checkable
class AnyHost(Protocol[Result_co]):
    """The host's part in a run, or in many side by side."""

    @property
    def restore(self) -> Callable[[], TrainState] | None:
        """What gives the state to go on from, if there is one."""
        ...

    def begin(self) -> int:
        """How many updates have been made before."""
        ...

    def longest(self) -> int:
        """How many updates a chunk should have at most."""
        ...

    def stops(self) -> Stops:
        """What a chunk may not go on past, besides evaluations."""
        ...

    def after(self, chunk: Chunk, update: int, scores: EvalMetrics | None) -> None:
        """Handles a chunk and what was evaluated after it."""
        ...

    def end(self, update: int, state: TrainState) -> Result_co:
        """Handles what is left, and tells how it ended."""
        ...


def fit(
    run: Run,
    tracker: Tracker | None = None,
    callback: Callback | None = None,
    keep_history: bool = False,
    saver: Saver | None = None,
    stop: StopRequest | None = None,
) -> FitResult:
    """Trains for the budget of a prepared run.

    Args:
        run: see `prepare`.
        tracker: gets rows of metrics, and of single episodes where the algorithm has a replay.
        callback: see `Callback`.
        keep_history: whether to keep every update's metrics in memory.
        saver: saves the run, and begins where its latest checkpoint stands if it is to resume.
        stop: may ask the run to end early; None asks at Ctrl-C or SIGTERM.

    Raises:
        NonFiniteLossError: a loss became NaN or infinite.
    """
    return drive(run, Host(run, report_for(run, tracker, keep_history), callback, saver), stop)


def report_for(run: Run, tracker: Tracker | None, keep_history: bool = False) -> Report:
    """What logs a run."""
    rows = run.steps_per_update, run.next_row, run.ends_early
    return Report(tracker or Tee(), *rows, run.off_policy is not None, keep_history)


def drive(run: Run, host: AnyHost[Result], stop: StopRequest | None = None) -> Result:
    """The one loop: a chunk on the device, then the host's part, until the budget is used up."""
    if host.restore is None:  # else it is in memory already
        run.check_memory()
    asked = StopRequest() if stop is None else nullcontext(stop)
    precision = jax.default_matmul_precision(run.config.matmul_precision)
    with precision, asked as stopping, run.started(host.restore) as first:
        state, update = first, host.begin()
        for chunk in run.chunks(state, host.longest, host.stops(), update):
            update, state = update + chunk.n_updates, chunk.state
            host.after(chunk, update, run.evaluate(state.agent_state, update))
            if greatest(stopping.requested):
                break
        return host.end(update, state)
