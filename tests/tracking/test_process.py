"""Trackers in a process of their own."""

import io
import json
import logging
import signal
import sqlite3
import time
from contextlib import closing
from typing import ClassVar

import pytest

from vibe_rl.run_dir import RunDir
from vibe_rl.tracking import process as module
from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.process import RemoteTracker, TrackerProcess, serve_tracker
from vibe_rl.tracking.tensorboard import last_step


@pytest.fixture
def run_dir(tmp_path):
    return RunDir("run", tmp_path)


def test_a_tracker_there_hears_what_this_one_is_told(run_dir):
    process = TrackerProcess("tensorboard")
    tracker = RemoteTracker(process, run_dir, None)
    tracker.log_config({"lr": 0.1})
    for step in range(1, 4):
        tracker.log({"loss": float("nan") if step == 2 else 0.5}, step)
    tracker.close()
    process.end()
    assert last_step(run_dir.logs) == 3


def test_what_fails_there_is_an_error_here(run_dir):
    process = TrackerProcess("nothing")
    with pytest.raises(RuntimeError, match="nothing"):
        RemoteTracker(process, run_dir, None)
    process.end()


def test_a_process_that_is_lost_is_an_error(run_dir):
    process = TrackerProcess("tensorboard")
    tracker = RemoteTracker(process, run_dir, None)
    process._process.send_signal(signal.SIGKILL)
    tracker.log({}, 1)
    with pytest.raises(RuntimeError, match="its process ended with exit status -9"):
        tracker.close()
    process.end()


def test_a_process_that_does_not_end_is_ended(run_dir, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_TO_END", 0.1)
    process = TrackerProcess("tensorboard")
    RemoteTracker(process, run_dir, None)
    process._process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    process.end()
    assert time.monotonic() - began < 5.0


class Talker(Tracker):
    """Says something when it is closed."""

    ended: ClassVar[list[str]] = []

    def close(self, status="finished"):
        logging.getLogger("vibe_rl").warning(f"{status} indeed")
        self.ended.append(status)


def served(requests, monkeypatch):
    """The replies to requests, of a process whose trackers are Talkers."""
    logger = logging.getLogger("vibe_rl")
    monkeypatch.setattr(module, "caught_up", lambda *_: Talker())
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)
    Talker.ended.clear()
    replies = io.StringIO()
    serve_tracker("talker", io.StringIO("".join(f"{json.dumps(r)}\n" for r in requests)), replies)
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def test_what_a_tracker_says_comes_with_the_reply(run_dir, monkeypatch):
    root = str(run_dir.root)
    replies = served([[root, "open", [None]], [root, "close", ["interrupted"]]], monkeypatch)
    assert replies == [[None, []], [None, ["interrupted indeed"]]]


def test_a_run_that_ended_well_has_not_failed_where_its_tracker_was_too_slow(run_dir, monkeypatch):
    root = str(run_dir.root)
    assert served([[root, "open", [None]], ["", "abandon", ["finished"]]], monkeypatch) == [
        [None, []]
    ]
    assert Talker.ended == ["finished"]
    process = TrackerProcess("sqlite")
    RemoteTracker(process, run_dir, None)
    process.note_end("interrupted")
    process.end()
    with closing(sqlite3.connect(run_dir.log_path("training_history.db"))) as history:
        assert history.execute("SELECT state FROM runs").fetchall() == [("interrupted",)]


def test_runs_that_nobody_closed_have_failed(run_dir, monkeypatch):
    served([[str(run_dir.root), "open", [None]]], monkeypatch)
    assert Talker.ended == ["failed"]
