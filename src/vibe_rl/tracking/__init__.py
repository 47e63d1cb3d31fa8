"""Trackers: where a run's metrics, config and files go. One file per destination."""

from vibe_rl.tracking.base import Tee, Tracker
from vibe_rl.tracking.console import ConsoleTracker

__all__ = ["ConsoleTracker", "Tee", "Tracker"]
