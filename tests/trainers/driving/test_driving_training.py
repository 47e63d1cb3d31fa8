"""Runs of the pipeline, with a small environment in place of the simulator."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from compiling import as_users_do
from vibe_rl.cli import main
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir import RunDir, find_runs
from vibe_rl.tracking.jsonl import read_metrics
from vibe_rl.tracking.tensorboard import events_of
from vibe_rl.trainers.driving import plans
from vibe_rl.trainers.driving.composing import compose
from vibe_rl.trainers.driving.names import newest_run_of, run_name
from vibe_rl.trainers.driving.plans import plan_of
from vibe_rl.trainers.driving.training import train_tree

SMALL = [
    *("num_envs=2", "num_episode_per_epoch=1", "scenario_length=200", "log_freq=1", "eval_freq=2"),
    *("num_scenario_per_eval=2", "runner.warmup_steps=200", "runner.buffer_size=2000"),
    *("algorithm.hidden_sizes=[8]", "algorithm.batch_size=16", "algorithm.replay_ratio=0.5"),
    *("algorithm.train_every=4", "runner.eval_max_steps=200", "runner.plot=false"),
]
"""Two envs of 200 steps: an iteration is 400 env steps."""


@contextmanager
def pendulums() -> Iterator[None]:
    """In its block, what is trained is a small environment."""
    with pytest.MonkeyPatch.context() as patch, as_users_do():
        patch.setattr(plans, "ENV_ID", "Pendulum-v1")
        patch.setattr(plans, "env_kwargs", lambda keys, values: {})
        patch.setattr(
            "vibe_rl.trainers.driving.training.with_scenarios_of", lambda config, *_: config
        )
        patch.setattr("vibe_rl.trainers.driving.training.are_to_be_made", lambda *_: False)
        yield


def train(*words: str) -> None:
    with pendulums():
        main(["driving", "train", *words])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("driving")
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def run(home: Path) -> RunDir:
    train(*SMALL, "total_timesteps=800")
    (found,) = find_runs("runs")
    return found


def tags(run: RunDir) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for path in sorted(run.logs.glob("events.*")):
        for value in (value for event in events_of(path) for value in event.summary.value):
            found.setdefault(value.tag, []).append(value.simple_value)
    return found


def test_a_run_is_called_after_algorithm_observation_encoder_time_and_seed(run):
    parts = run.root.name.rsplit("_", 3)
    assert parts[0] == "SAC_VEC_SMALL"
    assert datetime.strptime("_".join(parts[1:3]), "%Y-%m-%d_%H-%M-%S")
    assert parts[3] == "s0"
    plan = plan_of(compose(["network/encoder=mlp", "observation=vec", "algorithm=ppo", "seed=3"]))
    assert run_name(plan, datetime(2026, 1, 2, 3, 4, 5)) == "PPO_VEC_MLP_2026-01-02_03-04-05_s3"
    assert run_name(plan_of(compose(["name_run=mine"]))) == "mine"


def test_a_run_keeps_the_tree_and_the_words_that_made_it_and_nothing_lies_outside_of_it(run, home):
    assert os.listdir(home) == ["runs"]
    words = list(OmegaConf.load(run.root / ".hydra" / "overrides.yaml"))
    assert words == [*SMALL, "total_timesteps=800"]
    tree = compose(words)
    assert (
        OmegaConf.to_container(OmegaConf.load(run.root / ".hydra" / "config.yaml")) == tree.values
    )


def test_rows_and_evaluations_are_due_by_iterations(run):
    rows = [row for row in read_metrics(run.log_path()) if "update" in row]
    assert [row["step"] for row in rows] == [400, 800]
    assert ["eval_return" in row for row in rows] == [False, True]


def test_tensorboard_has_v_maxs_names_and_the_log_has_ours(run):
    rows = [row for row in read_metrics(run.log_path()) if "update" in row]
    found = tags(run)
    for ours, theirs in {
        "episode_return_mean": "rollout/ep_rew_mean",
        "episode_length_mean": "rollout/ep_len_mean",
        "eval_return": "evaluation/ep_rew_mean",
        "actor_loss": "train/policy_loss",
        "critic_loss": "train/value_loss",
        "alpha": "train/alpha",
        "entropy": "train/entropy",
        "q_mean": "train/q_mean",
        "actor_grad_norm": "train/grad_norm",
        "gradient_steps": "train/rl_gradient_steps",
        "step": "train/env_steps",
        "steps_per_second": "runtime/sps",
        "log_time": "runtime/log_time",
        "eval_time": "runtime/eval_time",
    }.items():
        assert found[theirs] == pytest.approx([row[ours] for row in rows if ours in row]), theirs
        assert ours not in found
    assert found["runtime/wall_time"][-1] == pytest.approx(rows[-1]["wall_time"])


def test_the_time_of_an_iteration_is_that_of_its_parts(run):
    rows = [row for row in read_metrics(run.log_path()) if "update" in row]
    parts = ("data_time", "training_time", "eval_time", "log_time")
    spent = [sum(row[name] for name in parts) for row in rows]
    assert tags(run)["runtime/iter_time"] == pytest.approx(spent, abs=2e-3)


def test_a_run_is_gone_on_with_by_name_by_what_made_it_and_then_by_auto(run, capsys):
    train(f"resume={run}", "total_timesteps=1200")
    steps = [row["step"] for row in read_metrics(run.log_path()) if "update" in row]
    assert steps == [400, 800, 1200]
    train("resume=auto", *SMALL, "total_timesteps=1600")
    assert len(find_runs("runs")) == 1
    steps = [row["step"] for row in read_metrics(run.log_path()) if "update" in row]
    assert steps == [400, 800, 1200, 1600]
    first, *later = sorted((run.root / ".hydra").glob("overrides*.yaml"))
    assert list(OmegaConf.load(first))[-1] == "total_timesteps=800"
    assert [list(OmegaConf.load(path))[-1] for path in later] == [
        *("total_timesteps=1200", "total_timesteps=1600")
    ]
    assert f"Run | {run}" in capsys.readouterr().out


def test_auto_knows_a_run_by_its_name_and_seed(run):
    assert newest_run_of(plan_of(compose([]))) is not None
    for word in ("seed=1", "algorithm=ppo", "observation=vec", "name_exp=others"):
        assert newest_run_of(plan_of(compose([word]))) is None


def test_what_cannot_work_is_refused_in_one_sentence_and_nothing_is_written(home, capsys):
    before = sorted(path.name for path in home.rglob("*"))
    for words, said in {
        ("resume=nowhere",): "resume=nowhere is no run of vibe-rl driving train",
        (*SMALL, "algorithm.gamma=2"): "gamma 2.0: give a number from 0 to 1",
        (*SMALL, "total_timesteps=3"): "total_timesteps 3 is less than one update",
        (*SMALL, "name_run=a/b"): "cannot name a directory",
        (*SMALL, "objective=retrun"): "unknown objective 'retrun': did you mean return?",
        ("--resume", "x"): "--resume is no option: give NAME=VALUE",
        ("--config-dir",): "--config-dir needs a folder of options",
        ("--config-dir", "nowhere"): "there is no such folder",
        ("-m", "seed=1,2", "sed=1"): "unknown key 'sed'",
        ("-m", "seed=1,2", "resume=runs/x"): "a run goes on alone, or give resume=auto",
    }.items():
        with pytest.raises(SystemExit) as ended:
            train(*words)
        assert ended.value.code == 2
        err = capsys.readouterr().err.splitlines()
        assert said in err[-1], words
    assert sorted(path.name for path in home.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["algorithm.gamma=2"], "gamma 2.0: give a number from 0 to 1"),
        (["runner.warmup_steps=800"], "leave nothing of total_timesteps"),
        (["num_devices=64"], "64 devices"),
        (["logger.track=[nowhere]"], "unknown tracker 'nowhere'"),
        (["logger.track=[mlflow]"], "track mlflow needs mlflow: pip install"),
        (["name_run=a/b"], "cannot name a directory"),
        (["resume=."], ". is not a run directory"),
        (["resume=OTHER"], "the config changed at hidden_sizes"),
    ],
)
def test_scenarios_are_made_only_for_a_run_that_can_work(words, said, run, monkeypatch):
    monkeypatch.setattr(
        "vibe_rl.tracking.named.find_spec", lambda name: None if name == "mlflow" else name
    )
    words = [f"resume={run}" if word == "resume=OTHER" else word for word in words]
    other = [word.replace("hidden_sizes=[8]", "hidden_sizes=[4]") for word in SMALL]
    tree = compose([*other, "total_timesteps=800", *words])
    with pendulums(), monkeypatch.context() as patch:
        patch.setattr("vibe_rl.trainers.driving.training.are_to_be_made", lambda *_: True)
        patch.setattr("vibe_rl.trainers.driving.training.with_scenarios_of", pytest.fail)
        with pytest.raises(ConfigError) as refused:
            train_tree(tree)
    assert said in str(refused.value)


def test_evaluations_have_metrics_of_the_users(home):
    words = [*SMALL, "total_timesteps=400", "name_exp=measured"]
    with pendulums():
        double = {"double": lambda columns: 2 * columns["return"]}
        run_dir, _ = train_tree(compose(words), eval_metrics=double)
        with pytest.raises(ConfigError, match="'length' has a name that is taken"):
            train_tree(compose(words), eval_metrics={"length": len})
    row = [row for row in read_metrics(run_dir.log_path()) if "eval_return" in row][-1]
    assert row["eval_double_mean"] == pytest.approx(2 * row["eval_return"])
    assert tags(run_dir)["evaluation/double"] == [pytest.approx(row["eval_double_mean"])]
    assert len(find_runs("measured")) == 1


def test_several_values_train_several_runs(home, capsys):
    train("-m", *SMALL, "total_timesteps=400", "name_exp=both", "seed=1,2", "logger=none")
    runs = find_runs("both")
    configs = [json.loads((run.root / "config.json").read_text()) for run in runs]
    assert [config["runner"]["seed"] for config in configs] == [1, 2]
    assert capsys.readouterr().out.count("Training complete") == 2


def test_the_settings_can_be_seen_without_training(home, capsys):
    train("--cfg", "seed=4", "algorithm=ppo")
    tree = OmegaConf.to_container(OmegaConf.create(capsys.readouterr().out))
    assert tree == compose(["seed=4", "algorithm=ppo"]).values


def test_the_words_of_several_runs_can_be_seen_without_training(home, capsys):
    train("-m", "--cfg", "seed=1,2")
    assert capsys.readouterr().out.splitlines() == ["seed=1", "seed=2"]


def test_help_names_groups_options_and_keys(capsys):
    train("--help")
    said = capsys.readouterr().out
    for name in ("network/encoder", "sac_vmax", "num_scenario_per_eval", "resume=auto"):
        assert name in said
