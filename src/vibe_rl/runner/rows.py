"""From metrics on the device to rows; a loss that is not finite stops the run here."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from vibe_rl.env.reductions import column
from vibe_rl.errors import EnvironmentFaultError, NonFiniteLossError
from vibe_rl.runner.env_faults import HUGE, EnvFaults, check_faults, first_step
from vibe_rl.runner.episodes import EpisodeSummary, own_metrics
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.loop import MetricTable
from vibe_rl.runner.schedule import Timetable
from vibe_rl.tracking.base import LogBackend

WINDOW, WORTH_MEASURING = 0.5, 0.05  # seconds
CHUNK_SECONDS = 0.2
COUNTERS = ("gradient_steps",)
"""Metrics of which a row has the last instead of the mean."""
Row = dict[str, Any]
"""Named metrics of one moment of a run."""


class Pending(NamedTuple):
    """A chunk whose results may still be under way."""

    metrics: MetricTable
    n_updates: int
    update: int  # after the chunk
    evaluation: EvalMetrics | None


@dataclass
class Speedometer:
    """Env steps per second over the last `WINDOW` seconds or so, compilations and pauses apart.

    Until a time worth measuring is over, it is that of all the time since the restart.
    """

    since: float = field(default_factory=time.perf_counter)
    step: int = 0
    speed: float | None = None  # None where nothing was measured yet
    settled: bool = False  # whether it was measured over a time worth measuring

    def restart(self, step: int, since: float) -> None:
        """Begins to measure at `step`, at a moment of `time.perf_counter`, and forgets the past."""
        self.since, self.step, self.speed, self.settled = since, step, None, False

    def pause(self, seconds: float) -> None:
        """Leaves out the last seconds, in which no step was made."""
        self.since += seconds

    def __call__(self, step: int) -> float | None:
        """The speed at `step`; short moments are too uncertain to replace a settled figure."""
        elapsed = time.perf_counter() - self.since
        if step > self.step and (elapsed >= WINDOW or not self.settled):
            self.speed = (step - self.step) / max(elapsed, 1e-9)
            self.settled = elapsed >= WORTH_MEASURING
            if elapsed >= WINDOW:
                self.since, self.step = self.since + elapsed, step
        return self.speed


@dataclass
class RowWriter:
    """Turns finished chunks into rows of metrics for a tracker."""

    tracker: LogBackend
    due: Timetable
    losses: Sequence[str]
    keep_history: bool = False
    history: list[dict[str, np.ndarray]] = field(default_factory=list)  # columns of each chunk
    unfinished: list[Row] = field(default_factory=list)  # columns of the row that is not full yet
    huge_reward: float = math.inf  # the first env step, from 0, that had one; see `env_faults`
    logged: int = 0  # the update with which the last row ended
    evaluation: EvalMetrics | None = None  # the last one
    evaluated: int | None = None  # the update that it belongs to
    speedometer: Speedometer = field(default_factory=Speedometer)
    times: Callable[[], dict[str, float]] = dict  # seconds so far; rows have those since the last
    told: dict[str, float] = field(default_factory=dict)  # what it was at the row before

    @property
    def steps_per_update(self) -> int:
        """Env steps, over all envs."""
        return self.due.steps_per_update

    def __call__(self, pending: Pending | None) -> Row:
        """Waits for the chunk, logs the rows that end in it and returns the last, or nothing."""
        if pending is None:
            return {}
        if not pending.n_updates:
            scores = pending.evaluation
            known = scores is None or self.evaluated == pending.update
            return {} if known else self._finish(pending.update, scores)
        begin = first = pending.update - pending.n_updates
        columns = pending.metrics.columns(pending.n_updates)
        self.speedometer(pending.update * self.steps_per_update)
        if self.keep_history:
            kept = {n: x for n, x in columns.items() if n not in EnvFaults._fields}
            self.history.append(kept)
        row: Row = {}
        while begin < pending.update:
            row_end = self.due.next_row(begin)
            end = min(row_end, pending.update)
            here = slice(begin - first, end - first)
            part = {name: column[here] for name, column in columns.items()}
            check_faults(part, begin, self.steps_per_update)
            huge = first_step(part["first_huge_reward"], begin, self.steps_per_update)
            self.huge_reward = min(self.huge_reward, huge)
            check_finite(part, begin, self.steps_per_update, self.losses, self.huge_reward)
            self.unfinished.append({n: x for n, x in part.items() if n not in EnvFaults._fields})
            self._log_episodes(pending.metrics, here, begin)
            evaluation = pending.evaluation if end == pending.update else None
            complete = end == row_end and not self.due.is_cut(end, evaluation)
            row = self._finish(end, evaluation) if complete else {}
            begin = end
        return row

    def _log_episodes(self, metrics: MetricTable, updates: slice, first: int) -> None:
        """A row for each episode that ended, where the loop reports single ones."""
        steps, figures = metrics.ended(updates)
        for i, step in enumerate(steps.tolist()):
            row: Row = {"step": first * self.steps_per_update + step + 1}
            row |= {name: float(values[i]) for name, values in figures.items()}
            row["episode_length"] = int(row["episode_length"])
            self.tracker.log(row, row["step"])

    def _finish(self, update: int, evaluation: EvalMetrics | None) -> Row:
        """Logs the row that ends with `update`."""
        row: Row = {"step": update * self.steps_per_update, "update": update}
        row |= summarize_updates(self.unfinished)
        if self.speedometer.speed is not None:
            row["steps_per_second"] = self.speedometer.speed
        before, self.told = self.told, self.times()
        row |= {name: seconds - before.get(name, 0.0) for name, seconds in self.told.items()}
        if evaluation is not None:
            scores: EvalMetrics = jax.device_get(evaluation)
            self.evaluation, self.evaluated = scores, update
            row |= evaluation_row(scores)
        self.tracker.log(row, row["step"])
        self.logged = update
        if not self.due.ends_early(update):
            self.unfinished = []
        return row

    def close(self, update: int) -> None:
        """Logs what an interrupt left of a row."""
        if self.unfinished and self.logged < update:
            self._finish(update, None)

    def updates_at_once(self) -> int:
        """How many updates take about `CHUNK_SECONDS`: long enough to dispatch them for nothing.

        One while the speed is not known.
        """
        speed = self.speedometer.speed
        return 1 if speed is None else int(CHUNK_SECONDS * speed / self.steps_per_update)

    def table(self) -> dict[str, np.ndarray]:
        """The whole history, an entry per metric and update; NaN where it was not measured."""
        names = dict.fromkeys(name for columns in self.history for name in columns)
        lengths = [len(next(iter(columns.values()))) for columns in self.history]
        parts = list(zip(self.history, lengths, strict=True))
        return {
            name: np.concatenate(
                [part.get(name, np.full(n, np.nan, np.float32)) for part, n in parts]
            )
            for name in names
        }


def check_finite(
    columns: Mapping[str, np.ndarray],
    first: int,
    steps_per_update: int,
    losses: Sequence[str],
    huge_reward: float = math.inf,
) -> None:
    """Raises NonFiniteLossError naming the first update whose loss is NaN or infinite.

    After a `huge_reward`, at that env step, it is an EnvironmentFaultError.
    """
    found = {name: columns[name] for name in losses if name in columns}
    bad = {name: np.flatnonzero(~np.isfinite(column)) for name, column in found.items()}
    rows = {name: int(where[0]) for name, where in bad.items() if where.size}
    if not rows:
        return
    name = min(rows, key=lambda name: rows[name])
    update = first + rows[name] + 1
    told = (
        f"{name} became {columns[name][rows[name]]} at update {update} (env step "
        f"{update * steps_per_update})"
    )
    if huge_reward < update * steps_per_update:
        raise EnvironmentFaultError(
            f"{told}, after a reward beyond {HUGE:g} at env step {int(huge_reward) + 1}: scale "
            "rewards, as RewardScaleWrapper does; what was written is intact."
        )
    raise NonFiniteLossError(f"{told}: try a smaller learning rate; what was written is intact.")


def summarize_updates(parts: Sequence[Mapping[str, np.ndarray]]) -> Row:
    """Means over some updates; episodes are weighed one by one."""
    names = dict.fromkeys(name for part in parts for name in part)
    columns = {n: np.concatenate([part[n] for part in parts if n in part]) for n in names}
    sums = {name: columns.pop(name) for name in EpisodeSummary._fields}
    metrics = {name: float(x.mean()) for name, x in columns.items() if column(name) is None}
    metrics |= {name: float(columns[name][-1]) for name in COUNTERS if name in columns}
    return metrics | own_metrics(parts) | _episode_metrics(sums)


def _episode_metrics(sums: Mapping[str, np.ndarray]) -> Row:
    """Means and extremes from the sums of `EpisodeSummary`; only how many if none ended."""
    episodes = int(sums["episodes"].sum())
    counts = {"episodes": episodes, "episodes_per_update": episodes / len(sums["episodes"])}
    if not episodes:
        return counts
    return {
        **counts,
        "episode_return_mean": float(sums["return_sum"].sum()) / episodes,
        "episode_length_mean": float(sums["length_sum"].sum()) / episodes,
        "episode_return_min": float(sums["return_min"].min()),
        "episode_return_max": float(sums["return_max"].max()),
    }


def evaluation_row(evaluation: EvalMetrics) -> Row:
    """An evaluation as metrics."""
    figures = {
        "eval_return": evaluation.mean_return,
        "eval_return_std": evaluation.std_return,
        "eval_length": evaluation.mean_length,
        "eval_finished": np.mean(evaluation.finished),
        "q_start": evaluation.q_start,
        "return_start": evaluation.return_start,
        **{f"eval_{name}": figure for name, figure in evaluation.metrics.items()},
    }
    return {name: float(figure) for name, figure in figures.items() if figure is not None}
