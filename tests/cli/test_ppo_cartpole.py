"""`vibe-rl ppo-cartpole`: its four commands with tiny budgets, and the files that they leave."""

import csv
import inspect
import json
import os

import pytest
from mlflow import MlflowClient

from vibe_rl import cli
from vibe_rl.cli.ppo_cartpole.options import AGENTS, NAMES, TRAINERS, TrainOptions
from vibe_rl.trainers.ppo_trainer import PPOTrainer, TrainerSettings
from vibe_rl.trainers.ppo_trainer.agent_config import AgentConfig

TINY = [
    *("--max-steps", "20", "--minibatch-size", "16", "--epochs-per-update", "2"),
    *("--eval-frequency", "4", "--eval-episodes", "3", "--video-record-freq", "0"),
    *("--convergence-window", "2", "--log-frequency", "100"),
]


@pytest.fixture(autouse=True)
def _patient(monkeypatch, own_mlflow, few_figures, trackers_here):
    """Tests of what arrives wait on a busy machine too."""
    monkeypatch.setattr("vibe_rl.tracking.background.PATIENCE", 60.0)
    monkeypatch.setattr(os, "environ", os.environ.copy())


def run(*words):
    cli.main(["ppo-cartpole", *words])


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        run(*words)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_training_evaluating_and_resuming(tmp_path, capsys):
    run("train", *TINY, "--episodes", "6", "--run-dir", "one", "--target-reward", "1000")
    said = capsys.readouterr().out
    assert "Training complete | all episodes made | 6 episodes" in said
    assert "Run | one" in said
    results = json.loads((tmp_path / "one" / "results.json").read_text())
    assert results["total_episodes"] == 6
    assert (tmp_path / "one" / "logs" / "metrics.csv").exists()
    assert list((tmp_path / "one" / "artifacts" / "training_curves").iterdir())

    run("evaluate", "--checkpoint", "one", "--episodes", "5", "--gif", "1", "--out", "r.json")
    said = capsys.readouterr().out
    assert "over 5 episodes" in said
    report = json.loads((tmp_path / "r.json").read_text())
    assert len(report["episode_rewards"]) == 5
    assert (tmp_path / report["gifs"][0]).read_bytes().startswith(b"GIF")
    assert report["gifs"][0].startswith("one/videos/")
    run("evaluate", "--checkpoint", "one/artifacts/agent", "--episodes", "5", "--out", "s.json")
    again = json.loads((tmp_path / "s.json").read_text())
    assert again["episode_rewards"] == report["episode_rewards"]
    run("evaluate", "--checkpoint", "one", "--stochastic", "--episodes", "1")

    run("train", "--resume", "--run-dir", "one", "--episodes", "1000", "--target-reward", "5")
    results = json.loads((tmp_path / "one" / "results.json").read_text())
    assert results["stop_reason"] == "converged"  # options that are given count, as defaults too
    assert max(results["episode_lengths"]) <= 20


def test_a_sweep_has_a_table_a_heat_map_and_nested_runs(tmp_path, capsys):
    budget = ["--episodes", "3", "--target-reward", "1000", "--tracker", "mlflow"]
    run("sweep", "--seeds", "0-1", "--grid", "learning_rate=1e-3,3e-3", *TINY, *budget)
    assert "Sweep | 4 trainings" in capsys.readouterr().out
    (group,) = [p for p in (tmp_path / "runs").iterdir() if p.name.startswith("cartpole-ppo_sweep")]
    with (group / "artifacts" / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["learning_rate"], row["seed"]) for row in rows] == [
        *(("0.001", "0"), ("0.001", "1"), ("0.003", "0"), ("0.003", "1"))
    ]
    assert list(group.glob("artifacts/hyperparameter_analysis/hyperparameter_heatmap_*.png"))
    assert len(list((group / "members").iterdir())) == 4

    client = MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db")
    parent = json.loads((group / "logs" / "mlflow.json").read_text())["run_id"]
    found = client.get_run(parent)
    assert found.info.status == "FINISHED"
    assert found.data.metrics["final_avg_reward_mean"] > 0
    experiment = found.info.experiment_id
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'")
    assert len(children) == 4
    assert {run.info.status for run in children} == {"FINISHED"}


