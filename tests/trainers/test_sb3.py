"""Whole trainings with MaskablePPO, where sb3-contrib is installed: models, rows, resume."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install 'vibe-rl[sb3]'")
import masked_env
from masked_env import ID

from processes import environ
from vibe_rl.cli import main
from vibe_rl.errors import ConfigError, EnvironmentDiedError
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir
from vibe_rl.run_dir.notes import sessions_of
from vibe_rl.tracking import recent_episodes, summarize_run
from vibe_rl.trainers.sb3 import Settings, load_policy, train_masked_ppo
from vibe_rl.trainers.sb3.models import step_of
from vibe_rl.trainers.sb3.settings import ENV_ID

SMALL = {
    "env_id": ID,
    "timesteps": 256,
    "n_steps": 64,
    "batch_size": 32,
    "n_epochs": 2,
    "save_freq": 100,
    "eval_freq": 80,
    "wandb": False,
}


def settings(folder, **changes):
    places = {"log_dir": str(folder / "logs"), "model_dir": str(folder / "models")}
    return Settings(**{**SMALL, **places, **changes})


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, train_masked_ppo(settings(folder, ent_coef=0.05))


def test_a_training_leaves_its_models_and_its_run_directory_under_one_name(trained):
    folder, outcome = trained
    run = outcome.run_dir.root.name
    assert run.startswith("maskable_ppo_hack_")
    assert outcome.model == folder / "models" / run / "final_model.zip"
    assert names(outcome.model.parent) == [
        *("best_model.zip", "final_model.zip"),
        *("maskable_ppo_hack_100_steps.zip", "maskable_ppo_hack_200_steps.zip"),
    ]
    assert step_of(outcome.model) == outcome.step == 256
    config = outcome.run_dir.load_config()
    assert (config["ent_coef"], config["learning_rate"], config["n_epochs"]) == (0.05, 3e-4, 2)
    assert [note.status for note in sessions_of(outcome.run_dir)] == ["finished"]


def test_every_episode_is_a_row_with_the_published_names(trained):
    _, outcome = trained
    rows = read_metrics(outcome.run_dir)
    episodes = [row for row in rows if "episode_return" in row]
    assert [row["episode/count"] for row in episodes] == list(range(1, outcome.episodes + 1))
    assert len(episodes) > 10
    for row in episodes:
        expected = {
            "reward_victory": 500.0,
            "reward_data_siphon": 0.5,
            "programs_used": 2,
            "highest_stage": 3,
            "action_moves": row["episode_length"],
            "action_siphons": 1,
            "action_programs": 2,
            "steps": row["episode_length"],
            "victory": 1,
        }
        assert {name: row[f"episode/{name}"] for name in expected} == expected
        assert row["episode_return"] == pytest.approx(1 - 0.01 * row["episode_length"])
    metrics = {name for row in rows for name in row}
    assert {"rollout/ep_rew_mean", "train/approx_kl", "eval_return", "eval_length"} <= metrics
    assert [row["step"] for row in rows if "eval_return" in row] == [80, 160, 240]
    updates = [row["train/n_updates"] for row in rows if "train/n_updates" in row]
    assert updates[-1] == 4 * 2  # four updates of two epochs


def test_the_history_counts_the_same_episodes(trained):
    _, outcome = trained
    summary = summarize_run(outcome.run_dir)
    assert (summary.state, summary.episodes) == ("finished", outcome.episodes)
    assert summary.victories == outcome.episodes
    assert recent_episodes(outcome.run_dir, 1)[0]["count"] == outcome.episodes


def test_a_saved_model_decides_among_what_is_legal(trained):
    _, outcome = trained
    policy = load_policy(outcome.model)
    assert policy.step == 256
    env = masked_env.Corridor()
    for seed in range(4):
        obs, info = env.reset(seed=seed)
        legal = info["action_mask"]
        advice = policy(obs, legal)
        assert legal[advice.action]
        assert advice.action == np.argmax(advice.probabilities)
        assert not advice.probabilities[~legal].any()
        assert advice.probabilities.sum() == pytest.approx(1.0, abs=1e-6)
        assert np.isfinite(advice.value)
        assert {policy(obs, legal, sample=True).action for _ in range(20)} <= {
            int(action) for action in np.flatnonzero(legal)
        }


@pytest.fixture
def resumed(trained, tmp_path):
    """A copy of the run that resumes from the model of its 100th step."""
    folder, outcome = trained
    run = outcome.run_dir.root.name
    for place in ("logs", "models"):
        subprocess.run(["cp", "-r", str(folder / place), str(tmp_path / place)], check=True)
    models = tmp_path / "models" / run
    model = models / "maskable_ppo_hack_100_steps.zip"
    return models, settings(tmp_path, resume=str(model))


def test_a_run_goes_on_from_the_model_and_what_was_later_is_set_aside(trained, resumed):
    models, wanted = resumed
    outcome = train_masked_ppo(wanted)
    first = [row for row in read_metrics(trained[1].run_dir) if row["step"] <= 100]
    rows = read_metrics(outcome.run_dir)
    assert rows[: len(first)] == first
    assert outcome.step == 100 + 3 * 64  # whole updates, to the total at least
    episodes = [row["episode/count"] for row in rows if "episode_return" in row]
    assert episodes == list(range(1, outcome.episodes + 1))
    summary = summarize_run(outcome.run_dir)
    assert (summary.episodes, summary.state) == (outcome.episodes, "finished")
    assert "final_model.zip" in names(models / "set_aside_1")
    assert "maskable_ppo_hack_200_steps.zip" in names(models / "set_aside_1")
    assert step_of(models / "final_model.zip") == outcome.step
    assert (outcome.run_dir.logs / "metrics_set_aside_1.jsonl").exists()
    assert [note.from_step for note in sessions_of(outcome.run_dir)] == [0, 100]


@pytest.mark.parametrize(("typed", "kept"), [(None, 0.05), (0.2, 0.2)])
def test_the_entropy_coefficient_is_what_was_typed_or_else_the_models(resumed, typed, kept):
    _, wanted = resumed
    outcome = train_masked_ppo(replace(wanted, timesteps=101, ent_coef=typed))
    assert outcome.run_dir.load_latest_config()["ent_coef"] == kept
    assert load_policy(outcome.model).model.ent_coef == kept
    assert outcome.run_dir.load_config()["ent_coef"] == 0.05


def test_a_worse_evaluation_does_not_replace_the_best_model_of_a_resumed_run(resumed):
    models, wanted = resumed
    best = models / "best_model.zip"
    log = RunDir.open(Path(wanted.log_dir, models.name)).log_path()
    row = {"step": 1, "eval_return": 1000.0}
    log.write_text(json.dumps(row) + "\n" + log.read_text())
    (models / "maskable_ppo_hack_100_steps.zip").replace(best)  # so that it is no later one
    outcome = train_masked_ppo(replace(wanted, resume=str(best)))
    assert outcome.best_return == 1000.0
    assert step_of(best) == 100


def test_a_model_whose_run_is_not_there_begins_a_run_and_is_left_as_it_is(trained, tmp_path):
    _, first = trained
    before = first.model.read_bytes()
    outcome = train_masked_ppo(settings(tmp_path, resume=str(first.model), timesteps=300))
    assert outcome.run_dir.root.parent == tmp_path / "logs"
    assert outcome.model.parent.parent == tmp_path / "models"
    assert outcome.step == 256 + 64
    assert first.model.read_bytes() == before


def test_equal_seeds_learn_the_same_and_others_do_not(trained, tmp_path):
    same, other = (
        train_masked_ppo(settings(tmp_path / str(seed), seed=seed, ent_coef=0.05))
        for seed in (0, 1)
    )
    assert returns_of(same) == returns_of(trained[1])
    assert returns_of(other) != returns_of(same)


def returns_of(outcome):
    rows = read_metrics(outcome.run_dir)
    return [row["episode_return"] for row in rows if "episode_return" in row]


@pytest.mark.slow
def test_environments_side_by_side_have_processes_and_divide_the_frequencies(tmp_path):
    outcome = train_masked_ppo(settings(tmp_path, num_envs=2))
    assert outcome.step == 256
    rows = read_metrics(outcome.run_dir)
    assert [row["step"] for row in rows if "eval_return" in row] == [80, 160, 240]
    assert "maskable_ppo_hack_100_steps.zip" in names(outcome.model.parent)
    assert summarize_run(outcome.run_dir).episodes == outcome.episodes > 10


def test_a_game_whose_process_ends_is_one_sentence_and_the_model_is_saved(tmp_path, capsys):
    wanted = settings(tmp_path, env_id=masked_env.DIES, timesteps=1000)
    words = [
        word
        for name in ("env_id", "timesteps", "n_steps", "batch_size", "log_dir")
        for word in (f"--{name}", str(getattr(wanted, name)))
    ]
    with pytest.raises(SystemExit) as end:
        main(["train-sb3", *words, "--model_dir", wanted.model_dir, "--no-wandb"])
    assert end.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    (model,) = Path(wanted.model_dir).glob("*/crash_recovery_model.zip")
    assert said == (
        "vibe-rl: the process of a game has ended: what was learned is in "
        f"{model}, go on with --resume {model}."
    )
    assert step_of(model) == 300
    (run,) = Path(wanted.log_dir).iterdir()
    assert summarize_run(run).state == "failed"
    assert [note.status for note in sessions_of(RunDir.open(run))] == ["failed"]
    again = replace(wanted, env_id=ID, resume=str(model), timesteps=310, eval_freq=1000)
    assert train_masked_ppo(again).run_dir.root == run


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_model_that_the_printed_command_resumes(number, tmp_path):
    command = [sys.executable, "-m", "vibe_rl", "train-sb3", "--env-id", ID, "--no-wandb"]
    command += ["--timesteps", "1000000", "--num-envs", "2"]
    here = {"PYTHONPATH": ":".join([*filter(None, sys.path), str(Path(__file__).parent)])}
    how = {"cwd": tmp_path, "env": environ(**here), "text": True, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **how) as process:
        until = time.monotonic() + 120
        while time.monotonic() < until and not list(tmp_path.glob("logs/*/logs/metrics.jsonl")):
            time.sleep(0.1)
        process.send_signal(number)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    (model,) = tmp_path.glob("models/*/interrupted_model.zip")
    shown = model.relative_to(tmp_path)
    assert out.startswith("Training interrupted | ")
    assert out.splitlines()[-1] == (
        f"Resume with | vibe-rl train-sb3 --resume {shown} --timesteps 1000000"
    )
    assert summarize_run(tmp_path / "logs" / model.parent.name).state == "interrupted"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"env_id": "masked_env:vibe_rl_tests/Coridor-v0"}, "cannot be made: .*Corridor"),
        ({"env_id": masked_env.UNMASKED}, r"MaskablePPO needs masks, let .* info\['action_mask'\]"),
        ({"model_dir": "/proc/x"}, "/proc/x cannot be written .*: free it, or name another place"),
        ({"batch_size": 60}, "--batch_size 60: it does not divide the 64 steps"),
        ({"batch_size": 50, "num_envs": 1}, "--num_envs times --n_steps; give one that does"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(changes, sentence, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        train_masked_ppo(settings(tmp_path, **changes))
    assert not list(tmp_path.iterdir())


def test_the_table_of_stable_baselines3_is_printed_if_it_is_asked_for(tmp_path, capsys):
    for info in (False, True):
        train_masked_ppo(settings(tmp_path / str(info), timesteps=64, info=info))
        assert ("ep_rew_mean" in capsys.readouterr().out) is info


def test_hackmatrix_is_played_and_a_server_that_is_killed_is_named(tmp_path):
    episodes = []

    class Killing:
        """Ends the games' processes after three episodes."""

        def log(self, metrics, step):
            episodes.extend([metrics] if "episode_return" in metrics else [])
            if len(episodes) == 3:
                for pid in children():
                    os.kill(pid, signal.SIGKILL)

        def close(self):
            pass

    wanted = settings(tmp_path, env_id=ENV_ID, timesteps=10_000, eval_freq=10_000)
    with pytest.raises(EnvironmentDiedError, match=r"server \d+ has ended \(status -9\): what"):
        train_masked_ppo(wanted, [Killing()])
    (model,) = tmp_path.glob("models/*/crash_recovery_model.zip")
    assert step_of(model) > 0
    assert len(episodes) == 3
    for row in episodes:
        parts = [value for name, value in row.items() if name.startswith("episode/reward_")]
        assert len(parts) == 15
        assert sum(parts) == pytest.approx(row["episode_return"], abs=1e-5)


