"""Runs of a directory at a glance: every state, groups, and what is broken."""

import json
import os
import re

import pytest

from vibe_rl import cli
from vibe_rl.analysis.listing import list_runs
from vibe_rl.cli.runs import age, size
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir import RunDir
from vibe_rl.run_dir.divergence import Divergence, mark_diverged
from vibe_rl.run_dir.notes import HEALTH, SESSIONS, HealthNote, SessionNote, add_note
from vibe_rl.system.lock import LOCK, is_locked, lock_directory
from vibe_rl.tracking.jsonl import MetricsLogger

ROWS = (
    {"step": 100, "update": 1, "episode_return_mean": 3.0},
    {"step": 200, "update": 2, "eval_return": 9.0, "episode_return_mean": 5.0},
    {"step": 300, "update": 3, "eval_return": 7.0},
)
BEGAN = 1_700_000_000


def a_run(base, name, *notes, rows=ROWS, began=BEGAN, **runner):
    run = RunDir(base_dir=base, run_id=name)
    config = run.save_config({"runner": {"total_timesteps": 300, **runner}})
    os.utime(config, (began, began))
    with MetricsLogger(run.log_path()) as log:
        for row in rows:
            log.write(row)
    for note in notes:
        add_note(run, SESSIONS, note)
    return run


def session(step, status, **how):
    return SessionNote(0, step, status, None, **how)


def states(base):
    return {run.name: run.state for run in list_runs(base)}


def test_a_run_stands_as_its_last_session_ended(tmp_path):
    a_run(tmp_path, "finished", session(300, "finished"))
    a_run(tmp_path, "interrupted", session(300, "interrupted"))
    a_run(tmp_path, "failed", session(None, "failed", reason="out of memory"))
    a_run(tmp_path, "killed")
    a_run(tmp_path, "killed_after_it_resumed", session(200, "interrupted"))
    diverged = a_run(tmp_path, "diverged", session(None, "failed", reason="loss became nan"))
    add_note(diverged, HEALTH, HealthNote(300, "non_finite", "loss became nan"))
    mark_diverged(a_run(tmp_path, "member", session(300, "failed")), Divergence(300, "nan"))
    assert states(tmp_path) == {
        "finished": "finished",
        "interrupted": "interrupted",
        "failed": "died",
        "killed": "died",
        "killed_after_it_resumed": "died",
        "diverged": "diverged",
        "member": "diverged",
    }


def test_a_run_whose_lock_is_held_is_running_wherever_its_checkpoints_are(tmp_path):
    here = a_run(tmp_path / "runs", "here", session(300, "finished"))
    a_run(tmp_path / "runs", "elsewhere", checkpoint_dir=str(tmp_path / "checkpoints"))
    with lock_directory(here.checkpoints), lock_directory(tmp_path / "checkpoints"):
        assert states(tmp_path / "runs") == {"elsewhere": "running", "here": "running"}
    assert states(tmp_path / "runs") == {"elsewhere": "died", "here": "finished"}


def test_to_ask_whether_a_directory_is_locked_leaves_it_as_it_is(tmp_path):
    assert not is_locked(tmp_path / "nowhere")
    (tmp_path / LOCK).touch()  # as a killed process leaves it
    assert not is_locked(tmp_path)
    with lock_directory(tmp_path):
        assert is_locked(tmp_path)


def test_a_row_has_figures_age_and_size(tmp_path):
    run = a_run(tmp_path, "run", session(300, "finished"))
    (run.checkpoints / "weights").write_bytes(bytes(10_000))
    (listed,) = list_runs(tmp_path)
    assert (listed.step, listed.total, listed.best, listed.last) == (300, 300, 9.0, 5.0)
    assert listed.began == BEGAN
    assert 10_000 < listed.size < 12_000


def test_a_run_that_has_logged_nothing_has_no_figures(tmp_path):
    a_run(tmp_path, "run", rows=())
    (listed,) = list_runs(tmp_path)
    assert (listed.state, listed.step, listed.best, listed.last) == ("died", 0, None, None)


def test_a_group_is_a_row_and_its_members_are_rows_of_its_own_list(tmp_path):
    group = a_run(tmp_path, "group", rows=())
    for i, status in enumerate(("finished", "finished", "interrupted")):
        rows = [row | {"eval_return": float(i)} for row in ROWS]
        a_run(group.root / "members", f"seed_{i}", session(300, status), rows=rows)
    (listed,) = list_runs(tmp_path)
    assert (listed.state, listed.members) == ("interrupted", 3)
    assert listed.note == "1 interrupted, 2 finished"
    assert (listed.step, listed.total, listed.best, listed.last) == (900, 900, 2.0, 5.0)
    assert len(list_runs(group.root)) == 3


def test_broken_directories_are_rows_that_say_what_is_broken(tmp_path):
    a_run(tmp_path, "sound", session(300, "finished"))
    log = a_run(tmp_path, "log").log_path()
    log.write_text("{\n" + log.read_text())
    (a_run(tmp_path, "config").root / "config.json").write_text("{")
    (a_run(tmp_path, "notes").log_path(SESSIONS)).write_text('{"other": 1}\n')
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_text("{}")
    (tmp_path / "something_else").mkdir()
    found = {run.name: run for run in list_runs(tmp_path)}
    assert {n for n, run in found.items() if run.state == "broken"} == {
        "log",
        "config",
        "notes",
        "half",
    }
    assert found["sound"].state == "finished"
    assert "something_else" not in found
    assert "metrics.jsonl" in found["log"].note
    assert "no folder logs/" in found["half"].note


def test_the_command_prints_a_table_or_a_line_of_json_each(tmp_path, capsys):
    a_run(tmp_path, "later", session(300, "finished"), began=BEGAN + 1)
    a_run(tmp_path, "earlier", session(300, "interrupted"))
    cli.main(["runs", str(tmp_path)])
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "state", "step", "best", "last", "age", "size"]
    assert re.fullmatch(r"earlier +interrupted +300 of 300 +9\.00 +5\.00 +\d+ d +[\d.]+ k?B", first)
    assert second.startswith("later")
    cli.main(["runs", str(tmp_path), "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == ["earlier", "later"]
    assert lines[0]["state"] == "interrupted"


def test_a_directory_without_runs_and_one_that_is_missing_are_told_apart(tmp_path, capsys):
    cli.main(["runs", str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path} holds no runs.\n"
    with pytest.raises(ConfigError, match="nowhere is no directory"):
        list_runs(tmp_path / "nowhere")


def test_ages_and_sizes_are_short():
    assert [age(s) for s in (5, 90, 7200, 200_000)] == ["5 s", "2 min", "2 h", "2 d"]
    assert [size(n) for n in (0, 999, 1000, 12_345, 3.2e9)] == [
        "0 B",
        "999 B",
        "1 kB",
        "12.3 kB",
        "3.2 GB",
    ]
