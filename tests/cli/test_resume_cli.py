"""Resuming a run from the command line, in new processes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vibe_rl.checkpoint import load_metadata, saved_steps
from vibe_rl.cli import main
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import evaluate_run, load_run
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir, find_runs
from vibe_rl.system.lock import lock_directory

SHORT = "--runner.total_timesteps 4096 --runner.eval_every 1024 --runner.eval_episodes 4 "
SHORT += "--runner.checkpoint_interval 1024 --runner.checkpoint_share 1 "
SHORT += "--runner.plot false --runner.progress_bar false"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a short finished run."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["train", "cartpole_ppo", *SHORT.split()])
    return folder / "runs"


@pytest.fixture
def finished(trained, tmp_path, monkeypatch):
    """A short finished run, of which each test has a copy."""
    shutil.copytree(trained, tmp_path / "runs", symlinks=True)
    monkeypatch.chdir(tmp_path)
    return find_runs("runs")[0]


def test_a_run_is_extended_without_its_preset_and_the_change_is_recorded(finished, capsys):
    more = "--runner.total_timesteps 6144 --algo.lr 1e-4"
    main(["train", "--resume", str(finished), *more.split()])
    assert "Training complete | 6,144 env steps" in capsys.readouterr().out
    steps = [row["step"] for row in read_metrics(finished)]
    assert steps == sorted(set(steps))
    assert steps[-1] == 6144
    assert json.loads((finished.root / "config.json").read_text())["algo"]["lr"] == 2.5e-3
    assert json.loads((finished.root / "config_2.json").read_text())["algo"]["lr"] == 1e-4
    assert load_run(finished)[2]["step"] == 6144
    main(["train", "--resume", str(finished), "--runner.plot", "false"])
    assert not (finished.root / "config_3.json").exists()
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(finished), "--runner.overwrite", "true"])
    assert "a resumed run keeps its checkpoints, leave it out" in capsys.readouterr().err
    assert load_run(finished)[2]["step"] == 6144


def test_a_new_process_resumes_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "train cartpole_dqn --runner.total_timesteps 3000 --runner.checkpoint_interval 1000 "
    words += "--runner.checkpoint_share 1 --runner.eval_episodes 0 --runner.plot false"
    main([*words.split(), "--runner.progress_bar", "false"])
    (whole,) = find_runs("runs")
    shutil.copytree(whole.root, "runs/lost")
    for step in (2000, 3000):  # as if the process had been lost before them
        shutil.rmtree(f"runs/lost/checkpoints/step_{step}")
    command = [sys.executable, "-m", "vibe_rl", "train", "--resume", "runs/lost"]
    subprocess.run(command, check=True, capture_output=True)
    saved, resumed = (load_metadata(f"{run}/checkpoints") for run in (whole.root, "runs/lost"))
    assert resumed["step"] == 3000
    assert resumed["digests"] == saved["digests"]  # of every leaf of the state
    clocks = ("wall_time", "steps_per_second")
    rows, expected = (
        [{k: v for k, v in row.items() if k not in clocks} for row in read_metrics(run)]
        for run in ("runs/lost", whole.root)
    )
    assert rows == expected


def test_a_changed_shape_is_refused_with_both_shapes(finished, capsys):
    before = sorted(p.name for p in finished.root.iterdir())
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(finished), "--algo.hidden_sizes", "32"])
    assert "at hidden_sizes ([64, 64] saved, [32] expected): resume" in capsys.readouterr().err
    assert [p.name for p in find_runs("runs")[0].root.iterdir() if "config" in p.name] == [
        "config.json"
    ]
    assert set(before) <= {p.name for p in finished.root.iterdir()}


def test_the_best_agent_gives_its_figure_again(finished, capsys):
    rows = [row for row in read_metrics(finished) if "eval_return" in row]
    best = max(rows, key=lambda row: row["eval_return"])
    assert float(evaluate_run(finished, best=True).mean_return) == pytest.approx(
        best["eval_return"]
    )
    capsys.readouterr()
    main(["evaluate", str(finished), "--best"])
    assert f"return {best['eval_return']:.2f}" in capsys.readouterr().out


@pytest.mark.parametrize("symlinks", [False, True])  # as a folder, or none at all
def test_a_copy_without_its_mark_has_the_same_best_and_resumes(finished, symlinks, capsys):
    expected = evaluate_run(finished, best=True).mean_return
    shutil.copytree(finished.root, "runs/copy", symlinks=symlinks)
    copy = RunDir.open("runs/copy")
    if symlinks:
        (copy.checkpoints / "best").unlink()
    assert evaluate_run(copy, best=True).mean_return == expected
    main(["train", "--resume", "runs/copy", "--runner.total_timesteps", "6144"])
    assert "Training complete | 6,144 env steps" in capsys.readouterr().out
    assert copy.best_checkpoint is not None
    assert (copy.checkpoints / "best_copied").exists() != symlinks  # nothing is lost


def test_nothing_is_recorded_where_nothing_is_left_to_do(finished, capsys):
    def files():
        return sorted(str(path) for path in finished.root.rglob("*") if path.is_file())

    before = files()
    words = "--algo.lr 0.5 --runner.plot false --runner.progress_bar true"
    main(["train", "--resume", str(finished), *words.split()])
    assert files() == before
    assert "nothing is left to do" in capsys.readouterr().err


def test_a_budget_below_what_was_trained_is_refused(finished, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(finished), "--runner.total_timesteps", "1024"])
    said = capsys.readouterr().err
    assert re.search(r"total_timesteps 1024 is less than the \d+ env steps that were made", said)
    assert not (finished.root / "config_2.json").exists()


def test_a_second_process_in_a_run_is_refused(finished, capsys):
    with lock_directory(finished.checkpoints), pytest.raises(SystemExit):
        main(["train", "--resume", str(finished), "--algo.lr", "0.1"])
    assert "another process trains in" in capsys.readouterr().err
    assert not (finished.root / "config_2.json").exists()
    with (
        lock_directory(finished.checkpoints),
        pytest.raises(ConfigError),
        lock_directory(finished.checkpoints),
    ):
        pass


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--resume", "--resume needs a run"),
        ("--resume nowhere", "nowhere is not a run directory"),
        ("cartpole_ppo --runner.resume true", "runner.resume True: a new run has no checkpoints"),
        ("cartpole_ppo --runner.overwrite", "runner.overwrite True: a new run has no checkpoints"),
        ("cartpole_ppo --seeds 0:2 --runner.checkpoint_dir x", "runner.checkpoint_dir x: each run"),
        (
            "cartpole_ppo --seeds 0:2 --runner.checkpoint_interval None",
            "None: groups need checkpoints, give",
        ),
    ],
)
def test_bad_input_gets_one_sentence(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["train", *words.split()])
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_checkpoints_lie_where_the_command_line_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", "cartpole_ppo", *SHORT.split(), "--runner.checkpoint_dir", "mine"]
    main(words)
    (first,) = find_runs("runs")
    steps = saved_steps("mine")
    assert steps
    assert not list(first.checkpoints.iterdir())
    monkeypatch.chdir(tmp_path / "runs")  # the run knows where they are
    main(["evaluate", str(tmp_path / first.root), "--best"])
    assert "return" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(words)
    assert "mine is not empty: pass resume=True to resume from it" in capsys.readouterr().err
    main([*words, "--runner.resume", "--runner.total_timesteps", str(steps[-1] + 1024)])
    assert saved_steps("mine")[-1] == steps[-1] + 1024
    main([*words, "--runner.overwrite"])
    assert saved_steps("mine") == steps
    capsys.readouterr()
    main(["train", "--resume", str(max(find_runs("runs"), key=str).root)])
    assert "Training complete" in capsys.readouterr().out
    assert saved_steps("mine") == steps


LONG = "train cartpole_dqn --runner.total_timesteps 1e6 --runner.plot false "
LONG += "--runner.eval_episodes 0"


def begun(folder, *how, **environ):
    """A long run in a new process."""
    environ = os.environ | {"JAX_PLATFORMS": "cpu"} | environ
    out = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, *how, *LONG.split()]
    return subprocess.Popen(command, cwd=folder, env=environ, **out)


def until(condition):
    """Waits for it, at most two minutes."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


