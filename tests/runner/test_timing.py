"""Where the time of a run goes: every moment counted once, and left in the run's directory."""

import time
from dataclasses import replace

import pytest

from small_run import CONFIG
from vibe_rl.experiment import resume, train
from vibe_rl.run_dir import find_runs
from vibe_rl.run_dir.group import members
from vibe_rl.run_dir.notes import SESSIONS, SessionNote, add_note, sessions_of
from vibe_rl.runner.timing import PHASES, Timing

HALF = replace(CONFIG, runner=replace(CONFIG.runner, total_timesteps=512))


def test_a_moment_counts_for_the_innermost_phase_only():
    timing = Timing()
    with timing.within("evaluate"):
        time.sleep(0.02)
        with timing.within("chunks"):
            time.sleep(0.05)
    seconds = timing.totals()
    assert seconds["chunks"] == pytest.approx(0.05, abs=0.02)
    assert seconds["evaluate"] == pytest.approx(0.02, abs=0.02)
    assert tuple(seconds) == PHASES


def test_a_run_leaves_where_its_time_went_and_it_adds_up(tmp_path):
    began = time.perf_counter()
    run_dir, result = train(CONFIG, tmp_path)
    elapsed = time.perf_counter() - began
    (session,) = sessions_of(run_dir)
    assert session == SessionNote(0, 1024, "finished", result.seconds)
    assert all(seconds > 0 for phase, seconds in session.seconds.items() if phase != "data")
    assert 0.3 * elapsed < sum(session.seconds.values()) < elapsed


def test_a_resumed_run_adds_a_session_from_where_it_resumed(tmp_path):
    run_dir, _ = train(HALF, tmp_path)
    resume(run_dir, CONFIG)
    first, second = sessions_of(run_dir)
    assert (first.from_step, first.step) == (0, 512)
    assert (second.from_step, second.step, second.status) == (512, 1024, "finished")


def test_members_of_a_group_say_that_their_time_was_shared(tmp_path):
    group, _ = train(HALF, tmp_path, seeds=[0, 1])
    notes = [sessions_of(member) for member in members(group)]
    assert [note.members for (note,) in notes] == [2, 2]
    assert notes[0][0].seconds["chunks"] > 0


def test_a_run_that_fails_says_why(tmp_path):
    def fail(step, agent_state, row):
        raise RuntimeError("the callback's own")

    with pytest.raises(RuntimeError):
        train(HALF, tmp_path, callback=fail)
    (session,) = sessions_of(find_runs(tmp_path)[0])
    assert (session.status, session.step, session.seconds) == ("failed", None, None)
    assert session.reason == "the callback's own"


def test_a_line_torn_by_a_kill_is_replaced(tmp_path):
    run_dir, _ = train(HALF, tmp_path)
    path = run_dir.log_path(SESSIONS)
    path.write_bytes(path.read_bytes() + b'{"from_st')
    add_note(run_dir, SESSIONS, SessionNote(512, 1024, "finished", None))
    assert [note.step for note in sessions_of(run_dir)] == [512, 1024]
