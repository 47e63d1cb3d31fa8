"""Where numbers go: the protocol every tracker keeps, and the tee that makes many of them one."""

import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Tracker(Protocol):
    """A destination of metrics, of the run's config and of files."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record named numbers at `step`, counted in env steps."""
        ...

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Record the settings of the run, once, before its first metrics."""
        ...

    def log_file(self, path: str | os.PathLike[str]) -> None:
        """Record a finished file: a plot, a video, a checkpoint."""
        ...

    def close(self) -> None:
        """Write what is still held back; a second call does nothing."""
        ...


class Tee:
    """Several trackers as one; with none, the null tracker.

    A tracker that raises is named in one warning and hears nothing more, except `close`: the
    others, and training, go on.
    """

    def __init__(self, *trackers: Tracker):
        self._live = list(trackers)
        self._quiet: list[Tracker] = []

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Hand `metrics` at `step` to every tracker."""
        self._tell("log", metrics, step)

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Hand the run's settings to every tracker."""
        self._tell("log_config", config)

    def log_file(self, path: str | os.PathLike[str]) -> None:
        """Hand a finished file to every tracker."""
        self._tell("log_file", path)

    def close(self) -> None:
        """Close every tracker, those gone quiet too."""
        for tracker in self._quiet:
            with suppress(Exception):
                tracker.close()
        self._tell("close")

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _tell(self, method: str, *args: Any) -> None:
        failures = []
        for tracker in tuple(self._live):
            try:
                getattr(tracker, method)(*args)
            except Exception as error:
                self._live.remove(tracker)
                self._quiet.append(tracker)
                failures.append((tracker, error))
        for tracker, error in failures:  # last, for where warnings are errors this raises
            _warn(tracker, method, error)


def _warn(tracker: Tracker, method: str, error: Exception) -> None:
    message = (
        f"{type(tracker).__name__} failed in {method} and is ignored from now on: "
        f"{type(error).__name__}: {error}"
    )
    warnings.warn(message, RuntimeWarning, stacklevel=4)
