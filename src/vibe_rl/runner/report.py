"""From the device's numbers to rows of metrics; a loss that is not finite stops the run here."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

from vibe_rl.errors import NonFiniteLossError
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.loop import MetricTable, episode_metrics
from vibe_rl.tracking.base import Tracker

WINDOW = 0.5  # seconds
CHUNK_SECONDS = 0.2
Row = dict[str, Any]
"""Named numbers of one moment of a run."""


class Pending(NamedTuple):
    """A chunk whose results may still be under way."""

    metrics: MetricTable
    n_updates: int
    update: int  # after the chunk
    evaluation: EvalMetrics | None


@dataclass
class Speedometer:
    """Env steps per second over the last `WINDOW` seconds or so, without the first compilation."""

    since: float = field(default_factory=time.perf_counter)
    step: int = 0
    speed: float = 0.0
    started: bool = False

    def start(self) -> None:
        """Begins to measure; a second call does nothing."""
        if not self.started:
            self.since, self.started = time.perf_counter(), True

    def __call__(self, step: int) -> float:
        """The speed at `step`; short moments are too uncertain to replace the last figure."""
        elapsed = time.perf_counter() - self.since
        if elapsed >= WINDOW or self.speed == 0.0:
            self.speed = (step - self.step) / max(elapsed, 1e-9)
        if elapsed >= WINDOW:
            self.since, self.step = time.perf_counter(), step
        return self.speed


@dataclass
class Report:
    """Turns finished chunks into rows of metrics for a tracker, and remembers what was asked."""

    tracker: Tracker
    steps_per_update: int
    ends_row: Callable[[int], bool]  # whether a row ends with this update
    keep_history: bool = False
    history: list[dict[str, np.ndarray]] = field(default_factory=list)
    evaluation: EvalMetrics | None = None
    speedometer: Speedometer = field(default_factory=Speedometer)

    def __call__(self, pending: Pending | None) -> Row:
        """Waits for the chunk, logs its rows and returns the last; None only starts the clock."""
        if pending is None:
            self.speedometer.start()
            return {}
        table = pending.metrics.columns(pending.n_updates)
        first = pending.update - pending.n_updates
        speed = self.speedometer(pending.update * self.steps_per_update)
        if self.keep_history:
            self.history.append(table)
        row: Row = {}
        for begin, end in self._rows(first, pending.update):
            part = {name: column[begin - first : end - first] for name, column in table.items()}
            check_finite(part, begin, self.steps_per_update)
            row = {"step": end * self.steps_per_update, "update": end, **summarize(part)}
            row["steps_per_second"] = speed
            if end == pending.update and pending.evaluation is not None:
                self.evaluation = jax.device_get(pending.evaluation)
                row |= evaluation_row(pending.evaluation)
            self.tracker.log(row, row["step"])
        return row

    def _rows(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The updates (begin, end] of each row of a chunk."""
        ends = [u for u in range(first + 1, last + 1) if u == last or self.ends_row(u)]
        yield from pairwise([first, *ends])

    def updates_at_once(self) -> int:
        """How many updates take about `CHUNK_SECONDS`: long enough to dispatch them for nothing."""
        return int(CHUNK_SECONDS * self.speedometer.speed / self.steps_per_update)

    def table(self) -> dict[str, np.ndarray]:
        """The whole history, one array per metric with an entry per update."""
        names = self.history[0] if self.history else ()
        return {name: np.concatenate([part[name] for part in self.history]) for name in names}


def check_finite(table: Mapping[str, np.ndarray], first: int, steps_per_update: int) -> None:
    """Raises NonFiniteLossError naming the first update whose loss is NaN or infinite."""
    for name in (name for name in table if name.endswith("loss")):
        bad = np.flatnonzero(~np.isfinite(table[name]))
        if bad.size:
            update = first + int(bad[0]) + 1
            raise NonFiniteLossError(
                f"{name} became {table[name][bad[0]]} at update {update} (env step "
                f"{update * steps_per_update}): try a smaller lr; what was written is intact."
            )


def summarize(table: Mapping[str, np.ndarray]) -> Row:
    """Means over the updates of a chunk; episodes are weighed one by one."""
    metrics = episode_metrics(dict(table))
    return {k: float(np.mean(v)) if np.ndim(v) else v for k, v in metrics.items()}


def evaluation_row(evaluation: EvalMetrics) -> Row:
    """An evaluation as metrics."""
    return {
        "eval_return": float(evaluation.mean_return),
        "eval_return_std": float(evaluation.std_return),
        "eval_length": float(evaluation.mean_length),
        "eval_finished": float(np.mean(evaluation.finished)),
    }
