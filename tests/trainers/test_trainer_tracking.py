"""Trainings of a `PPOTrainer` in MLflow: runs, artifacts, registered models, dead servers."""

import sqlite3
import subprocess
import sys
import time
import warnings
from contextlib import closing

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from small_trainer import small_agent, small_trainer

from processes import environ
from vibe_rl.cli import main
from vibe_rl.errors import ConfigError
from vibe_rl.policies import load
from vibe_rl.run_dir import RunDir
from vibe_rl.system.notices import say_once
from vibe_rl.tracking.mlflow import read_ids
from vibe_rl.trainers import PPOAgent, PPOTrainer

EASY = {"target_reward": 5.0, "convergence_window": 2, "early_stopping_patience": 3}
OBS = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)


pytestmark = pytest.mark.usefixtures("own_mlflow", "trackers_here")


@pytest.fixture(scope="module", autouse=True)
def _patient():
    """Tests of what arrives wait on a busy machine too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vibe_rl.tracking.background.PATIENCE", 60.0)
        yield


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """A training that converged, and the client of its store."""
    base = tmp_path_factory.mktemp("registered")
    how = {"register_stage": "Staging", "plot": True}
    trainer = small_trainer(base, enable_mlflow=True, **how, **EASY)
    results = trainer.train()
    ids = read_ids(RunDir.open(results["run_dir"]))
    return trainer, results, MlflowClient(ids["tracking_uri"])


def files_of(client, run_id, path=None):
    found = client.list_artifacts(run_id, path)
    return [x for f in found for x in (files_of(client, run_id, f.path) if f.is_dir else [f.path])]


def test_a_run_has_params_metrics_and_artifacts_under_the_names_of_the_contract(registered):
    _, results, client = registered
    run = client.get_run(results["run_id"])
    assert run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == "cartpole-ppo"
    wanted = {
        *("max_episodes", "max_steps_per_episode", "target_reward", "convergence_window"),
        *("early_stopping_patience", "eval_frequency", "eval_episodes", "learning_rate"),
        *("clip_epsilon", "gamma", "gae_lambda", "entropy_coef", "value_coef", "batch_size"),
        *("epochs_per_update", "minibatch_size", "max_grad_norm", "seed", "env_id"),
    }
    assert wanted <= set(run.data.params)
    assert run.data.params["target_reward"] == "5.0"
    metrics = {
        *("episode_reward", "avg_reward_10", "avg_length_10", "policy_loss", "value_loss"),
        *("kl_divergence", "clipfrac", "grad_norm", "total_steps", "eval_avg_reward"),
        *("final_avg_reward", "training_time", "converged", "rolling_reward"),
    }
    assert metrics <= set(run.data.metrics)
    history = client.get_metric_history(results["run_id"], "episode_reward")
    assert [metric.step for metric in history] == [0, 2, 3]
    assert [m.value for m in history] == [results["episode_rewards"][m.step] for m in history]
    files = files_of(client, results["run_id"])
    assert {
        "results.json",
        "training_curves/training_progress.png",
        "performance_analysis/performance_report.json",
        "kl_divergence/step_4.png",
    } <= set(files)


def test_a_converged_agent_is_the_champion_and_acts_the_same_in_a_new_process(registered, tmp_path):
    trainer, results, client = registered
    name = "cartpole-ppo-model"
    version = client.get_model_version_by_alias(name, "champion")
    assert results["model_version"] == str(version.version) == "1"
    assert client.get_model_version_by_alias(name, "staging").version == version.version
    assert version.tags["target_reward"] == "5.0"
    assert float(version.tags["final_avg_reward"]) == results["final_avg_reward"]
    uri = read_ids(RunDir.open(results["run_dir"]))["tracking_uri"]
    expected = load(trainer.run_dir / "artifacts" / "model")(OBS)
    greedy = [int(trainer.agent.act_greedy(trainer.agent.network, obs)) for obs in OBS]
    np.testing.assert_array_equal(expected, greedy)
    np.save(tmp_path / "obs.npy", OBS)
    program = (
        "import numpy as np, sys; from vibe_rl.policies import load; "
        f"p = load('models:/{name}@champion', tracking_uri={uri!r}); "
        "np.save('actions.npy', p(np.load('obs.npy')))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=environ(), cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "actions.npy"), expected)


def test_the_registered_files_make_an_agent_again(registered):
    trainer, _, _ = registered
    (folder,) = (trainer.run_dir.parent / "mlartifacts" / "models").glob("*/artifacts")
    again = PPOAgent.load(folder)
    assert again.config == trainer.agent.config
    assert all(
        int(again.act_greedy(again.network, obs))
        == int(trainer.agent.act_greedy(trainer.agent.network, obs))
        for obs in OBS[:5]
    )


def test_what_did_not_converge_is_not_registered():
    trainer = small_trainer("runs", enable_mlflow=True, max_episodes=4)
    results = trainer.train()
    assert results["run_id"] is not None
    assert results["model_version"] is None
    own = MlflowClient(read_ids(RunDir.open(results["run_dir"]))["tracking_uri"])
    with pytest.raises(MlflowException, match="not found"):
        own.get_registered_model("cartpole-ppo-model")


def test_a_resumed_training_continues_its_run_without_a_doubled_row():
    trainer = small_trainer("runs", track=["mlflow"], max_episodes=4)
    first = trainer.train()
    longer = PPOTrainer.restore(
        trainer.run_dir, max_episodes=8, track=["mlflow"], plot=False, verbose=False
    )
    second = longer.train(resume=True)
    assert second["run_id"] == first["run_id"]
    client = MlflowClient(read_ids(RunDir.open(second["run_dir"]))["tracking_uri"])
    history = client.get_metric_history(second["run_id"], "env_steps")
    assert [metric.step for metric in history] == [0, 2, 3, 4, 6, 7]
    run = client.get_run(second["run_id"])
    assert run.data.params["max_episodes"] == "4"
    assert run.data.tags["resumed.max_episodes"] == "8"
    assert run.info.status == "FINISHED"


def numbers_in(run_dir):
    with closing(sqlite3.connect(run_dir / "logs/training_history.db")) as history:
        return sorted(history.execute("SELECT name, step, value FROM metrics").fetchall())


def without_clock(numbers):
    return [x for x in numbers if x[0] not in ("wall_time", "steps_per_second")]


def test_sending_a_training_tells_again_what_its_trackers_got(capsys):
    trainer = small_trainer("runs", track="sqlite", eval_at_start=True, max_episodes=6)
    trainer.train()
    told = numbers_in(trainer.run_dir)
    assert all(0 < value < 600 for name, _, value in told if name == "wall_time")  # seconds
    main(["track", str(trainer.run_dir), "--to", "sqlite"])
    assert without_clock(numbers_in(trainer.run_dir)) == without_clock(told)
    (trainer.run_dir / "logs/training_history.db").unlink()
    main(["track", str(trainer.run_dir), "--to", "sqlite"])
    assert without_clock(numbers_in(trainer.run_dir)) == without_clock(told)
    assert capsys.readouterr().out.count("Tracked") == 2


def test_a_dead_server_costs_a_warning_and_seconds(monkeypatch):
    small_trainer("runs", max_episodes=3).train()  # compiles
    monkeypatch.setattr("vibe_rl.tracking.background.PATIENCE", 7.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    trainer = small_trainer("runs", max_episodes=3, enable_mlflow=True)
    began = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = trainer.train()
    assert time.monotonic() - began < 15
    assert [str(w.message).split(" ")[0] for w in caught] == ["mlflow"]
    assert results["total_episodes"] == 3
    assert results["run_id"] is None


def test_a_folder_as_address_is_refused_before_anything_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:./mlruns")
    with pytest.raises(ConfigError, match="sqlite"):
        small_trainer("runs", agent=small_agent(), enable_mlflow=True)
    assert list(tmp_path.iterdir()) == []


def test_without_mlflow_a_line_says_what_to_install(monkeypatch, caplog):
    monkeypatch.setattr("vibe_rl.tracking.opening.find_spec", lambda name: None)
    say_once.cache_clear()
    trainer = small_trainer("runs", max_episodes=3, enable_mlflow=True)
    assert trainer.train()["total_episodes"] == 3
    assert "pip install 'vibe-rl[mlflow]'" in caplog.text
    assert (trainer.run_dir / "logs" / "metrics.csv").exists()
