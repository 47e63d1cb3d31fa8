"""The host side of training: log, evaluate, save, call back, stop, in an ordinary `for`.

The device is never waited for without need: while it computes a chunk, the host handles the one
before. It waits for an evaluation, for a callback, which sees the state and the metrics of the same
step, and where something is saved.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from signal import Signals
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.runner.evaluation import unless_stopped
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.loop import Chunk, TrainState, empty_chunk
from vibe_rl.runner.resuming import Found
from vibe_rl.runner.rows import Pending, Row, RowWriter, Speedometer
from vibe_rl.runner.run import Run
from vibe_rl.runner.saving import Saver
from vibe_rl.runner.schedule import Stops
from vibe_rl.runner.timing import Timing
from vibe_rl.system.processes import greatest
from vibe_rl.system.signals import StopRequest, unless_interrupted
from vibe_rl.tracking.base import LogBackend, Tee
from vibe_rl.types import PyTree

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)
Callback = Callable[[int, PyTree, Row], object]
"""Called as `callback(step, agent_state, metrics)` after every row, once learning has begun.

The state is a copy of what acting needs: no replay is in it, and it may be kept.
If it returns False, Python's or an array's, and not merely nothing, the run ends there as if its
budget were used up."""


def is_false(answer: object) -> bool:
    """Whether it is a truth value, of Python or of an array without axes, and false."""
    is_array = isinstance(answer, np.bool_ | np.ndarray | jax.Array)
    return answer is False or (is_array and answer.dtype == bool and not answer.ndim and not answer)


@jax.jit
def copied_state(tree: PyTree) -> PyTree:
    """The same arrays in memory of their own, which no other program takes."""
    return jax.tree.map(jnp.copy, tree)


class FitResult(NamedTuple):
    """How a run ended."""

    state: TrainState
    step: int  # env steps taken
    updates: int
    history: dict[str, np.ndarray]  # one entry per update and metric; empty unless asked for
    evaluation: EvalMetrics | None  # the last one; of the state returned unless it ended early
    interrupted: bool  # whether it was asked to stop before its budget or its last evaluation
    diverged: str | None = None  # of one among many: what was not finite; nothing is evaluated then
    signal: int = 0  # the number of the one that asked it to stop, if one did
    seconds: dict[str, float] | None = None  # by what the host was doing; see `Timing`


@dataclass
class Host:
    """What is done between two chunks of a run, in this order: log, call back, save."""

    run: Run
    rows: RowWriter
    callback: Callback | None = None
    saver: Saver | None = None
    found: Found | None = None  # where the run resumes
    pending: Pending | None = None
    ended: bool = False  # whether the callback ended the run
    timing: Timing = field(default_factory=Timing)  # of many agents, the same for all

    def begin(self) -> tuple[TrainState | None, int]:
        """The state to resume with, if there is one, and the updates made before."""
        if self.run.config.log_times:
            self.rows.times = self.timing.times
        if self.found is None:
            return None, 0
        update = self.found.update
        self.rows.unfinished = list(self.found.unfinished)
        if not self.found.evaluation_is_cut:
            self.rows.evaluated = self.rows.logged = update
        self.rows.speedometer.restart(update * self.run.steps_per_update, time.perf_counter())
        return self.found.take(self.run), update

    def chunks(self, run: Run, state: TrainState, update: int) -> Iterator[tuple[Run, Chunk]]:
        """The chunks from `update` on, each with the run that it is of.

        An evaluation that was cut short comes first: it belongs to a chunk without updates.
        """
        if self.found is not None and self.found.evaluation_is_cut:
            yield run, empty_chunk(state)
        how, waiting = (self.longest, self.stops()), self.timing.waiting
        for chunk in run.chunks(state, *how, update, waiting=waiting):
            update += chunk.n_updates
            self.start_clock(chunk, update)
            yield run, chunk

    def longest(self, first: bool) -> int:
        """How many updates a chunk should have at most; processes agree, for clocks differ."""
        return 1 if first else greatest(self.rows.updates_at_once())

    def start_clock(self, chunk: Chunk, update: int) -> None:
        """Measures the speed anew where a program may just have been compiled."""
        if chunk.first:
            since = time.perf_counter()
            self.flush()  # which belongs to the speed before
            under_way = 0 if self.run.executor.waits else chunk.n_updates
            self.rows.speedometer.restart((update - under_way) * self.run.steps_per_update, since)

    def evaluate(
        self, run: Run, chunk: Chunk, update: int, stop: StopRequest
    ) -> EvalMetrics | None:
        """The evaluation that is due, unless none is or it is cut short."""
        if not run.due.evaluates_after(update):
            return None
        self.flush()
        return evaluate_apart(run, chunk, update, [self.rows.speedometer], self.timing, stop)

    def stops(self) -> Stops:
        """What a chunk may not cross, besides evaluations."""
        looks = self.callback is not None or self.run.config.log_times
        of_rows = [self.run.due.next_row] if looks else []
        return of_rows if self.saver is None else [*of_rows, self.saver.next_save]

    def after(self, chunk: Chunk, update: int, scores: EvalMetrics | None) -> bool:
        """Handles a chunk that may be under way; whether the run may continue."""
        self.observe(chunk, update, scores)
        if self.saver is not None:
            made_up_for = not chunk.n_updates and scores is not None
            if self.saver.due(update, scores) or made_up_for:
                self.save(chunk, update, scores)
        return not self.ended

    def observe(self, chunk: Chunk, update: int, scores: EvalMetrics | None) -> None:
        """Logs the chunk before, and this one too if there is a callback."""
        run = self.run
        self.flush()
        self.pending = Pending(chunk.metrics, chunk.n_updates, update, scores)
        if self.callback is not None:
            row = self.flush()
            if row and update > run.warmup_updates:
                acting = run.algorithm.portable(chunk.state.agent_state)
                answer = self.callback(update * run.steps_per_update, copied_state(acting), row)
                self.ended = is_false(answer)

    def save(self, chunk: Chunk, update: int, scores: EvalMetrics | None) -> None:
        """Saves what is logged and known to be finite."""
        self.flush()
        assert self.saver is not None
        replace = not chunk.n_updates
        with self.timing.within("save"):
            self.saver.save(update, chunk.state, self.rows.unfinished, scores, replace)

    def flush(self) -> Row:
        """Waits for the chunk whose metrics are not logged yet; its last row, or nothing."""
        pending, self.pending = self.pending, None
        if pending is not None:
            with self.timing.within("chunks"):
                jax.block_until_ready(pending.metrics)
        return self.rows(pending)

    def end(self, update: int, state: TrainState, signal: int) -> FitResult:
        """Logs and saves what is left; a row cut short only if no resumed run can complete it."""
        self.flush()
        run, rows, step = self.run, self.rows, update * self.run.steps_per_update
        evaluated = rows.evaluated == update
        scores = rows.evaluation if evaluated else None
        is_last = update == run.n_updates
        complete = is_last and (evaluated or not run.due.evaluates_after(update))
        if self.saver is None or complete:
            rows.close(update)
        if self.saver is not None:
            if signal:
                self.saver.say(f"{Signals(signal).name}: saving step {step:,} ...")
            with self.timing.within("save"):
                self.saver.finish(update, state, rows.unfinished, scores)
        return FitResult(
            state=state,
            step=step,
            updates=update,
            history=rows.table(),
            evaluation=rows.evaluation,
            interrupted=not (complete or self.ended),
            signal=signal,
            seconds=self.timing.totals(),
        )


@runtime_checkable
class AnyHost(Protocol[Result_co]):
    """The host's part in a run, or in many side by side."""

    @property
    def timing(self) -> Timing:
        """Where the time goes."""
        ...

    def begin(self) -> tuple[TrainState | None, int]:
        """The state to resume with, if there is one, and the updates made before."""
        ...

    def chunks(self, run: Run, state: TrainState, update: int) -> Iterator[tuple[Run, Chunk]]:
        """The chunks from `update` on, each with the run that it is of."""
        ...

    def evaluate(
        self, run: Run, chunk: Chunk, update: int, stop: StopRequest
    ) -> EvalMetrics | None:
        """The evaluation of a chunk's state that is due, unless none is or it is cut short."""
        ...

    def after(self, chunk: Chunk, update: int, scores: EvalMetrics | None) -> bool:
        """Handles a chunk and its evaluation; whether the run may continue."""
        ...

    def end(self, update: int, state: TrainState, signal: int) -> Result_co:
        """Handles what is left; how it ended, and which signal asked for it, if one did."""
        ...


