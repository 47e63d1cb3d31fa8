"""Destinations of metrics: the protocol of trackers, and a tee that makes one of many."""

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from inspect import signature
from typing import Any, Protocol, runtime_checkable

from typing_extensions import override

from vibe_rl.errors import ConfigError, short
from vibe_rl.run_dir.notes import Status


@runtime_checkable
class LogBackend(Protocol):
    """The least that a destination has: a tracker, or a small class of one's own."""

    def log(self, metrics: Mapping[str, Any], step: int, /) -> Any:
        """Record named numbers at `step`, counted in env steps."""
        ...

    def close(self) -> Any:
        """Write what is still held back."""
        ...


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

    def rewind(self, step: int) -> None:
        """Forget rows later than `step`, where the run resumes: they will come again.

        Called before anything else. A tracker that cannot forget leaves out what it has.
        """

    def close(self, status: Status = "finished") -> None:
        """Write what is still held back; a second call does nothing."""


class Tee(Tracker):
    """Several trackers as one; with none, the null tracker.

    A tracker that raises is named in one warning and then ignored, except that it is closed at the
    end: the other trackers, and training, continue. As a context it closes with `status`, or with
    what an exception means.
    """

    status: Status = "finished"

    def __init__(self, *trackers: LogBackend):
        self._live = list(trackers)
        self._failed: list[LogBackend] = []

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
    def rewind(self, step: int) -> None:
        self._call("rewind", step)

    @override
    def close(self, status: Status = "finished") -> None:
        for tracker in self._failed:
            with suppress(Exception):
                close(tracker, status)
        self._call("close", status)

    def __enter__(self):
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(self.status if kind is None else meaning(kind))

    def _call(self, method: str, *args: Any) -> None:
        failures = []
        for tracker in tuple(self._live):
            try:
                tell(tracker, method, *args)
            except Exception as error:
                self._live.remove(tracker)
                self._failed.append(tracker)
                failures.append((tracker, error))
        for tracker, error in failures:  # last, for where warnings are errors this raises
            _warn(tracker, method, error)


def check_trackers(trackers: Any) -> None:
    """Raises ConfigError for what is no list of trackers, of which names and classes are none."""
    listed = isinstance(trackers, Sequence) and not isinstance(trackers, str)
    for each in trackers if listed else [trackers]:
        if not listed or isinstance(each, type) or not isinstance(each, LogBackend):
            raise ConfigError(
                f"trackers {short(each)}: give a list of objects with the methods log and close, "
                "or names in runner.track."
            )


def meaning(exception: type[BaseException]) -> Status:
    """How a run ended that an exception has left."""
    return "interrupted" if issubclass(exception, KeyboardInterrupt) else "failed"


def tell(tracker: LogBackend, method: str, *args: Any) -> None:
    """Calls a method, if the tracker has it."""
    if method == "close":
        close(tracker, *args)
    elif hasattr(tracker, method):
        getattr(tracker, method)(*args)


def close(tracker: LogBackend, status: Status) -> None:
    """Closes a tracker, which need not want to know how the run ended."""
    try:
        signature(tracker.close).bind(status)
    except TypeError:
        tracker.close()
    else:
        tracker.close(status)  # type: ignore[call-arg]


def is_finite(value: Any) -> bool:
    """Whether it is a number that a chart can show."""
    return isinstance(value, int | float) and math.isfinite(value)


def shown_name(tracker: LogBackend) -> str:
    """What a tracker is called in messages."""
    return getattr(tracker, "name", None) or type(tracker).__name__


def _warn(tracker: LogBackend, method: str, error: Exception) -> None:
    message = (
        f"{shown_name(tracker)} failed in {method} and is ignored from now on: "
        f"{type(error).__name__}: {error}"
    )
    warnings.warn(message, RuntimeWarning, stacklevel=4)
