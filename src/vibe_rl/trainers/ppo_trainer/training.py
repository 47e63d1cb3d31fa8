"""One training of a `PPOTrainer`: what lies between the library's loop and those it reports to."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from vibe_rl.errors import ConfigError
from vibe_rl.runner.evaluation import Evaluation
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.fit import copied_state
from vibe_rl.runner.loop import TrainState
from vibe_rl.runner.recording import frames, record, write_gif
from vibe_rl.runner.run import Run
from vibe_rl.runner.streams import evaluation_key
from vibe_rl.system.notices import say_once
from vibe_rl.tracking.base import Tracker
from vibe_rl.trainers.ppo_trainer.agent import PPOAgent
from vibe_rl.trainers.ppo_trainer.callbacks import CallbackList
from vibe_rl.trainers.ppo_trainer.cartpole import FPS
from vibe_rl.trainers.ppo_trainer.progress.evaluations import EvaluationLog
from vibe_rl.trainers.ppo_trainer.progress.progress import (
    Episode,
    Progress,
    episode_of,
    episodes_of,
    mean_or_none,
)
from vibe_rl.trainers.ppo_trainer.settings import TrainerSettings
from vibe_rl.types import Key, PyTree

Scores = dict[str, Any]
"""`avg_reward`, `std_reward` (of the population), `max_reward`, `min_reward`, `avg_length` (env
steps), `success_rate` (share of returns at the target or above), `episode_rewards`, `gif_path`."""


@dataclass(frozen=True)
class RunOfAgent(Run):
    """A run that begins with an agent instead of a fresh one, and keeps its last evaluation."""

    agent_state: PyTree = None
    scores: list[EvalMetrics] = field(default_factory=list)

    @contextmanager
    @override
    def start(self, restored: TrainState | None = None) -> Iterator[TrainState]:
        """The first state, or the restored one."""
        with super().start(restored) as first:
            fresh = restored is None
            yield first._replace(agent_state=copied_state(self.agent_state)) if fresh else first

    @override
    def evaluation(self, agent_state: PyTree, update: int) -> Evaluation:
        """The greedy episodes that belong to this update."""
        for scores in super().evaluation(agent_state, update):
            if scores is not None:
                self.scores[:] = [scores]
            yield scores


def run_of(run: Run, agent_state: PyTree) -> RunOfAgent:
    """The same run, which begins with this agent."""
    known = {f.name: getattr(run, f.name) for f in fields(Run)}
    return RunOfAgent(**known, agent_state=agent_state)


@dataclass
class Training:
    """What happens after each update, in this order: lists and monitor, trackers, callbacks, stop.

    It is a backend of the run's log, from which it learns of single episodes.
    """

    agent: PPOAgent  # holds what was learned, as far as it is
    settings: TrainerSettings
    run: RunOfAgent
    videos: tuple[Path, int]  # where GIFs are written, and episodes between two; 0 makes none
    progress: Progress
    callbacks: CallbackList
    tracker: Tracker
    evaluations: EvaluationLog
    pending: list[Episode] = field(default_factory=list)  # of the update that is not reported yet
    made: int = 0  # updates of this call
    stop_reason: str | None = None  # None while nothing but the budget ends it
    filmed: int = 0  # the number of GIFs that are due already

    def log(self, row: Mapping[str, Any], step: int) -> None:
        """Takes note of the row of a single episode."""
        if "update" not in row:
            self.pending.append(episode_of(row))

    def close(self) -> None:
        """Nothing is held back."""

    def after_update(self, step: int, agent_state: PyTree, row: Mapping[str, Any]) -> bool:
        """Whether the training may go on."""
        self.agent.take(agent_state)
        self.made += 1
        episodes, self.pending = self.pending or episodes_of(row), []
        metrics = self._added(episodes, row)
        scores = self._scores() if "eval_return" in row else None
        if self._is_tracked(scores):
            self.report(metrics, scores)
        may_go_on = self.callbacks(self._payload(metrics, scores)) if episodes else True
        self.stop_reason = self._why_stop(may_go_on)
        return self.stop_reason is None

    def _added(self, episodes: Sequence[Episode], row: Mapping[str, Any]) -> dict[str, Any]:
        """The metrics of an update, whose speed is that of steps in episodes, not of waiting."""
        metrics = self.progress.add(episodes, row)
        if self.settings.mode == "episodic" and metrics["steps_per_second"] is not None:
            share = sum(metrics["episode_lengths"]) / self.run.steps_per_update
            metrics["steps_per_second"] *= share
        return {**metrics, "num_updates": self._gradient_steps(metrics)}

    def _gradient_steps(self, metrics: Mapping[str, Any]) -> int:
        """Steps of Adam in an update, with those that `target_kl` leaves out."""
        config, steps = self.agent.config, self.run.steps_per_update
        if self.settings.mode == "episodic":
            steps = sum(metrics["episode_lengths"])
        return config.epochs_per_update * -(-steps // config.minibatch_size)

    def recall_first(self) -> None:
        """Takes note of the evaluation before the training, if there was one, and tells of it."""
        scores = self.evaluations.rows().get(0)
        if scores is not None:
            self.progress.evaluated(scores["avg_reward"], scores["std_reward"])
            self.tracker.log(named_scores(scores), 0)

    def catch_up(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Goes on after the rows of a log: what was evaluated later is set aside."""
        self.retell(rows)
        self.evaluations.rewind(self.progress.episode_count)
        self.filmed = self._due_films()
        self.stop_reason = self._why_stop(may_go_on=True)

    def retell(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Takes note of the rows of a log, and tells the trackers what they would have got."""
        evaluated = self.evaluations.rows()
        for row in rows:
            self.log(row, row["step"])
            if "update" not in row:
                continue
            episodes, self.pending = self.pending or episodes_of(row), []
            metrics = self._added(episodes, row)
            count = self.progress.episode_count
            scores = evaluated.get(count) if "eval_return" in row else None
            if self._is_tracked(scores):
                self.report({**metrics, "wall_time": row["wall_time"]}, scores)
        self.progress.earlier = max((row["wall_time"] for row in rows), default=0.0)

    def _is_tracked(self, scores: Scores | None) -> bool:
        """Whether trackers are told of the last update."""
        due = (self.progress.updates - 1) % self.settings.log_frequency == 0
        return due or scores is not None

    def _why_stop(self, may_go_on: bool) -> str | None:
        progress, settings = self.progress, self.settings
        if progress.stop and settings.early_stop:
            return progress.monitor.reason
        if progress.episode_count >= settings.max_episodes:
            return "max_episodes"
        return None if may_go_on else "callback"

    def _payload(self, metrics: Mapping[str, Any], scores: Scores | None) -> dict[str, Any]:
        progress = self.progress
        best, _ = progress.best_evaluation()
        return {
            "episode": progress.episode_count - 1,
            "step_metrics": metrics,
            "eval_metrics": scores,
            "convergence": progress.convergence(),
            "results_so_far": {
                "total_episodes": progress.episode_count,
                "total_steps": progress.step_count,
                "training_time": time.perf_counter() - progress.began,
                "best_avg_reward": progress.monitor.best,
                "best_eval_reward": best,
            },
        }

    def report(self, metrics: Mapping[str, Any], scores: Scores | None) -> None:
        """Tells the trackers of an update."""
        self.tracker.log(_tracked(self.progress, metrics, scores), self.progress.episode_count - 1)

    def _scores(self) -> Scores:
        """The evaluation that was just made, with a GIF if one is due."""
        scores = scores_of(self.run.scores[-1], self.settings.target_reward)
        if self._due_films() > self.filmed:
            self.filmed = self._due_films()
            scores["gif_path"] = self.film(self.progress.episode_count)
        self.evaluations.add(self.progress.episode_count, scores)
        return scores

    def _due_films(self) -> int:
        every = self.videos[1]
        return self.progress.episode_count // every if every else 0

    def film(self, episode: int) -> str | None:
        """Writes a GIF of a greedy episode; its path, or None if that cannot be done here."""
        path = gif_path(self.videos[0], episode)
        key = evaluation_key(self.settings.seed, self.progress.updates)
        try:
            write_episode_row(self.run, self.agent.fitted(self.run.agent_state), path, key)
        except (ConfigError, OSError) as error:
            say_once(f"no GIF of an evaluation: {error}")
            return None
        self.tracker.log_file(path)
        return str(path)


def gif_path(folder: Path, episode: int) -> Path:
    """The path of the GIF made after so many episodes."""
    return folder / f"eval_ep{episode:05d}.gif"


def write_episode_row(run: Run, agent_state: PyTree, path: Path, key: Key) -> None:
    """Plays a greedy episode and writes it as a GIF."""
    env, params = run.env, run.eval_params
    episode = record(run.algorithm, agent_state, env, params, key, run.config.eval_max_steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_gif(frames(episode, env, params), path, FPS)


def scores_of(evaluation: EvalMetrics, target: float) -> Scores:
    """An evaluation in plain Python."""
    returns = np.asarray(evaluation.episode_returns).tolist()
    return plain_scores(returns, target) | {
        "avg_reward": float(evaluation.mean_return),  # as the log has them
        "std_reward": float(evaluation.std_return),
        "avg_length": float(evaluation.mean_length),
    }


def plain_scores(returns: Sequence[float], target: float) -> Scores:
    """The scores of CartPole's episodes, which are as long as they return."""
    return {
        "avg_reward": float(np.mean(returns)),
        "std_reward": float(np.std(returns)),
        "max_reward": max(returns),
        "min_reward": min(returns),
        "avg_length": float(np.mean(returns)),
        "success_rate": float(np.mean(np.asarray(returns) >= target)),
        "episode_rewards": list(returns),
        "gif_path": None,
    }


def _tracked(
    progress: Progress, metrics: Mapping[str, Any], scores: Scores | None
) -> dict[str, float]:
    """An update under the names that trackers get."""
    returns, lengths = progress.episode_rewards, progress.episode_lengths
    named = {
        "wall_time": progress.wall_time,
        **metrics,
        "avg_reward_10": mean_or_none(returns[-10:]),
        "avg_reward_50": mean_or_none(returns[-50:]),
        "avg_length_10": mean_or_none(lengths[-10:]),
        "convergence_count": progress.status.count,
        "env_steps": progress.step_count,
        **named_scores(scores or {}),
    }
    return {name: x for name, x in named.items() if isinstance(x, int | float)}


def named_scores(scores: Mapping[str, Any]) -> dict[str, float]:
    """The single numbers of an evaluation under the names that trackers get."""
    numbers = {name: x for name, x in scores.items() if isinstance(x, int | float)}
    return {f"eval_{name}": x for name, x in numbers.items()}