TWICE = """
import sys
from vibe_rl.cli import main
sys.argv[0] = "vibe-rl"
for expected in (130, 143):
    try:
        main()
    except SystemExit as end:
        assert end.code == expected, end.code
"""


def test_a_signal_ends_with_a_checkpoint_and_says_how_to_resume(tmp_path):
    process, logs = begun(tmp_path, "-c", TWICE), tmp_path / "runs"
    for i, number in enumerate((signal.SIGINT, signal.SIGTERM)):
        until(lambda: sum(p.stat().st_size > 0 for p in logs.glob("*/logs/metrics.jsonl")) > i)  # noqa: B023
        process.send_signal(number)
    said, shown = process.communicate(timeout=120)
    assert re.findall(r"(SIG\w+): saving step [\d,]+ \.\.\.", shown) == ["SIGINT", "SIGTERM"]
    runs = find_runs(logs)
    assert said.count("Training interrupted") == len(runs) == 2
    assert process.returncode == 0
    for run in runs:
        assert f"Resume with | vibe-rl train --resume {Path('runs') / run.root.name}" in said
        (step,) = saved_steps(run.checkpoints)[-1:]
        assert step > 0
        words = f"train --resume {run.root} --runner.total_timesteps {step + 400}"
        main([*words.split(), "--runner.plot", "false", "--runner.eval_episodes", "0"])
        assert saved_steps(run.checkpoints)[-1] == step + 400


def test_ctrl_c_while_it_compiles_ends_with_a_checkpoint_too(tmp_path):
    process = begun(tmp_path, "-m", "vibe_rl", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "cache"))
    assert "compiling" in process.stderr.read(200)  # said before anything is compiled
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    (run,) = find_runs(tmp_path / "runs")
    assert "Training interrupted" in said
    assert process.returncode == 130
    assert load_run(run)[2]["step"] > 0


SLOW_DISK = """
import sys, time
from vibe_rl.checkpoint import CheckpointManager
CheckpointManager.wait = lambda manager: time.sleep(100)
sys.argv[0] = "vibe-rl"
from vibe_rl.cli import main
main()
"""


def test_a_second_ctrl_c_ends_at_once_even_while_it_saves(tmp_path):
    process, logs = begun(tmp_path, "-c", SLOW_DISK), tmp_path / "runs"
    until(lambda: any(p.stat().st_size for p in logs.glob("*/logs/*")))
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=3) == -signal.SIGINT
    process.communicate()
