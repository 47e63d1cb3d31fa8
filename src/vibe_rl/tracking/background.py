"""Trackers on threads of their own: a slow or lost destination neither stops nor stalls a run.

What a run says is queued. About once a second a thread passes on all that is there, so that a
destination can write it at once. The first error ends that for good, and is raised where the run
speaks next; what was lost is in the JSONL log, from which `vibe-rl track` sends it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any

from typing_extensions import override

from vibe_rl.errors import reason
from vibe_rl.tracking.base import Status, Tracker, tell

INTERVAL = 1.0  # seconds in which rows gather
PATIENCE = 7.0  # seconds, at the end of a run: enough to start a process
MOST_JOBS = 100_000
"""Of those that wait; a destination that is further behind is given up."""


class TrackingError(Exception):
    """Why a destination gets nothing any more."""


class Deadline:
    """So long is waited for all destinations together, from the first time that one is."""

    def __init__(self, seconds: float | None = None):
        self.seconds = PATIENCE if seconds is None else seconds
        self._end: float | None = None

    def left(self) -> float:
        """The seconds that are left."""
        if self._end is None:
            self._end = time.monotonic() + self.seconds
        return max(0.0, self._end - time.monotonic())


class Worker:
    """A thread that does jobs in their order, until one fails.

    Args:
        name: of the destination, for messages.
        interval: seconds in which jobs gather.
        deadline: until when `wait` waits.
    """

    def __init__(self, name: str, interval: float = INTERVAL, deadline: "Deadline | None" = None):
        self.name, self.interval, self.deadline = name, interval, deadline or Deadline()
        self.flushes: list[Callable[[], object]] = []  # called whenever all jobs are done
        self._changed = threading.Condition()
        self._jobs: deque[Callable[[], object]] = deque()
        self._given = self._done = 0  # how many jobs ever
        self._error: BaseException | None = None
        self._hurry = self._told = self._ended = False
        threading.Thread(target=self._work, name=f"tracker {name}", daemon=True).start()

    def do(self, job: Callable[[], object], at_once: bool = False) -> None:
        """Leaves a job to the thread, which does it soon; none is done after one has failed."""
        with self._changed:
            if len(self._jobs) >= MOST_JOBS:
                self._fail(TimeoutError(f"it is {MOST_JOBS:,} rows behind"))
            if self._error is None:
                self._jobs.append(job)
                self._given += 1
            if at_once:
                self._wake()

    def check(self) -> None:
        """Raises TrackingError if a job has failed; says so once."""
        if self._error is not None and not self._told:
            self._told = True
            raise TrackingError(reason(self._error)) from self._error

    def wait(self) -> None:
        """Waits until all jobs so far are done and flushed.

        Raises:
            TrackingError: one failed, or the deadline is over; said once.
        """
        with self._changed:
            self._wake()
            all_given = self._given

            def over() -> bool:
                return self._done >= all_given or self._error is not None

            if not self._changed.wait_for(over, self.deadline.left()):
                self._fail(TimeoutError(f"no answer within {self.deadline.seconds:g} s"))
        self.check()

    def end(self) -> None:
        """Lets the thread end once it has done what it is doing; it is not waited for."""
        with self._changed:
            self._ended = True
            self._wake()

    def _wake(self) -> None:
        self._hurry = True
        self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self._jobs.clear()

    def _work(self) -> None:
        while self._error is None:
            with self._changed:
                self._changed.wait_for(lambda: self._hurry, self.interval)
                if self._ended:
                    return
                self._hurry, jobs = False, list(self._jobs)
                self._jobs.clear()
            self._do(jobs)

    def _do(self, jobs: Sequence[Callable[[], object]]) -> None:
        try:
            for job in jobs:
                job()
            for flush in tuple(self.flushes):
                flush()
        except Exception as error:
            with self._changed:
                self._fail(error)
        with self._changed:
            self._done += len(jobs)
            self._changed.notify_all()


class Background(Tracker):
    """A tracker that a worker's thread opens once there is something to tell, and then tells.

    If it has a method `flush`, that is called whenever nothing is left to tell.

    Args:
        open_tracker: opens it.
        worker: has the thread.
        on_close: is told at once how the run ended.
    """

    def __init__(
        self,
        open_tracker: Callable[[], Any],
        worker: Worker,
        on_close: Callable[[Status], object] | None = None,
    ):
        self.name, self._on_close = worker.name, on_close
        self._worker, self._open_tracker = worker, open_tracker
        self._tracker: Any = None
        self._opened = False

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        self._pass_on("log", dict(metrics), step)

    @override
    def log_config(self, config: Mapping[str, Any]) -> None:
        self._pass_on("log_config", config)

    @override
    def log_file(self, path: str | PathLike[str]) -> None:
        self._pass_on("log_file", path)

    @override
    def close(self, status: Status = "finished") -> None:
        if self._on_close is not None:
            self._on_close(status)
        if self._opened:
            self._worker.do(partial(self._close, status))
            self._worker.wait()

    def _pass_on(self, method: str, *args: Any) -> None:
        if not self._opened:
            self._opened = True
            self._worker.do(self._open, at_once=True)
        self._worker.check()
        self._worker.do(lambda: tell(self._tracker, method, *args))

    def _open(self) -> None:
        self._tracker = self._open_tracker()
        if hasattr(self._tracker, "flush"):
            self._worker.flushes.append(self._tracker.flush)

    def _close(self, status: Status) -> None:
        if hasattr(self._tracker, "flush"):
            self._worker.flushes.remove(self._tracker.flush)
        tell(self._tracker, "close", status)
