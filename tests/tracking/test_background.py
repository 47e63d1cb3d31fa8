"""Destinations on threads of their own: what fails or is slow there costs a run one warning."""

import threading
import time

import pytest

from vibe_rl.tracking import Tee, Tracker
from vibe_rl.tracking.background import Background, Deadline, TrackingError, Worker
from vibe_rl.tracking.opening import Destinations


class Recorder:
    """Notes what it is told, by which thread, and when it is flushed."""

    def __init__(self, fails_in=()):
        self.heard, self.threads, self.fails_in = [], set(), fails_in

    def _hear(self, *what):
        self.threads.add(threading.current_thread())
        self.heard.append(what)
        if what[0] in self.fails_in:
            raise ConnectionError("nobody answers\nand more lines")

    def log(self, metrics, step):
        self._hear("log", step)

    def log_config(self, config):
        self._hear("log_config", config)

    def flush(self):
        self._hear("flush")

    def close(self, status):
        self._hear("close", status)


@pytest.fixture
def worker():
    worker = Worker("remote", interval=0.05)
    yield worker
    worker.end()


def test_another_thread_tells_everything_in_order(worker):
    recorder = Recorder()
    tracker = Background(lambda: recorder, worker)
    tracker.log_config({"lr": 1})
    tracker.log({"loss": 1.0}, 1)
    tracker.log({"loss": 1.0}, 2)
    tracker.close("interrupted")
    told = [what for what in recorder.heard if what != ("flush",)]
    assert told == [
        ("log_config", {"lr": 1}),
        ("log", 1),
        ("log", 2),
        ("close", "interrupted"),
    ]
    assert threading.main_thread() not in recorder.threads


def test_rows_gather_before_they_are_flushed():
    worker, recorder = Worker("remote", interval=60.0), Recorder()
    tracker = Background(lambda: recorder, worker)
    tracker.log_config({})
    worker.wait()
    recorder.heard.clear()
    for step in range(100):
        tracker.log({}, step)
    worker.wait()
    worker.end()
    assert recorder.heard == [*(("log", step) for step in range(100)), ("flush",)]


def test_a_slow_destination_does_not_hold_the_run_up(worker):
    class Slow(Tracker):
        def log(self, metrics, step):
            time.sleep(0.2)

    tracker, began = Background(Slow, worker), time.monotonic()
    for step in range(5):
        tracker.log({}, step)
    assert time.monotonic() - began < 0.1
    tracker.close()
    assert time.monotonic() - began > 1.0


def tell_for_a_while(tee):
    tee.log({}, 1)
    time.sleep(0.3)
    for step in range(2, 10):
        tee.log({}, step)
    tee.close()


@pytest.mark.parametrize("where", ["log", "flush", "close"])
def test_a_destination_that_fails_is_named_in_one_warning(where, worker):
    recorder = Recorder(fails_in=(where,))
    tee = Tee(Background(lambda: recorder, worker))
    with pytest.warns(RuntimeWarning) as warned:
        tell_for_a_while(tee)
    assert [str(warning.message).partition(":")[0] for warning in warned] == [
        f"remote failed in {'close' if where == 'close' else 'log'} and is ignored from now on"
    ]
    assert "nobody answers" in str(warned[0].message)
    assert "more lines" not in str(warned[0].message)


def test_a_destination_that_cannot_be_opened_is_named_too(worker):
    def refuse():
        raise OSError("no route")

    tee = Tee(Background(refuse, worker))
    tee.log_config({})
    with pytest.warns(RuntimeWarning, match="remote failed in close .* no route"):
        tee.close()


def test_one_that_is_told_nothing_is_not_opened(worker):
    def refuse():
        raise OSError("no route")

    Tee(Background(refuse, worker)).close()


def test_several_that_never_answer_are_waited_for_together():
    deadline, release = Deadline(0.4), threading.Event()
    workers = [Worker(name, 0.01, deadline) for name in "abc"]
    tee = Tee(*(Background(lambda: release.wait(60), worker) for worker in workers))
    tee.log_config({})
    began = time.monotonic()
    with pytest.warns(RuntimeWarning, match=r"no answer within 0\.4 s"):
        tee.close()
    assert time.monotonic() - began < 1.5
    release.set()


def test_one_that_never_answers_is_waited_for_so_long_and_no_longer():
    worker, release = Worker("remote", 0.01, Deadline(0.3)), threading.Event()
    tee = Tee(Background(lambda: release.wait(60), worker))
    tee.log({}, 1)
    began = time.monotonic()
    with pytest.warns(RuntimeWarning, match=r"no answer within 0\.3 s"):
        tee.close()
    assert time.monotonic() - began < 2.0
    release.set()


def track_four(open_background):
    for _ in range(4):
        with Tee(open_background()) as tee:
            tee.log({}, 1)


def test_of_many_runs_at_one_destination_the_first_says_that_it_failed(worker):
    def refuse():
        raise OSError("no route")

    with pytest.warns(RuntimeWarning) as warned:
        track_four(lambda: Background(refuse, worker))
    assert len(warned) == 1


def test_a_destination_that_is_far_behind_is_given_up(monkeypatch):
    monkeypatch.setattr("vibe_rl.tracking.background.MOST_JOBS", 3)
    worker = Worker("remote", interval=60.0)
    for _ in range(4):
        worker.do(lambda: None)
    with pytest.raises(TrackingError, match="3 rows behind"):
        worker.check()
    worker.check()  # said once
    worker.end()


def test_a_destination_has_one_thread_for_all_runs_and_it_ends_with_them():
    with Destinations() as destinations:
        assert destinations.worker("a") is destinations.worker("a")
        assert destinations.worker("a") is not destinations.worker("b")
        running = {thread.name for thread in threading.enumerate()}
        assert {"tracker a", "tracker b"} <= running
    for thread in threading.enumerate():
        if thread.name.startswith("tracker "):
            thread.join(timeout=5.0)
            assert not thread.is_alive()
