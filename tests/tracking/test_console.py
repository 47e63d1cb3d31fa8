import io
import logging
import math
import re
from types import SimpleNamespace

import jax.numpy as jnp
import pytest

from vibe_rl.tracking import console, log_lines
from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.console import ConsoleTracker, TrainingProgress
from vibe_rl.tracking.log_lines import log_step_progress, setup_logging


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def terminal(monkeypatch):
    stream = Terminal()
    for module in (console, log_lines):
        monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=stream))  # pytest owns sys.stderr
    monkeypatch.setenv("COLUMNS", "120")
    return stream


@pytest.fixture
def logger():
    logger = logging.getLogger("vibe_rl")
    level, propagates = logger.level, logger.propagate
    yield setup_logging()
    logger.handlers.clear()
    logger.setLevel(level)
    logger.propagate = propagates


def screens(stream):
    """What stood on the line, one refresh after the other."""
    return [text for text in re.split(r"[\r\n]+", stream.getvalue()) if text.strip()]


def test_a_log_line_has_a_letter_the_time_and_the_message(logger, capsys):
    logger.warning("slow")
    assert re.fullmatch(r"W \d\d:\d\d:\d\d\.\d{3} slow\n", capsys.readouterr().err)


def test_setting_up_twice_prints_once_and_sets_the_new_level(logger, capsys):
    setup_logging(logging.ERROR)
    logger.warning("unheard")
    logger.error("heard")
    assert capsys.readouterr().err.count("\n") == 1
    assert not logger.propagate


def test_a_step_line_leaves_step_and_wall_time_out(logger, capsys):
    log_step_progress(50, 200, {"step": 50, "wall_time": 3.0, "loss": 0.123456, "note": "ok"})
    assert capsys.readouterr().err.endswith("step 50/200 (25.0%) | loss=0.1235 note=ok\n")


def test_a_step_line_needs_no_metrics(logger, capsys):
    log_step_progress(0, 0)
    assert capsys.readouterr().err.endswith("step 0/0 (0.0%)\n")


def test_a_log_line_stands_above_the_progress_line(logger, terminal):
    with TrainingProgress(100) as progress:
        progress.update(50)
        logger.info("saved")
    before, after = terminal.getvalue().split("saved\n")
    assert "50/100" in before
    assert "50/100" in after


def test_the_progress_line_shows_step_total_and_returns(terminal):
    with TrainingProgress(1_000_000, "cart ppo") as progress:
        progress.update(409_600, {"episode_return": 475.25, "eval_return": 500.0, "loss": 3.0})
    last = screens(terminal)[-1]
    assert last.startswith("cart ppo:  41%|")
    assert "409,600/1,000,000" in last
    assert "steps/s, return 475.2, eval 500]" in last
    assert "loss" not in last
    assert terminal.getvalue().endswith("\n")


def test_a_status_is_shown_until_the_first_update(terminal):
    with TrainingProgress(100) as progress:
        progress.status("compiling ...")
        assert "compiling ..." in screens(terminal)[-1]
        progress.update(10)
        assert "compiling" not in screens(terminal)[-1]


def test_updates_closer_than_a_tenth_of_a_second_are_not_shown(clock, terminal):
    with TrainingProgress(100) as progress:
        progress.update(10)
        shown = len(terminal.getvalue())
        progress.update(20)
        assert len(terminal.getvalue()) == shown
        clock[0] += 0.11
        progress.update(30)
        assert "30/100" in screens(terminal)[-1]


def test_closing_shows_what_was_held_back_and_may_be_repeated(clock, terminal):
    progress = TrainingProgress(100)
    progress.update(10)
    progress.update(100, {"episode_return": 9.0})
    progress.close()
    shown = terminal.getvalue()
    assert "100/100" in screens(terminal)[-1]
    assert "return 9" in screens(terminal)[-1]
    progress.close()
    assert terminal.getvalue() == shown


def test_an_evaluation_stays_on_display_and_nan_does_not_replace_a_return(clock, terminal):
    with TrainingProgress(100) as progress:
        progress.update(10, {"episode_return": jnp.float32(5.0), "eval_return": 7.0})
        progress.update(20, {"episode_return": math.nan})
    assert "return 5, eval 7]" in screens(terminal)[-1]


def test_more_steps_than_planned_leave_a_full_bar(terminal):
    with TrainingProgress(100) as progress:
        progress.update(128)
    assert "100%|" in screens(terminal)[-1]


