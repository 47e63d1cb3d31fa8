"""What trackers got from a training, told again: `vibe-rl track` sends it to others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.manifest import newest_manifest
from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.jsonl import read_metrics
from vibe_rl.tracking.named import Story, finished_files
from vibe_rl.trainers.ppo_trainer.callbacks import CallbackList
from vibe_rl.trainers.ppo_trainer.finishing import earlier_results, tell_results
from vibe_rl.trainers.ppo_trainer.progress.evaluations import EvaluationLog
from vibe_rl.trainers.ppo_trainer.restoring import KINDS
from vibe_rl.trainers.ppo_trainer.results import RESULTS
from vibe_rl.trainers.ppo_trainer.trainer import PPOTrainer
from vibe_rl.trainers.ppo_trainer.training import Training


class Listener(Tracker):
    """Keeps the rows that it gets."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        self.rows.append({"step": step, **metrics})


def story_of(run_dir: RunDir) -> Story:
    """What the trackers of a `PPOTrainer` got, at the numbers of the episodes, and its files."""
    trainer, listener = _trainer_of(run_dir), Listener()
    training = Training(
        trainer.agent,
        trainer.settings,
        trainer.run,
        (run_dir.videos, 0),
        trainer.progress,
        CallbackList([]),
        listener,
        EvaluationLog(run_dir.log_path("evaluations.jsonl")),
    )
    training.recall_first()
    training.retell(read_metrics(run_dir))
    results = earlier_results(run_dir)
    if results.get("total_episodes") == training.progress.episode_count:
        tell_results(listener, results, [])
    return Story(listener.rows, trainer.flat_description(), files_of(run_dir))


def _trainer_of(run_dir: RunDir) -> PPOTrainer:
    """The trainer of a run; one whose monitor was somebody's own judges as the settings say."""
    monitor = newest_manifest(run_dir.root)["trainer"]["monitor"]
    is_own = monitor is not None and monitor["kind"] not in KINDS
    return PPOTrainer.restore(run_dir.root, track=(), **({"monitor": None} if is_own else {}))


def files_of(run_dir: RunDir) -> list[Path]:
    """The results, reports, figures and GIFs of a training, and its best checkpoint."""
    reports = (f"{name}/*.json" for name in ("performance_analysis", "dashboard"))
    found = [path for pattern in reports for path in run_dir.artifacts.glob(pattern)]
    films = sorted(run_dir.videos.glob("*.gif"))
    results = run_dir.root / RESULTS
    return [*([results] if results.exists() else []), *found, *finished_files(run_dir), *films]