def test_what_has_converged_is_evaluated_by_its_run_and_by_its_alias(tmp_path, capsys):
    how = ["--episodes", "3", "--target-reward", "5", "--early-stopping-patience", "1"]
    run("train", *TINY, *how, "--run-dir", "runs/one", "--tracker", "mlflow")
    said = capsys.readouterr().out
    assert "Registered | version 1 of the model" in said
    run_id = json.loads((tmp_path / "runs" / "one" / "results.json").read_text())["run_id"]
    run("evaluate", "--model-uri", "models:/cartpole-ppo-model@champion", "--episodes", "3")
    run("evaluate", "--run-id", run_id, "--episodes", "3")
    first, second = capsys.readouterr().out.split("Evaluation | ")[1:]
    assert first == second
    said = refused(capsys, "evaluate", "--model-uri", "models:/cartpole-ppo-model@champoin")
    assert "did you mean champion?" in said


def test_speed_is_measured_in_both_modes(tmp_path, capsys):
    run("benchmark", "--episodes", "40", "--out", "speed.json")
    rows = json.loads((tmp_path / "speed.json").read_text())
    assert set(rows) == {"episodic", "vectorized"}
    assert rows["episodic"]["episodes"] == 40
    assert all(row["steps_per_second"] > 0 for row in rows.values())
    assert "first update, with compiling" in capsys.readouterr().out
    assert "give 100 or more" in refused(capsys, "benchmark", "--episodes", "1")


def test_help_names_the_commands_and_options(capsys):
    run()
    assert "benchmark" in capsys.readouterr().out
    run("sweep", "--help")
    assert "--grid" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        run("train", "--help")
    assert stop.value.code == 0
    assert "--early-stopping-patience" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "unknown command of ppo-cartpole 'trian': did you mean train?"),
        (["train", "--episodes", "0"], "PPOTrainer max_episodes 0: give at least 1."),
        (["train", "--episodes", "50", "--convergence-window", "60"], "longer than max_episodes"),
        (["train", "--resume"], "--resume needs the run: --resume --run-dir RUN."),
        (["train", "--resume", "--run-dir", "nowhere"], "nowhere is not a run directory"),
        (["train", "--batch-size", "32", "--minibatch-size", "16"], "give one"),
        (["train", "--track", "mlfow"], "unknown tracker 'mlfow'"),
        (["evaluate"], "evaluate needs an agent: give --checkpoint, --run-id or"),
        (["evaluate", "--checkpoint", "nowhere"], "nowhere holds no agent"),
        (["evaluate", "--checkpoint", "x", "--episodes", "0"], "--episodes 0: give at least 1."),
        (["evaluate", "--checkpoint", "x", "--gif", "-1"], "--gif -1: give at least 0."),
        (["sweep", "--grid", "lr"], "--grid lr: write NAME=VALUE,VALUE."),
        (["sweep", "--grid", "learning_rat=1"], "did you mean learning_rate"),
        (["sweep", "--seed", "1"], "--seed is of a single training: leave it out of a sweep."),
        (["sweep", "--seeds", "1,2,1"], "seed_1 is in the sweep twice: give each seed and value"),
        (["sweep", "--seeds", "3:1"], "whose end is above its first seed"),
    ],
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(tmp_path, capsys, words, message):
    said = refused(capsys, *words)
    assert message in said
    assert len(said.strip().splitlines()) == 1 + ("--batch-size" in words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*AGENTS, *TRAINERS, "seed"])
def test_options_have_the_defaults_of_what_they_set(name):
    argument = NAMES.get(name, name)
    if argument in ("mlflow_experiment_name", "register_stage"):
        expected = inspect.signature(PPOTrainer).parameters[argument].default
    else:
        expected = getattr(AgentConfig if name in AGENTS else TrainerSettings, argument)
    assert getattr(TrainOptions, name) == expected


def test_a_resumed_training_keeps_its_agent(tmp_path, capsys):
    run("train", *TINY, "--episodes", "2", "--run-dir", "one", "--tracker", "none")
    assert not (tmp_path / "one" / "logs" / "metrics.csv").exists()
    for value in ("1", "3e-4"):  # another one, and the default
        said = refused(capsys, "train", "--resume", "--run-dir", "one", "--learning-rate", value)
        assert "--learning-rate of a resumed training stays as it was: leave it out." in said
