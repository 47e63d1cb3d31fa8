"""Histories of trainings as SQLite files, read back by SQLite and by the library."""

import json
import math
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from small_run import CONFIG
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import resume, train
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import RunnerConfig, train_dqn
from vibe_rl.tracking import (
    SQLiteTracker,
    Tee,
    recent_episodes,
    sqlite,
    sqlite_store,
    summarize_run,
)
from vibe_rl.tracking.named import send


def tracked(config, **runner):
    return replace(config, runner=replace(config.runner, track=("sqlite",), **runner))


def ask(path, question, *values):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question, values).fetchall()


def history(run_dir):
    return run_dir.log_path("training_history.db")


def curves(run_dir):
    """Names with their steps and values, of the last run in the file."""
    question = "SELECT name, step, value FROM metrics WHERE run_id = (SELECT max(id) FROM runs)"
    table = {}
    for name, step, value in ask(history(run_dir), f"{question} ORDER BY step"):
        table.setdefault(name, []).append((step, value))
    return table


def expected(run_dir):
    """The same from the log."""
    table = {}
    for row in read_metrics(run_dir):
        for name, value in row.items():
            if name != "step" and value is not None and "episode_return" not in row:
                table.setdefault(name, []).append((row["step"], value))
    return table


def episode(step, episode_return=1.0, length=10, **metrics):
    named = {f"episode/{name}": value for name, value in metrics.items()}
    return {"step": step, "episode_return": episode_return, "episode_length": length, **named}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "history.db"


def train_small(run_dir, **runner):
    """A run that reports single episodes."""
    env, env_params = make("CartPole-v1")
    small = {"total_timesteps": 1024, "num_envs": 2, "progress_bar": False, "plot": False}
    runner = RunnerConfig(**small, eval_episodes=0, track=("sqlite",), **runner)
    dqn = DQNConfig(hidden_sizes=(8,))
    how = {"dqn_config": dqn, "runner_config": runner, "run_dir": run_dir}
    train_dqn(AutoResetWrapper(env), env_params, **how)


def test_a_run_is_there_with_its_config_its_state_and_every_number_of_its_log(tmp_path):
    run_dir, _ = train(tracked(CONFIG), tmp_path)
    assert curves(run_dir) == expected(run_dir)
    ((name, config, state, started, ended),) = ask(
        history(run_dir), "SELECT name, config, state, started, ended FROM runs"
    )
    assert (name, state) == (run_dir.root.name, "finished")
    assert json.loads(config)["algo"]["hidden_sizes"] == [8]
    assert started <= ended
    assert started.endswith("+00:00")
    assert sorted(path.name for path in run_dir.logs.glob("training_history*")) == [
        "training_history.db"
    ]


def test_a_resumed_run_has_each_row_once(tmp_path):
    run_dir, _ = train(tracked(CONFIG, total_timesteps=512), tmp_path)
    resume(run_dir, tracked(CONFIG))
    assert curves(run_dir) == expected(run_dir)
    assert ask(history(run_dir), "SELECT count(*) FROM runs") == [(1,)]


def test_rows_after_the_checkpoint_from_which_a_run_resumes_are_replaced(tmp_path):
    config = tracked(CONFIG, checkpoint_interval=1024, total_timesteps=1024)
    run_dir, _ = train(config, tmp_path)
    before = curves(run_dir)
    for checkpoint in run_dir.list_checkpoints():  # as if a crash had come before the first
        checkpoint.rename(tmp_path / checkpoint.name)
    resume(run_dir, config)
    assert curves(run_dir) == expected(run_dir)
    assert curves(run_dir)["wall_time"] != before["wall_time"]


def test_a_finished_run_is_sent_once_however_often_it_is_sent(tmp_path):
    run_dir, _ = train(CONFIG, tmp_path)
    for _ in range(2):
        send("sqlite", run_dir)
    assert curves(run_dir) == expected(run_dir)
    assert ask(history(run_dir), "SELECT state, started, ended FROM runs") == [
        ("finished", None, None)  # when it was trained is not known here
    ]


def test_what_an_overwritten_run_has_left_is_a_run_of_its_own(tmp_path):
    run_dir = RunDir("dqn", tmp_path)
    for overwrite in (False, True):
        train_small(run_dir, overwrite=overwrite)
    question = "SELECT run_id, count(*) FROM episodes GROUP BY run_id"
    (first, n), (second, m) = ask(history(run_dir), question)
    assert first < second
    assert n == m == summarize_run(run_dir).episodes


