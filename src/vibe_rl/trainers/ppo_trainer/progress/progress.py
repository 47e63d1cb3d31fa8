"""What a training has seen so far: the lists and counters that its results are made of.

All of it follows from the rows of the run's log, so a resumed training reads them again.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.trainers.ppo_trainer.progress.monitors import NOTHING_YET, Monitor, Status

GRAD_NORM = "grad_norm."
"""What the names of single arrays' norms begin with."""
LOSSES = ("policy_loss", "value_loss", "entropy_loss", "total_loss")


class Episode(NamedTuple):
    """A finished one."""

    episode_return: float
    length: int  # env steps


@dataclass
class Progress:
    """Everything up to now, in plain Python numbers."""

    monitor: Monitor
    episode_rewards: list[float] = field(default_factory=list)
    episode_lengths: list[int] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=lambda: {n: [] for n in LOSSES})
    kl_divergences: list[float] = field(default_factory=list)
    gradient_norms: dict[str, list[float]] = field(default_factory=dict)
    eval_rewards: list[float] = field(default_factory=list)
    eval_stds: list[float] = field(default_factory=list)
    eval_episodes_at: list[int] = field(default_factory=list)
    step_count: int = 0  # env steps of episodes that have ended
    updates: int = 0
    status: Status = NOTHING_YET
    stop: bool = False  # whether the monitor has ever said so
    began: float = field(default_factory=time.perf_counter)
    earlier: float = 0.0  # seconds of the training before it was resumed

    @property
    def episode_count(self) -> int:
        """Episodes that have ended."""
        return len(self.episode_rewards)

    @property
    def wall_time(self) -> float:
        """Seconds of the training so far, as the run's log counts them."""
        return self.earlier + time.perf_counter() - self.began

    @property
    def rolling_reward(self) -> float | None:
        """The mean of the monitor's window; None before there is a whole one."""
        return self.status.rolling

    def add(self, episodes: Sequence[Episode], row: Mapping[str, Any]) -> dict[str, Any]:
        """Takes note of an update, and returns its `step_metrics`.

        Args:
            episodes: those that ended in it.
            row: the library's metrics of it, with those of an evaluation if one belongs to it.

        Raises:
            ValueError: a return is NaN.
        """
        for episode in episodes:
            self.episode_rewards.append(episode.episode_return)
            self.episode_lengths.append(episode.length)
            self.step_count += episode.length
        metrics = self._metrics(episodes, row)
        self.updates += 1
        for name in LOSSES:
            self.losses[name].append(metrics[name])
        self.kl_divergences.append(metrics["kl_divergence"])
        for name, norm in metrics.get("grad_norms", {}).items():
            self.gradient_norms.setdefault(name, []).append(norm)
        if "eval_return" in row:
            self.evaluated(row["eval_return"], row["eval_return_std"])
        for episode in episodes:
            self.status = self.monitor.update(episode.episode_return)
            self.stop = self.stop or self.status.stop
        return metrics | {"rolling_reward": self.status.rolling}

    def evaluated(self, mean: float, std: float) -> None:
        """Takes note of an evaluation after the episodes so far."""
        self.eval_rewards.append(mean)
        self.eval_stds.append(std)
        self.eval_episodes_at.append(self.episode_count)

    def _metrics(self, episodes: Sequence[Episode], row: Mapping[str, Any]) -> dict[str, Any]:
        returns = [episode.episode_return for episode in episodes]
        lengths = [episode.length for episode in episodes]
        norms = {n.removeprefix(GRAD_NORM): x for n, x in row.items() if n.startswith(GRAD_NORM)}
        return {
            "episode_rewards": returns,
            "episode_lengths": lengths,
            "avg_reward": mean_or_none(returns),
            "avg_length": mean_or_none(lengths),
            "total_steps": self.step_count,
            "episode_reward": returns[-1] if returns else None,
            "episode_length": lengths[-1] if lengths else None,
            "policy_loss": row["actor_loss"],
            "value_loss": 2 * row["critic_loss"],
            "entropy_loss": -row["entropy"],
            "total_loss": row["total_loss"],
            "entropy": row["entropy"],
            "kl_divergence": row["approx_kl"],
            "approx_kl": row["approx_kl"],
            "kl_k1": row["kl_k1"],
            "clipfrac": row["clip_fraction"],
            "grad_norm": row["grad_norm"],
            "explained_variance": row["explained_variance"],
            "learning_rate": row["lr"],
            "steps_per_second": row.get("steps_per_second"),
            **({"grad_norms": norms} if norms else {}),
        }

    def best_evaluation(self, trained: bool = False) -> tuple[float | None, int | None]:
        """The best mean return of an evaluation, and after how many episodes it was first seen.

        Args:
            trained: leaves out the evaluation before the training.
        """
        pairs = list(zip(self.eval_rewards, self.eval_episodes_at, strict=True))
        pairs = [(reward, episode) for reward, episode in pairs if episode or not trained]
        return max(pairs, key=lambda pair: pair[0], default=(None, None))

    def convergence(self) -> dict[str, Any]:
        """What callbacks are told of the monitor."""
        monitor = self.monitor
        return {
            **self.status._asdict(),
            "best": monitor.best,
            "reached_episode": monitor.reached_episode,
            "convergence_episode": monitor.convergence_episode,
        }


def mean_or_none(numbers: Sequence[float | int]) -> float | None:
    """Their mean; None of none."""
    return float(np.mean(numbers)) if numbers else None


def episodes_of(row: Mapping[str, Any]) -> list[Episode]:
    """The one episode of a row of an update, if it is of one."""
    if row.get("episodes") != 1:
        return []
    return [Episode(row["episode_return_mean"], int(row["episode_length_mean"]))]


def episode_of(row: Mapping[str, Any]) -> Episode:
    """The episode that a row is of."""
    return Episode(row["episode_return"], int(row["episode_length"]))
