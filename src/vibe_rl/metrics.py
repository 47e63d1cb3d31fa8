"""Metrics of a run: the JSONL log and its reader, and progress on the terminal."""

from vibe_rl.tracking.console import TrainingProgress
from vibe_rl.tracking.jsonl import MetricsLogger, read_metrics, rewind
from vibe_rl.tracking.log_lines import log_step_progress, setup_logging

__all__ = [
    "MetricsLogger",
    "TrainingProgress",
    "log_step_progress",
    "read_metrics",
    "rewind",
    "setup_logging",
]