@pytest.mark.parametrize("columns", [120, 90, 78])
def test_the_bar_gives_way_to_the_returns(terminal, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    progress = TrainingProgress(100_000, "CartPole")
    progress.update(50_000, {"episode_return": 1.0, "steps_per_second": 1234.0})
    line = screens(terminal)[-1]
    progress.close()
    assert line.startswith("CartPole:  50%|")
    assert "return 1]" in line
    bar = len(line.split("|")[1])
    assert bar == 30 if columns == 120 else 4 <= bar < 30
    assert len(line) < columns
    assert columns == 120 or len(line) == columns - 1


def test_a_narrow_terminal_drops_the_name_before_the_returns(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    progress = TrainingProgress(1_000_000, "CartPole-v1 ppo")
    progress.update(500_000, {"episode_return": 475.2, "eval_return": 500.0})
    line = screens(terminal)[-1]
    progress.close()
    assert line.startswith(" 50%|##")
    assert "| 500k/1.00M [" in line
    assert line.endswith("return 475.2, eval 500]")
    assert len(line) == 79


def test_without_a_terminal_there_is_a_line_at_most_every_two_seconds(clock, capsys):
    tracker = ConsoleTracker(1000, "cart")
    for step, seconds in [(100, 0.0), (200, 1.0), (300, 1.1), (400, 0.5)]:
        clock[0] += seconds
        tracker.log({"episode_return": float(step)}, step)
    tracker.close()
    tracker.close()
    first, second, last = capsys.readouterr().err.splitlines()
    assert first == "cart: step 100/1,000 (10%) | 00:00 | return 100"
    # 200 steps in 2.1 s are 95.2 steps/s; 700 more take 7.35 s
    assert second == "cart: step 300/1,000 (30%) | 00:02<00:07 | 95.2 steps/s | return 300"
    assert last.startswith("cart: step 400/1,000 (40%)")


def test_the_speed_is_the_rows_own_where_they_have_it(clock, capsys):
    tracker = ConsoleTracker(1000)
    for step, speed in [(100, 50.0), (300, None), (400, 10.0)]:
        tracker.log({} if speed is None else {"steps_per_second": speed}, step)
        clock[0] += 2.0
    tracker.close()
    first, second, last = capsys.readouterr().err.splitlines()
    assert first == "step 100/1,000 (10%) | 00:00<00:18 | 50.0 steps/s"
    assert second.endswith("| 00:02")  # nothing to measure its own speed by, so far
    assert last == "step 400/1,000 (40%) | 00:04<01:00 | 10.0 steps/s"


def test_a_line_soon_after_another_measures_no_speed_of_its_own(clock, capsys):
    tracker = ConsoleTracker(1000)
    tracker.log({}, 100)
    clock[0] += 0.001
    tracker.log({}, 900)
    tracker.close()
    assert capsys.readouterr().err.splitlines()[-1] == "step 900/1,000 (90%) | 00:00"


def test_two_chunks_that_are_reported_at_once_make_no_speed_of_their_own(clock, capsys):
    tracker = ConsoleTracker(700)
    for step in (100, 200, 300, 400, 500):  # every 2 s
        tracker.log({}, step)
        clock[0] += 2.0
    clock[0] -= 1.4
    tracker.log({}, 600)
    tracker.log({}, 700)
    tracker.close()
    # 600 steps in 8.6 s since the first line, not 200 steps in 0.6 s
    assert capsys.readouterr().err.splitlines()[-1].endswith("| 00:08<00:00 | 69.8 steps/s")


def test_without_a_terminal_a_status_is_a_line(capsys):
    tracker = ConsoleTracker(1000)
    tracker.status("compiling ...")
    tracker.close()
    assert capsys.readouterr().err == "compiling ...\n"


def test_on_a_terminal_the_tracker_shows_a_bar(terminal):
    tracker = ConsoleTracker(1000, "cart")
    assert isinstance(tracker, Tracker)
    tracker.status("compiling ...")
    tracker.log_config({"lr": 1})
    tracker.log({"episode_return": 3.0}, 500)
    tracker.log_file("curve.png")
    tracker.close()
    assert "50%|" in screens(terminal)[-1]


def test_a_resumed_run_starts_at_its_step(terminal):
    ConsoleTracker(1000, initial=500).close()
    assert "50%|" in screens(terminal)[0]
