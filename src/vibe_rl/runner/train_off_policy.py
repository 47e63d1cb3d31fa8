"""What `train_dqn` and `train_sac` share: training with rows in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vibe_rl.algorithms.off_policy import OffPolicy
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.fit import Callback
from vibe_rl.runner.run import prepare, prepare_together
from vibe_rl.runner.session import run_training
from vibe_rl.tracking.base import Tracker
from vibe_rl.types import PyTree


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

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Nothing."""

    def log_file(self, path: Any) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def train_off_policy(
    algorithm: OffPolicy,
    env: AnyEnvironment,
    env_params: PyTree,
    runner_config: RunnerConfig,
    *,
    eval_params: PyTree,
    callback: Callback | None,
    run_dir: RunDir | None,
    trackers: Sequence[Tracker],
) -> tuple[Any, list[float], list[dict[str, Any]]]:
    """The final agent, every episode's return, and the rows of metrics."""
    what = algorithm, env, env_params, runner_config, algorithm.replay.num_envs
    run = prepare_together(lambda: prepare(*what, eval_params=eval_params))
    rows = Rows(run.warmup_updates * run.steps_per_update)
    files = {"run_dir": run_dir, "trackers": [rows, *trackers]}
    result = run_training(run, callback=callback, **files)
    return result.state.agent_state, rows.episode_returns, rows.metrics_log
