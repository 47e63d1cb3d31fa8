"""Destinations of metrics: the protocol of trackers, and a tee that makes one of many."""

import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from typing_extensions import override


@runtime_checkable
class Tracker(Protocol):
    """A destination of metrics, of the run's config and of files.

    A subclass overrides what it needs: the other methods do nothing.
    """

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record named numbers at `step`, counted in env steps."""

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Record the settings of the run, once, before its first metrics."""

    def log_file(self, path: str | os.PathLike[str]) -> None:
        """Record a finished file: a plot, a video, a checkpoint."""

    def close(self) -> None:
        """Write what is still held back; a second call does nothing."""


class Tee(Tracker):
    """Several trackers as one; with none, the null tracker.

    A tracker that raises is named in one warning and then ignored, except that it is closed at the
    end: the other trackers, and training, continue.
    """

    def __init__(self, *trackers: Tracker):
        self._live = list(trackers)
        self._failed: list[Tracker] = []

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        self._call("log", metrics, step)

    @override
    def log_config(self, config: Mapping[str, Any]) -> None:
        self._call("log_config", config)

    @override
    def log_file(self, path: str | os.PathLike[str]) -> None:
        self._call("log_file", path)

    @override
    def close(self) -> None:
        for tracker in self._failed:
            with suppress(Exception):
                tracker.close()
        self._call("close")

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _call(self, method: str, *args: Any) -> None:
        failures = []
        for tracker in tuple(self._live):
            try:
                getattr(tracker, method)(*args)
            except Exception as error:
                self._live.remove(tracker)
                self._failed.append(tracker)
                failures.append((tracker, error))
        for tracker, error in failures:  # last, for where warnings are errors this raises
            _warn(tracker, method, error)


def _warn(tracker: Tracker, method: str, error: Exception) -> None:
    message = (
        f"{type(tracker).__name__} failed in {method} and is ignored from now on: "
        f"{type(error).__name__}: {error}"
    )
    warnings.warn(message, RuntimeWarning, stacklevel=4)