def test_single_episodes_are_rows_of_their_own_and_sum_up_as_the_log_does(tmp_path):
    run_dir = RunDir("dqn", tmp_path)
    train_small(run_dir)
    rows = [row for row in read_metrics(run_dir) if "episode_return" in row]
    question = "SELECT step, episode_return, episode_length FROM episodes ORDER BY step, nth"
    wanted = [(row["step"], row["episode_return"], row["episode_length"]) for row in rows]
    assert ask(history(run_dir), question) == wanted
    summary = summarize_run(run_dir)
    assert (summary.run, summary.state) == (run_dir.root.name, "finished")
    assert summary.episodes == len(rows) > 10
    returns = [row["episode_return"] for row in rows]
    assert summary.max_return == max(returns)
    assert summary.mean_return == pytest.approx(sum(returns) / len(returns))
    assert summary.mean_length == pytest.approx(summary.mean_return)  # CartPole pays 1 a step
    assert summary.victories is None


def test_a_run_without_single_episodes_is_summed_up_from_its_rows(path):
    tracker = SQLiteTracker(path)
    for step, episodes, mean, best in ((10, 1, 4.0, 4.0), (20, 3, 8.0, 9.0)):
        figures = {"episode_return_mean": mean, "episode_return_max": best}
        tracker.log({"episodes": episodes, "episode_length_mean": mean / 2, **figures}, step)
    tracker.log({"episodes": 0}, 30)
    summary = summarize_run_of(tracker)
    assert summary.episodes == 4
    assert summary.mean_return == (1 * 4.0 + 3 * 8.0) / 4
    assert summary.max_return == 9.0
    assert summary.mean_length == (1 * 2.0 + 3 * 4.0) / 4


def summarize_run_of(tracker, **how):
    tracker.close()
    return summarize_run(tracker.path, **how)


def test_victories_are_counted_and_not_summed(path):
    tracker = SQLiteTracker(path)
    for step, victory in enumerate([500.0, 0.0, 700.0, 0.0], start=1):
        tracker.log(episode(step, victory=victory, highest_stage=step), step)
    summary = summarize_run_of(tracker)
    assert summary.victories == 2
    assert summary.means == {"victory": 300.0, "highest_stage": 2.5}
    assert summary.maxima == {"victory": 700.0, "highest_stage": 4.0}
    assert summarize_run(path, victory="nothing").victories is None


def test_recent_episodes_begin_with_the_last(path):
    tracker = SQLiteTracker(path)
    for step in (1, 2, 2, 3):
        tracker.log(episode(step, length=step, highest_stage=step) | {"wall_time": 0.5}, step)
    tracker.close()
    first, *others = recent_episodes(path, 3)
    assert first == {
        "step": 3,
        "episode_return": 1.0,
        "episode_length": 3,
        "wall_time": 0.5,
        "highest_stage": 3,
    }
    assert [row["step"] for row in others] == [2, 2]


def test_episodes_that_end_together_are_all_there_and_once_when_they_are_told_again(path):
    rows = [episode(4, 1.0), episode(4, 1.0), episode(8, 2.0)]
    tracker = SQLiteTracker(path)
    for row in rows:
        tracker.log(row, row["step"])
    tracker.close("interrupted")
    again = SQLiteTracker(path)
    again.rewind(4)
    for row in [*rows[:2], episode(4, 5.0), episode(6, 6.0)]:  # the log, then what is new
        again.log(row, row["step"])
    again.close()
    question = "SELECT step, nth, episode_return FROM episodes"
    assert ask(path, question) == [(4, 0, 1.0), (4, 1, 1.0), (4, 2, 5.0), (6, 0, 6.0)]
    assert ask(path, "SELECT name, state FROM runs") == [("run", "finished")]


def test_runs_share_a_file_and_do_not_see_each_other(path):
    trackers = [SQLiteTracker(path, name) for name in ("a", "b")]
    for step in (1, 2, 3):
        for number, tracker in enumerate(trackers):
            tracker.log({"loss": 10.0 * number + step}, step)
            tracker.flush()
    trackers[0].rewind(1)
    for tracker in trackers:
        tracker.close()
    question = "SELECT value FROM metrics JOIN runs ON runs.id = run_id WHERE runs.name = ?"
    assert ask(path, question, "a") == [(1.0,)]
    assert ask(path, question, "b") == [(11.0,), (12.0,), (13.0,)]
    with pytest.raises(ConfigError, match="unknown run 'c': choose from a, b"):
        summarize_run(path, "c")


def test_a_reader_sees_what_is_committed_while_the_run_goes_on(path):
    tracker = SQLiteTracker(path)
    tracker.log({"loss": 0.5}, 1)
    assert ask(path, "SELECT value FROM metrics") == []
    tracker.flush()
    with closing(sqlite3.connect(path, timeout=0)) as reader:
        begun = reader.execute("SELECT value FROM metrics")
        assert begun.fetchone() == (0.5,)
        tracker.log({"loss": 0.25}, 2)
        tracker.flush()  # though the reader is not done
    assert summarize_run(path).state == "running"
    tracker.close()
    assert ask(path, "SELECT value FROM metrics") == [(0.5,), (0.25,)]


