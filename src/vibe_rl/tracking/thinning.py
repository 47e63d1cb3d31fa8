"""Fewer rows for trackers that take long over each: not more than some a second.

A run of small networks makes hundreds of rows a second, of which a chart shows none apart from the
next. JSONL has them all.
"""

import time
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

from typing_extensions import override

from vibe_rl.tracking.base import Status, Tracker, shown_name

AT_ONCE, PER_SECOND = 100.0, 10.0
"""Rows that pass however fast they come, and rows a second after them."""


class Thinned(Tracker):
    """A tracker that gets its first rows, then so many a second, every evaluation, and the last.

    Args:
        tracker: what gets them.
        clock: tells seconds.
    """

    def __init__(self, tracker: Tracker, clock: Callable[[], float] = time.monotonic):
        self.name = shown_name(tracker)
        self._tracker, self._clock = tracker, clock
        self._allowed, self._since = AT_ONCE, clock()
        self._left_out: tuple[dict[str, Any], int] | None = None  # the last row that did not pass

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        now = self._clock()
        self._allowed = min(AT_ONCE, self._allowed + PER_SECOND * (now - self._since))
        self._since = now
        if self._allowed < 1.0 and not is_evaluation(metrics):
            self._left_out = dict(metrics), step
            return
        self._allowed, self._left_out = max(self._allowed - 1.0, 0.0), None
        self._tracker.log(metrics, step)

    @override
    def log_config(self, config: Mapping[str, Any]) -> None:
        self._tracker.log_config(config)

    @override
    def log_file(self, path: str | PathLike[str]) -> None:
        self._tracker.log_file(path)

    @override
    def rewind(self, step: int) -> None:
        self._tracker.rewind(step)

    @override
    def close(self, status: Status = "finished") -> None:
        if self._left_out is not None:
            self._tracker.log(*self._left_out)
            self._left_out = None
        self._tracker.close(status)


def is_evaluation(metrics: Mapping[str, Any]) -> bool:
    """Whether a row has figures of an evaluation."""
    return any(name.startswith("eval_") for name in metrics)
