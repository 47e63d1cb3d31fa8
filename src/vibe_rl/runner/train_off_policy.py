"""What `train_dqn` and `train_sac` share: training with rows in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vibe_rl.run_dir.directory import RunDir
from vibe_rl.runner.fit import Callback
from vibe_rl.runner.history import earlier_rows
from vibe_rl.runner.run import Run
from vibe_rl.runner.session import open_session
from vibe_rl.system.signals import unless_interrupted
from vibe_rl.tracking.base import LogBackend, Tracker

Result = TypeVar("Result")


@dataclass
class Rows(Tracker):
    """A tracker that keeps single episodes' returns in memory, and rows once learning has begun."""

    warmup_steps: int
    episode_returns: list[float] = field(default_factory=list)
    metrics_log: list[dict[str, Any]] = field(default_factory=list)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Keeps one row."""
        if "episode_return" in metrics:
            self.episode_returns.append(metrics["episode_return"])
        elif step > self.warmup_steps:
            self.metrics_log.append(dict(metrics))


def train_off_policy(
    run: Run,
    kind: Callable[[Any, list[float], list[dict[str, Any]]], Result],
    callback: Callback | None,
    run_dir: RunDir | None,
    trackers: Sequence[LogBackend],
) -> Result:
    """The result `kind(agent_state, episode_returns, metrics_log)` of a whole run.

    Rows of the calls before are read from the log, if the run resumes and has one.
    """
    warmup_steps = run.warmup_updates * run.steps_per_update
    earlier, rows = Rows(warmup_steps), Rows(warmup_steps)
    with open_session(run, run_dir, callback, trackers) as session:
        ended = session.train(callback, [rows, *trackers])
    for row in earlier_rows(session):
        earlier.log(row, row["step"])
    returns = earlier.episode_returns + rows.episode_returns
    log = earlier.metrics_log + rows.metrics_log
    return unless_interrupted(kind(ended.state.agent_state, returns, log), session.signal)
