"""Metrics of a run: the JSONL log and its reader, and progress on the terminal."""

from vibe_rl.tracking.base import LogBackend
from vibe_rl.tracking.console import TrainingProgress
from vibe_rl.tracking.jsonl import MetricsLogger, read_metrics, rewind
from vibe_rl.tracking.log_lines import log_step_progress, setup_logging
from vibe_rl.tracking.tensorboard import TensorBoardTracker as TensorBoardBackend
from vibe_rl.tracking.wandb import WandbTracker as WandbBackend
from vibe_rl.tracking.wandb import resume_wandb

__all__ = [
    "LogBackend",
    "MetricsLogger",
    "TensorBoardBackend",
    "TrainingProgress",
    "WandbBackend",
    "log_step_progress",
    "read_metrics",
    "resume_wandb",
    "rewind",
    "setup_logging",
]
