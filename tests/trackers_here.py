"""Trackers that have a process of their own, without it: to start one with MLflow takes seconds."""

import json
from typing import Any

from vibe_rl.run_dir import RunDir
from vibe_rl.tracking.process import Served, outcome


class TrackersHere:
    """Has the methods of a `TrackerProcess`, and does in this process what its process would do."""

    def __init__(self, name: str):
        self._served, self._status = Served(name), "failed"

    def call(self, run_dir: RunDir, method: str, *args: Any) -> None:
        """As from another process: arguments are read from JSON, and errors are sentences."""
        sent = json.loads(json.dumps([str(run_dir.root), method, args]))
        error = outcome(self._served, *sent)
        if error is not None:
            raise RuntimeError(error)

    def note_end(self, status: Any) -> None:
        """How what is still open at the end has ended."""
        self._status = status

    def end(self) -> None:
        """Closes what is still open."""
        self._served.abandon(self._status)
