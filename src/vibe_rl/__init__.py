"""Reinforcement-learning training in JAX: compiled end to end, honest about its results."""

from importlib.metadata import version

from vibe_rl.checkpoint import load_checkpoint, load_metadata, save_checkpoint
from vibe_rl.env import make, register
from vibe_rl.run_dir.directory import RunDir, find_runs
from vibe_rl.schedule import linear_schedule
from vibe_rl.tracking.console import TrainingProgress, log_step_progress, setup_logging
from vibe_rl.tracking.jsonl import MetricsLogger, read_metrics
from vibe_rl.types import MaskedObs, Transition

__version__ = version("vibe_rl")

__all__ = [
    "MaskedObs",
    "MetricsLogger",
    "RunDir",
    "TrainingProgress",
    "Transition",
    "find_runs",
    "linear_schedule",
    "load_checkpoint",
    "load_metadata",
    "log_step_progress",
    "make",
    "read_metrics",
    "register",
    "save_checkpoint",
    "setup_logging",
]
