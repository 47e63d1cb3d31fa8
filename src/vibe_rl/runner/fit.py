"""The host side of training: log, evaluate, call back, stop, in the body of an ordinary `for`.

The device is never waited for without need: while it computes a chunk, the host handles the one
before. Only a callback, which sees the state and the metrics of the same step, makes it wait.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.interrupt import StopRequest
from vibe_rl.runner.loop import TrainState
from vibe_rl.runner.prepare import Run
from vibe_rl.runner.report import Pending, Report, Row
from vibe_rl.tracking.base import Tee, Tracker
from vibe_rl.types import PyTree

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


def fit(
    run: Run,
    tracker: Tracker | None = None,
    callback: Callback | None = None,
    keep_history: bool = False,
) -> FitResult:
    """Trains for the budget of a prepared run.

    Args:
        run: see `prepare`.
        tracker: gets rows of metrics, and of single episodes where the algorithm has a replay.
        callback: see `Callback`.
        keep_history: whether to keep every update's metrics in memory.

    Raises:
        NonFiniteLossError: a loss became NaN or infinite.
    """
    each_episode = run.off_policy is not None
    run.check_memory()
    report = Report(
        tracker or Tee(), run.steps_per_update, run.next_row, each_episode, keep_history
    )
    precision = jax.default_matmul_precision(run.config.matmul_precision)
    with precision, StopRequest() as stop, run.started() as first:
        state, update, pending = first, 0, None
        for chunk in run.chunks(state, report.updates_at_once, callback is not None):
            update, state = update + chunk.n_updates, chunk.state
            scores = run.evaluate(state.agent_state, update)
            if chunk.first:  # the clock does not run while training is compiled
                under_way = 0 if run.waits else chunk.n_updates
                report.speedometer.restart((update - under_way) * run.steps_per_update)
            report(pending)  # the chunk before this one, which the device has finished
            pending = Pending(chunk.metrics, chunk.n_updates, update, scores)
            if callback is not None:
                row, pending = report(pending), None
                if row and update > run.warmup_updates:
                    callback(update * run.steps_per_update, state.agent_state, row)
            if stop.requested:
                break
        report(pending)
        report.close(update)
    return FitResult(
        state=state,
        step=update * run.steps_per_update,
        updates=update,
        history=report.table(),
        evaluation=report.evaluation,
        interrupted=update < run.n_updates,
    )