def test_rows_are_committed_together(path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(sqlite.time, "monotonic", lambda: clock[0])
    tracker = SQLiteTracker(path)
    commits = []
    tracker._connection.set_trace_callback(lambda text: commits.append(text == "COMMIT"))
    for step in range(1000):
        clock[0] += 0.01
        tracker.log({"loss": 0.5}, step)
        tracker.log(episode(step), step)
    assert sum(commits) == 9  # of ten seconds; the last is not over
    tracker.close()
    assert ask(path, "SELECT count(*) FROM episodes") == [(1000,)]


def test_what_is_no_finite_number_is_left_out(path):
    tracker = SQLiteTracker(path)
    tracker.log({"step": 7, "loss": math.nan, "name": "text", "big": math.inf, "good": 1})
    tracker.close()
    tracker.close()
    assert ask(path, "SELECT name, step, value FROM metrics") == [("good", 7, 1.0)]


def test_a_file_that_another_writer_holds_is_given_up_with_one_warning(path, monkeypatch):
    monkeypatch.setattr(sqlite_store, "PATIENCE", 0.1)
    tracker = SQLiteTracker(path)
    tee = Tee(tracker)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        tracker._due = 0.0
        with pytest.warns(RuntimeWarning, match=r"history\.db cannot be written \(database is l"):
            tee.log({"loss": 1.0}, 1)
        tee.log({"loss": 2.0}, 2)
        tee.close()


def test_a_run_goes_on_where_the_history_cannot_be_written(tmp_path):
    run_dir = RunDir("r", tmp_path)
    history(run_dir).mkdir()
    with pytest.warns(RuntimeWarning, match="sqlite failed in .* and is ignored") as warned:
        train_small(run_dir)
    assert len(warned) == 1
    assert read_metrics(run_dir)


def test_a_file_that_must_not_be_written_is_named(path, monkeypatch):
    SQLiteTracker(path).close()

    def connect(path, **how):  # as where root has mounted it read-only
        return sqlite3.Connection(f"{path.as_uri()}?mode=ro", uri=True, **how)

    monkeypatch.setattr(sqlite_store.sqlite3, "connect", connect)
    with pytest.raises(ConfigError, match=r"history\.db cannot be written \(attempt to write a re"):
        SQLiteTracker(path)


def test_files_of_others_are_left_as_they_are(tmp_path):
    text, foreign = tmp_path / "notes.txt", tmp_path / "mlflow.db"
    text.write_text("no database, but long enough for a header of a hundred bytes" * 10)
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE runs (id)")
    for path in (text, foreign):
        before = path.read_bytes()
        with pytest.raises(ConfigError, match="is no training history: name another file"):
            SQLiteTracker(path)
        with pytest.raises(ConfigError, match="is no training history"):
            summarize_run(path)
        assert path.read_bytes() == before
    with pytest.raises(ConfigError, match="does not exist: train with --track sqlite"):
        recent_episodes(tmp_path / "nowhere.db")


def test_an_older_file_is_brought_to_the_present_version_and_keeps_its_rows(path, monkeypatch):
    tracker = SQLiteTracker(path)
    tracker.log({"loss": 0.5}, 1)
    tracker.close()
    later = (*sqlite_store.MIGRATIONS, ("ALTER TABLE runs ADD COLUMN note TEXT",))
    monkeypatch.setattr(sqlite_store, "MIGRATIONS", later)
    SQLiteTracker(path).close()
    assert ask(path, "PRAGMA user_version") == [(2,)]
    assert ask(path, "SELECT value, note FROM metrics JOIN runs ON id = run_id") == [(0.5, None)]


def test_a_migration_that_fails_leaves_the_file_as_it_was(path, monkeypatch):
    SQLiteTracker(path).close()
    broken = ("ALTER TABLE runs ADD COLUMN note TEXT", "ALTER TABLE absent ADD COLUMN x")
    monkeypatch.setattr(sqlite_store, "MIGRATIONS", (*sqlite_store.MIGRATIONS, broken))
    with pytest.raises(ConfigError, match="no such table: absent"):
        SQLiteTracker(path)
    assert ask(path, "PRAGMA user_version") == [(1,)]
    assert "note" not in [column[1] for column in ask(path, "PRAGMA table_info(runs)")]


def test_a_file_of_a_later_version_is_refused_and_both_versions_are_named(path):
    SQLiteTracker(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match=r"has version 99 .* knows 1: update it"):
        SQLiteTracker(path)
