"""From the device's numbers to rows of metrics; a loss that is not finite stops the run here."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

from vibe_rl.errors import NonFiniteLossError
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.loop import MetricTable
from vibe_rl.statistics import EpisodeSummary
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
    names: tuple[str, ...] = ()
    history: list[np.ndarray] = field(default_factory=list)  # [updates, names] of each chunk
    evaluation: EvalMetrics | None = None
    speedometer: Speedometer = field(default_factory=Speedometer)

    def __call__(self, pending: Pending | None) -> Row:
        """Waits for the chunk, logs its rows and returns the last; None only starts the clock."""
        if pending is None:
            self.speedometer.start()
            return {}
        rows, self.names = pending.metrics.on_host(pending.n_updates), pending.metrics.names
        first = pending.update - pending.n_updates
        speed = self.speedometer(pending.update * self.steps_per_update)
        if self.keep_history:
            self.history.append(rows)
        row: Row = {}
        for begin, end in self._rows(first, pending.update):
            part = rows[begin - first : end - first]
            check_finite(part, self.names, begin, self.steps_per_update)
            row = {"step": end * self.steps_per_update, "update": end}
            row |= summarize(part, self.names)
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
        if not self.history:
            return {}
        return dict(zip(self.names, np.concatenate(self.history).T, strict=True))


def check_finite(rows: np.ndarray, names: Sequence[str], first: int, steps_per_update: int) -> None:
    """Raises NonFiniteLossError naming the first update whose loss is NaN or infinite."""
    losses = [i for i, name in enumerate(names) if name.endswith("loss")]
    bad = np.argwhere(~np.isfinite(rows[:, losses]))
    if bad.size:
        row, column = bad[0]
        update = first + int(row) + 1
        raise NonFiniteLossError(
            f"{names[losses[column]]} became {rows[row, losses[column]]} at update {update} (env "
            f"step {update * steps_per_update}): try a smaller lr; what was written is intact."
        )


def summarize(rows: np.ndarray, names: Sequence[str]) -> Row:
    """Means over some updates; episodes are weighed one by one."""
    metrics = dict(zip(names, rows.mean(0).tolist(), strict=True))
    for name in EpisodeSummary._fields:
        del metrics[name]
    return metrics | episode_metrics(rows, names)


def episode_metrics(rows: np.ndarray, names: Sequence[str]) -> Row:
    """What the sums of `EpisodeSummary` come to; only their number if no episode ended."""
    sums = {name: rows[:, names.index(name)] for name in EpisodeSummary._fields}
    episodes = int(sums["episodes"].sum())
    if not episodes:
        return {"episodes": 0}
    return {
        "episodes": episodes,
        "episode_return": float(sums["return_sum"].sum()) / episodes,
        "episode_length": float(sums["length_sum"].sum()) / episodes,
        "episode_return_min": float(sums["return_min"].min()),
        "episode_return_max": float(sums["return_max"].max()),
    }


def evaluation_row(evaluation: EvalMetrics) -> Row:
    """An evaluation as metrics."""
    return {
        "eval_return": float(evaluation.mean_return),
        "eval_return_std": float(evaluation.std_return),
        "eval_length": float(evaluation.mean_length),
        "eval_finished": float(np.mean(evaluation.finished)),
    }
