"""Trackers: where a run's metrics, config and files go. One file per destination."""

from vibe_rl.tracking.base import LogBackend, Status, Tee, Tracker
from vibe_rl.tracking.console import ConsoleTracker
from vibe_rl.tracking.mlflow import MLflowTracker
from vibe_rl.tracking.renamed import Renamed
from vibe_rl.tracking.sqlite import SQLiteTracker
from vibe_rl.tracking.sqlite_reading import RunSummary, recent_episodes, summarize_run
from vibe_rl.tracking.tensorboard import TensorBoardTracker
from vibe_rl.tracking.wandb import WandbTracker

__all__ = [
    "ConsoleTracker",
    "LogBackend",
    "MLflowTracker",
    "Renamed",
    "RunSummary",
    "SQLiteTracker",
    "Status",
    "Tee",
    "TensorBoardTracker",
    "Tracker",
    "WandbTracker",
    "recent_episodes",
    "summarize_run",
]