def evaluate_apart(
    run: Run,
    chunk: Chunk,
    update: int,
    speedometers: Sequence[Speedometer],
    timing: Timing,
    stop: StopRequest,
) -> EvalMetrics | None:
    """The evaluation of a chunk's state, whose time no speedometer counts; None if it is cut."""
    with timing.within("chunks"):
        jax.block_until_ready(chunk.metrics)
    for speedometer in speedometers:
        speedometer(update * run.steps_per_update)
    began = time.perf_counter()
    evaluation = run.evaluation(chunk.state.agent_state, update)
    scores = unless_stopped(timing.evaluation(evaluation), stop)
    for speedometer in speedometers:
        speedometer.pause(time.perf_counter() - began)
    return scores


def fit(
    run: Run,
    tracker: LogBackend | None = None,
    callback: Callback | None = None,
    keep_history: bool = False,
    saver: Saver | None = None,
    stop: StopRequest | None = None,
    found: Found | None = None,
) -> FitResult:
    """Trains for the budget of a prepared run.

    Args:
        run: see `prepare`.
        tracker: gets rows of metrics, and of single episodes where the run reports them.
        callback: see `Callback`.
        keep_history: whether to keep every update's metrics in memory.
        saver: saves the run.
        stop: may ask the run to end early; None asks at Ctrl-C or SIGTERM.
        found: the checkpoint to resume from; see `vibe_rl.runner.resuming.latest`.

    Raises:
        NonFiniteLossError: a loss became NaN or infinite.
        TrainingInterrupted: at Ctrl-C or SIGTERM, if there is no `stop`.
    """
    rows = row_writer(run, tracker, keep_history)
    result = drive_chunks(run, Host(run, rows, callback, saver, found), stop)
    return result if stop is not None else unless_interrupted(result, result.signal)


def row_writer(run: Run, tracker: LogBackend | None, keep_history: bool = False) -> RowWriter:
    """What writes the run's rows, for nobody if there is no tracker."""
    return RowWriter(tracker or Tee(), run.due, run.algorithm.losses, keep_history)


def drive_chunks(run: Run, host: AnyHost[Result], stop: StopRequest | None = None) -> Result:
    """The one loop: a chunk on the device, then the host's part, until the budget is used up."""
    requested = StopRequest() if stop is None else nullcontext(stop)
    with jax.default_matmul_precision(run.config.matmul_precision), requested as stopping:
        restored, update = host.begin()
        with ExitStack() as stack:
            with host.timing.within("compile"):
                first = stack.enter_context(run.start(restored))
            state, restored = first, None  # whose memory is the run's now
            for current, chunk in host.timing.chunks(host.chunks(run, state, update)):
                update, state = update + chunk.n_updates, chunk.state
                scores = host.evaluate(current, chunk, update, stopping)
                may_continue = host.after(chunk, update, scores)
                if greatest(stopping.requested or not may_continue):
                    break
            return host.end(update, state, greatest(stopping.signal))
