"""Trackers in a process of their own: what costs Python much time takes none from the training.

A thread beside the training would hold Python's lock whenever the training wants it. The parent
writes a request a line, of a run, a method and its arguments, and reads a line for each: the error
if there was one, and what the tracker had to say. When the parent is gone, runs that it had not
closed have failed.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from typing_extensions import override

from vibe_rl.errors import reason
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.tracking.base import Status, Tracker
from vibe_rl.tracking.named import caught_up

LOGGER = logging.getLogger("vibe_rl")
SECONDS_TO_END = 2.0
LAST = "abandon"
"""The request that says how runs ended which are not closed; no reply is awaited."""


class TrackerProcess:
    """A process in which all trackers of one name are, for the runs of one training."""

    def __init__(self, name: str):
        self.name = name
        self.status: Status = "failed"  # of the runs that are not closed when it ends
        self._ended = False
        self._process: subprocess.Popen[str] | None = None

    def call(self, run_dir: RunDir, method: str, *args: Any) -> None:
        """Has a run's tracker do something, and waits until it is done.

        Raises:
            RuntimeError: it failed, or the process has ended.
        """
        if self._ended:
            raise RuntimeError("its process has ended")
        process = self._process = self._process or start_process(self.name)
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            print(json.dumps([str(run_dir.root), method, args]), file=process.stdin, flush=True)
        reply = process.stdout.readline()
        if not reply:
            raise RuntimeError(f"its process ended with exit status {process.wait()}")
        error, said = json.loads(reply)
        for line in said:
            LOGGER.warning(line)
        if error is not None:
            raise RuntimeError(error)

    def note_end(self, status: Status) -> None:
        """Notes how a run ended, in case that its tracker comes to be closed no more."""
        self.status = status

    def end(self) -> None:
        """Ends the process, which has nothing left to do, or does not answer."""
        self._ended = True
        if self._process is None:
            return
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # it may be gone
            print(json.dumps(["", LAST, [self.status]]), file=self._process.stdin)
        killer = threading.Timer(SECONDS_TO_END, self._process.kill)
        killer.start()
        with suppress(BrokenPipeError), self._process:  # closes its input, and waits
            pass
        killer.cancel()


class RemoteTracker(Tracker):
    """A run's tracker in another process.

    Args:
        process: where it is.
        run_dir: of the run.
        step: where the run resumes; None for a new run.
        size: see `caught_up`.
    """

    def __init__(
        self, process: TrackerProcess, run_dir: RunDir, step: int | None, size: int | None = None
    ):
        self._process, self._run_dir = process, run_dir
        self._rows: list[tuple[int, Mapping[str, Any]]] = []
        self._call("open", step, size)

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        self._rows.append((step, metrics))

    def flush(self) -> None:
        """Sends the rows that have gathered."""
        if self._rows:
            rows, self._rows = self._rows, []
            self._call("log_all", rows)

    @override
    def log_config(self, config: Mapping[str, Any]) -> None:
        self._call("log_config", config)

    @override
    def log_file(self, path: str | os.PathLike[str]) -> None:
        self.flush()
        self._call("log_file", os.fspath(path))

    @override
    def close(self, status: Status = "finished") -> None:
        self.flush()
        self._call("close", status)

    def _call(self, method: str, *args: Any) -> None:
        self._process.call(self._run_dir, method, *args)


def start_process(name: str) -> subprocess.Popen[str]:
    """A new process for trackers; signals to the training's group do not reach it."""
    command = [sys.executable, "-P", "-m", "vibe_rl.tracking.process", name]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env=variables,
    )


class Served:
    """The trackers of one name, in their process."""

    def __init__(self, name: str):
        self._name, self._trackers = name, dict[str, Any]()

    def do(self, run: str, method: str, args: Sequence[Any]) -> None:
        """What one request asks for."""
        if method == "open":
            self._trackers[run] = caught_up(self._name, RunDir.open(run), *args)
        elif method == "log_all":
            for step, row in args[0]:
                self._trackers[run].log(row, step)
            self._trackers[run].flush()
        elif method == "close":
            self._trackers.pop(run).close(*args)
        else:
            getattr(self._trackers[run], method)(*args)

    def abandon(self, status: Status) -> None:
        """Closes what nobody will close any more."""
        for tracker in self._trackers.values():
            with suppress(Exception):
                tracker.close(status)


class _Listener(logging.Handler):
    """Keeps what the logger is told, for the parent."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def serve_tracker(name: str, requests: IO[str], replies: IO[str]) -> None:
    """Does what each line asks for, until there are no more."""
    served, listener, status = Served(name), _Listener(), "failed"
    LOGGER.addHandler(listener)
    LOGGER.propagate = False
    try:
        for line in requests:
            run, method, args = json.loads(line)
            if method == LAST:
                status = args[0]
                continue
            error = outcome(served, run, method, args)
            said, listener.lines = listener.lines, []
            print(json.dumps([error, said]), file=replies, flush=True)
    except BrokenPipeError:  # nobody waits for the reply
        pass
    finally:
        served.abandon(status)


def outcome(served: Served, run: str, method: str, args: Sequence[Any]) -> str | None:
    """Does what a request asks for; the error, if there was one."""
    try:
        served.do(run, method, args)
    except Exception as problem:
        return reason(problem)
    return None


if __name__ == "__main__":
    with Path(os.devnull).open("w") as nowhere:
        answers, sys.stdout = sys.stdout, nowhere  # whatever a package prints
        serve_tracker(sys.argv[1], sys.stdin, answers)
    os._exit(0)  # the parent waits, and nothing is left to do
