"""Runs that go back to an earlier checkpoint: nothing is lost, and what follows is the same."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from small_run import CONFIG
from vibe_rl import cli
from vibe_rl.analysis.listing import state_of
from vibe_rl.checkpoint import saved_steps
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import resume, train
from vibe_rl.experiment import rewinding as module
from vibe_rl.experiment.rewinding import locate, set_aside_after
from vibe_rl.metrics import WandbBackend, read_metrics
from vibe_rl.run_dir import RunDir
from vibe_rl.run_dir.notes import sessions_of

OURS = replace(
    CONFIG,
    runner=replace(
        CONFIG.runner,
        checkpoint_interval=256,
        checkpoint_share=1.0,
        max_checkpoints=9,
        save_params=True,
        eval_episodes=1,
        eval_every=512,
        eval_max_steps=10,
    ),
)
SET_ASIDE = "set_aside_after_step_512"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "runs"
    run_dir, result = train(OURS, folder)
    return run_dir, result


@pytest.fixture
def run(trained, tmp_path):
    """A finished run, of which each test has a copy."""
    path = tmp_path / trained[0].root.name
    shutil.copytree(trained[0].root, path, symlinks=True)
    return RunDir.open(path)


def rows_of(run_dir):
    timed = ("wall_time", "steps_per_second")
    rows = read_metrics(run_dir)
    return [{name: x for name, x in row.items() if name not in timed} for row in rows]


def weights(state):
    return [np.asarray(layer.weight) for layer in state.agent_state.params.actor.mlp.layers]


def test_a_run_that_goes_back_makes_the_same_steps_again_and_keeps_the_old_ones(run, trained):
    before = rows_of(run)
    _, result = resume(run.checkpoints / "step_512", OURS, rewind=True)
    np.testing.assert_array_equal(weights(result.state), weights(trained[1].state))
    assert rows_of(run) == before
    aside = run.root / SET_ASIDE
    assert saved_steps(aside / "checkpoints") == [768, 1024]
    assert [row["step"] for row in read_metrics(aside / "metrics.jsonl")] == [640, 768, 896, 1024]
    assert {path.name for path in aside.glob("*.npz")} == {"params_6.npz", "params_8.npz"}
    assert [tuple(note[:3]) for note in sessions_of(run)] == [
        (0, 512, "interrupted"),
        (512, 1024, "finished"),
    ]
    assert {path.name for path in run.root.glob("params_*")} >= {"params_6.npz", "params_2.npz"}


def test_only_the_latest_checkpoint_is_resumed_unasked(run):
    with pytest.raises(ConfigError, match=r"step_512 is not the latest .* step_1024: add --rewind"):
        resume(run.checkpoints / "step_512", OURS)
    assert saved_steps(run.checkpoints) == [256, 512, 768, 1024]
    longer = replace(OURS, runner=replace(OURS.runner, total_timesteps=1152))
    _, result = resume(run.checkpoints / "step_1024", longer)
    assert result.step == 1152
    assert not (run.root / "set_aside_after_step_1024").exists()


def test_a_run_that_is_killed_after_it_went_back_has_not_finished(run):
    assert state_of(run, {}, 1024) == "finished"
    aside = set_aside_after(run, 512)
    assert state_of(run, {}, 512) == "interrupted"
    assert state_of(run, {}, 640) == "died"
    assert '"finished"' in (aside / "sessions.jsonl").read_text()


STEPS = ("branch", "move_params", "move_checkpoints", "rewind_sessions", "rewind_rows")


@pytest.mark.parametrize("killed_in", STEPS)
def test_whatever_moment_a_kill_comes_at_the_run_resumes(killed_in, run, trained, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*args):
        raise Killed

    before = rows_of(run)
    with monkeypatch.context() as patch:
        patch.setattr(module, killed_in, kill)
        with pytest.raises(Killed):
            set_aside_after(run, 512)
    assert (state_of(run, {}, 1024) == "died") == (killed_in == "rewind_rows")
    _, result = resume(run, OURS)
    np.testing.assert_array_equal(weights(result.state), weights(trained[1].state))
    assert rows_of(run) == before


def test_a_checkpoint_that_cannot_be_read_or_resumed_moves_nothing(run):
    shorter = replace(OURS, runner=replace(OURS.runner, total_timesteps=256))
    with pytest.raises(ConfigError, match="total_timesteps 256 is less than the 512 env steps"):
        resume(run.checkpoints / "step_512", shorter, rewind=True)
    shutil.rmtree(run.checkpoints / "step_512" / "state")
    (run.checkpoints / "step_512" / "state").mkdir()
    with pytest.raises(ConfigError, match="step_512"):
        resume(run.checkpoints / "step_512", OURS, rewind=True)
    assert saved_steps(run.checkpoints) == [256, 512, 768, 1024]
    assert not list(run.root.glob("set_aside*"))


def test_what_is_no_checkpoint_of_a_run_is_refused_by_name(run, tmp_path):
    for name, why in (
        ("checkpoint_100.pkl", "is a pickle, which runs code when it is loaded"),
        ("params_100.npz", "holds what an agent acts with"),
    ):
        with pytest.raises(ConfigError, match=f"{name} {why}.*give RUN or RUN/checkpoints/step_N"):
            locate(tmp_path / name)
    with pytest.raises(ConfigError, match="step_5 is no checkpoint"):
        locate(run.checkpoints / "step_5")
    assert locate(run.checkpoints / "best").step in (512, 1024)
    assert locate("runs/x") == (Path("runs/x"), None)
    of_runs = tmp_path / "checkpoints" / "x"
    (of_runs / "logs").mkdir(parents=True)
    assert locate(of_runs) == (of_runs, None)


def test_the_command_line_goes_back_too(run, capsys):
    path = str(run.checkpoints / "step_512")
    with pytest.raises(SystemExit):
        cli.main(["train", "--resume", path])
    assert "add --rewind" in capsys.readouterr().err
    cli.main(["train", "--resume", path, "--rewind", "--runner.total_timesteps", "640"])
    assert "Training complete | 640 env steps" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["train", "cartpole_ppo", "--rewind"])
    assert "--rewind is of a run: give --resume" in capsys.readouterr().err


def test_offline_runs_of_wandb_begin_another_where_the_run_went_back(run, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    backend = WandbBackend(run_dir=run)
    for row in read_metrics(run):
        backend.log(row, row["step"])
    first = backend.run_id
    backend.close()
    folder = set_aside_after(run, 512)
    assert (folder / "wandb_id.txt").read_text().strip() == first
    assert (run.root / "wandb_branch.txt").read_text() == f"{first}?_step=512\n"
    again = WandbBackend(run_dir=run)
    again.rewind(512)
    again.log({"step": 128, "loss": 1.0}, 128)
    assert again.run_id != first
    assert again._known == -1  # so that it gets every row
    again.close()
    assert not (run.root / "wandb_branch.txt").exists()


def test_where_the_service_rewinds_a_run_it_is_continued_there(run, monkeypatch):
    asked, rows = [], []
    there = SimpleNamespace(
        id="first", log=lambda row, step: rows.append(step), finish=lambda exit_code: None
    )
    service = SimpleNamespace(
        Error=RuntimeError,
        Settings=dict,
        login=lambda prompt, verify: True,
        init=lambda **how: asked.append(how) or there,
    )
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr("vibe_rl.tracking.wandb.answers", lambda address: True)
    monkeypatch.setattr("vibe_rl.tracking.wandb.require", lambda *_: service)
    (run.root / "wandb_id.txt").write_text("first\n")
    (run.root / "wandb_step.txt").write_text("1024\n")
    set_aside_after(run, 512)
    tracker = WandbBackend(run_dir=run)
    tracker.rewind(512)
    for step in (256, 512, 640):
        tracker.log({"loss": 1.0}, step)
    (how,) = asked
    assert how["resume_from"] == "first?_step=512"
    assert rows == [640]


def test_mlflow_gets_another_run(run):
    (run.root / "mlflow.json").write_text('{"tracking_uri": "x", "run_id": "y"}')
    folder = set_aside_after(run, 512)
    assert (folder / "mlflow.json").exists()
    assert not (run.root / "mlflow.json").exists()