def children():
    """The processes that this one has started to play games."""
    mine = [path for path in Path("/proc").glob("[0-9]*/stat") if is_child(path)]
    return [
        int(path.parent.name)
        for path in mine
        if b"hackmatrix-server" in path.with_name("cmdline").read_bytes()
    ]


def is_child(path):
    with suppress(OSError):  # it has ended meanwhile
        return path.read_text().rpartition(")")[2].split()[1] == str(os.getpid())
    return False


def test_a_model_of_another_environment_is_refused(trained, tmp_path):
    _, outcome = trained
    wanted = settings(tmp_path, env_id=ENV_ID, resume=str(outcome.model), timesteps=300)
    with pytest.raises(
        ConfigError, match=r"final_model\.zip cannot be loaded \(Observation spaces"
    ):
        train_masked_ppo(wanted)
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_trainings_own_is_raised_and_the_model_is_saved(tmp_path, monkeypatch):
    def fail(model, *args, **kwargs):
        raise ArithmeticError("as if")

    monkeypatch.setattr("sb3_contrib.MaskablePPO.train", fail)
    with pytest.raises(ArithmeticError, match="as if"):
        train_masked_ppo(settings(tmp_path))
    (model,) = tmp_path.glob("models/*/crash_recovery_model.zip")
    assert step_of(model) == 64


def test_a_dead_process_of_a_worker_is_told_in_one_sentence_too(tmp_path):
    wanted = settings(tmp_path, env_id=masked_env.DIES, num_envs=2, timesteps=2000)
    with pytest.raises(EnvironmentDiedError, match="the process of a game has ended"):
        train_masked_ppo(wanted)
