"""Where the time of a run goes: every moment counted once, and left in the run's directory."""

import time
from dataclasses import replace

import pytest

from small_run import CONFIG
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.experiment import resume, train
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import find_runs
from vibe_rl.run_dir.group import members
from vibe_rl.run_dir.notes import SESSIONS, SessionNote, add_note, sessions_of
from vibe_rl.runner import EnvParamsSchedule, RunnerConfig, fit, prepare
from vibe_rl.runner.timing import PHASES, Timing
from vibe_rl.runner.train_ppo import ppo

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
    assert session == SessionNote(0, 1024, "finished", result.seconds, manifest=1)
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


def test_rows_say_where_the_time_since_the_row_before_went(tmp_path):
    run_dir, result = train(replace(HALF, runner=replace(HALF.runner, log_times=True)), tmp_path)
    rows = [row for row in read_metrics(run_dir) if "update" in row]
    assert [row["step"] for row in rows] == [128, 256, 384, 512]
    for row in rows:
        parts = [row[f"{name}_time"] for name in ("data", "training", "eval", "log")]
        assert sum(parts) == pytest.approx(row["iter_time"], abs=1e-6)
        assert min(parts) >= 0
    assert [row["eval_time"] > 0 for row in rows] == [False, True, False, True]
    said = sum(row["iter_time"] for row in rows)
    assert 0 < said <= sum(result.seconds.values()) + 0.01  # the last checkpoint comes after them


def test_waiting_for_params_is_a_phase_of_its_own():
    env, env_params = make("CartPole-v1")

    def slow(update):
        time.sleep(0.2 * (update > 0))
        return env_params

    env, schedule = AutoResetWrapper(env), EnvParamsSchedule(slow, every=1)
    config = PPOConfig(hidden_sizes=(4,), num_envs=2, n_steps=4, n_minibatches=2)
    runner = RunnerConfig(total_timesteps=24, eval_episodes=0)
    run = prepare(ppo(env, schedule, config, runner), env, schedule, runner, 2)
    assert fit(run).seconds["data"] > 0.1, "of 0.4 seconds, less what the first chunk compiled"
