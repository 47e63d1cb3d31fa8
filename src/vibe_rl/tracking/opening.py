"""The trackers that a run names: each destination has a thread, and a process if it is slow."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec

from vibe_rl.run_dir.directory import RunDir
from vibe_rl.system.notices import say_once
from vibe_rl.tracking.background import Background, Deadline, Worker
from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.named import TRACKERS, caught_up
from vibe_rl.tracking.process import RemoteTracker, TrackerProcess
from vibe_rl.tracking.thinning import Thinned


class Destinations(ExitStack):
    """The threads and processes of the trackers that all runs of one training share."""

    def __init__(self) -> None:
        super().__init__()
        self._deadline = Deadline()
        self._workers: dict[str, Worker] = {}
        self._processes: dict[str, TrackerProcess] = {}

    def worker(self, name: str) -> Worker:
        """The thread of a destination."""
        if name not in self._workers:
            self._workers[name] = Worker(name, deadline=self._deadline)
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
) -> list[Tracker]:
    """The trackers of a run, which are opened while it trains.

    One whose package is not installed is left out, and a line says what to install. Those that take
    long over a row get fewer.

    Args:
        names: in TRACKERS.
        run_dir: of the run.
        step: where it resumes; None for a new run.
        destinations: where they run.
    """
    log = run_dir.log_path()
    where = run_dir, step, log.stat().st_size if log.exists() else 0
    trackers: list[Tracker] = []
    for name in filter(is_installed, names):
        worker = destinations.worker(name)
        if TRACKERS[name].apart:
            process = destinations.process(name)
            open_it = partial(RemoteTracker, process, *where)
            trackers.append(Thinned(Background(open_it, worker, process.note_end)))
        else:
            trackers.append(Background(partial(caught_up, name, *where), worker))
    return trackers


def is_installed(name: str) -> bool:
    """Whether a tracker's package is there; if not, a line says so."""
    package = TRACKERS[name].package
    if package is None or find_spec(package) is not None:
        return True
    say_once(f"track {name} needs {package}, so nothing is sent: pip install 'vibe-rl[{name}]'.")
    return False
