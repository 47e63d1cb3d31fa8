"""The trackers that a run names: each destination has a thread, and a process if it is slow."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec

from vibe_rl.run_dir.directory import RunDir
from vibe_rl.system.notices import say_once
from vibe_rl.tracking.background import Background, Worker
from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.named import TRACKERS, caught_up
from vibe_rl.tracking.process import RemoteTracker, TrackerProcess


class Destinations(ExitStack):
    """The threads and processes of the trackers that all runs of one training share."""

    def __init__(self) -> None:
        super().__init__()
        self._workers: dict[str, Worker] = {}
        self._processes: dict[str, TrackerProcess] = {}

    def worker(self, name: str) -> Worker:
        """The thread of a destination."""
        if name not in self._workers:
            self._workers[name] = Worker(name)
            self.callback(self._workers[name].end)
        return self._workers[name]

    def process(self, name: str) -> TrackerProcess:
        """The process of a destination."""
        if name not in self._processes:
            self._processes[name] = TrackerProcess(name)
            self.callback(self._processes[name].end)
        return self._processes[name]


def open_named(
    names: Sequence[str], run_dir: RunDir, step: int | None, destinations: Destinations
) -> list[Background]:
    """The trackers of a run, which are opened while it trains.

    One whose package is not installed is left out, and a line says what to install.

    Args:
        names: in TRACKERS.
        run_dir: of the run.
        step: where it resumes; None for a new run.
        destinations: where they run.
    """
    opening = {
        name: partial(open_one, name, run_dir, step, destinations)
        for name in names
        if is_installed(name)
    }
    return [Background(open_it, destinations.worker(name)) for name, open_it in opening.items()]


def open_one(name: str, run_dir: RunDir, step: int | None, destinations: Destinations) -> Tracker:
    """A tracker of a run, here or in its destination's process."""
    if TRACKERS[name].apart:
        return RemoteTracker(destinations.process(name), run_dir, step)
    return caught_up(name, run_dir, step)


def is_installed(name: str) -> bool:
    """Whether a tracker's package is there; if not, a line says so."""
    package = TRACKERS[name].package
    if find_spec(package) is not None:
        return True
    say_once(f"track {name} needs {package}, so nothing is sent: pip install 'vibe-rl[{name}]'.")
    return False
