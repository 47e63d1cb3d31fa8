"""Whole runs of the command line with tiny budgets, the files they leave, and bad input."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import jax
import numpy as np
import pytest

from vibe_rl import cli
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.configs import PRESETS, from_dict, to_dict
from vibe_rl.configs import cli as parse
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import build
from vibe_rl.experiment.config_files import new_run_dir
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir, find_runs

TINY = ["--runner.total_timesteps", "2048", "--runner.eval_episodes"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


TRAINED = ("cartpole_ppo", "cartpole_dqn", "pendulum_sac")
"""One of each algorithm."""


@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {*TRAINED}))
def test_every_preset_can_be_trained(preset):
    """All that is checked before anything is compiled, among it a trace of its environment."""
    try:
        run = build(PRESETS[preset][1])
    except ConfigError as error:
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    assert run.config.total_timesteps == PRESETS[preset][1].runner.total_timesteps


@pytest.mark.parametrize("preset", TRAINED)
def test_a_preset_of_each_algorithm_trains_and_leaves_its_files(preset, capsys):
    cli.main(["train", preset, *TINY, "0"])
    (run,) = find_runs("runs")
    rows = read_metrics(run.log_path())
    assert rows[-1]["step"] == 2048
    expected = {"wall_time", "step", "steps_per_second"}
    expected |= {"episode_return_mean", "episode_length_mean"}
    assert expected <= set().union(*rows)
    assert (run.artifacts / "reward_curve.png").stat().st_size > 10_000
    config = from_dict(run.load_config())
    assert config.runner.total_timesteps == 2048
    assert config.algo == PRESETS[preset][1].algo
    manifest = json.loads((run.root / "manifest.json").read_text())
    assert manifest["seed"] == 0
    assert manifest["versions"]["jax"] == jax.__version__
    assert str(run) in capsys.readouterr().out


@pytest.fixture(scope="module")
def by_script(tmp_path_factory):
    """What the seed's script trained in a process of its own, and what it said."""
    folder = tmp_path_factory.mktemp("by_script")
    words = ["cartpole_ppo", "--algo.lr", "1e-3", "--algo.hidden_sizes", "(8, 8)", *TINY, "8"]
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *words, "--runner.plot", "false"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    (run,) = find_runs(folder / "runs")
    return run, done.stdout


def test_the_script_of_the_seed_is_the_same_command(by_script):
    run, _ = by_script
    config = from_dict(run.load_config())
    assert (config.algo.lr, config.algo.hidden_sizes) == (1e-3, (8, 8))
    assert not config.runner.plot
    assert not (run.artifacts / "reward_curve.png").exists()


def test_another_process_evaluates_a_saved_policy_to_the_same_returns(by_script, capsys):
    run, output = by_script
    (said,) = [line for line in output.splitlines() if line.startswith("Evaluation | ")]
    cli.main(["evaluate", str(run.root)])
    assert capsys.readouterr().out.strip() == said.removeprefix("Evaluation | ")
    last = read_metrics(run.log_path())[-1]
    assert f"return {last['eval_return']:.2f}" in said


def test_evaluate_takes_a_number_of_episodes_and_a_seed(by_script, capsys):
    outputs = []
    for seed in ("1", "1", "2"):
        cli.main(["evaluate", str(by_script[0].root), "--episodes", "6", "--seed", seed])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != outputs[2]
    assert "6 greedy episodes" in outputs[0]


SPELLINGS = [
    (["--algo.hidden_sizes", "(128, 128)"], "algo", "hidden_sizes", (128, 128)),
    (["--algo.hidden-sizes", "128", "128"], "algo", "hidden_sizes", (128, 128)),
    (["--algo.hidden_sizes=[32]"], "algo", "hidden_sizes", (32,)),
    (["--algo.conv_layers", "((16, 3, 1),)"], "algo", "conv_layers", ((16, 3, 1),)),
    (["--algo.lr", "1e-3"], "algo", "lr", 1e-3),
    (["--algo.lr=0.5"], "algo", "lr", 0.5),
    (["--algo.target_kl", "None"], "algo", "target_kl", None),
    (["--algo.squash", "true"], "algo", "squash", True),
    (["--algo.squash"], "algo", "squash", True),
    (["--runner.plot", "false"], "runner", "plot", False),
    (["--runner.plot=False"], "runner", "plot", False),
    (["--runner.no_plot"], "runner", "plot", False),
    (["--runner.no-plot"], "runner", "plot", False),
    (["--runner.total_timesteps", "1e6"], "runner", "total_timesteps", 1_000_000),
]


@pytest.mark.parametrize(("words", "section", "field", "value"), SPELLINGS)
def test_every_spelling_of_a_setting_is_understood(words, section, field, value):
    assert getattr(getattr(parse(["cartpole_ppo", *words]), section), field) == value


def test_the_environment_and_its_physics_are_settings_too():
    config = parse(["cartpole_ppo", "--env_id", "GridWorld-v0", "--env_kwargs", "size", "4"])
    assert (config.env_id, config.env_kwargs) == ("GridWorld-v0", {"size": 4.0})
    from_dict(json.loads(json.dumps(to_dict(config))))


@pytest.mark.parametrize("preset", PRESETS)
def test_configs_survive_json(preset):
    config = PRESETS[preset][1]
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


def test_help_lists_every_preset_with_its_line(capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(["train", "--help"])
    assert done.value.code == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name, (line, _) in PRESETS.items():
        assert name in shown
        assert line in shown


def test_usage_and_environments_are_listed(capsys):
    cli.main([])
    cli.main(["envs"])
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("train", "evaluate", "plot", "CartPole-v1"))
    assert "gymnasium:LunarLander-v3" in shown
    assert "gymnasium:LunarLander-v2" not in shown  # the newest version only


@pytest.mark.parametrize(
    ("suite", "line"),
    [
        ("vibe_rl", "PixelGridWorld-v0 Image(40, 40, 3) -> Discrete(4)"),
        ("pgx", "pgx:minatar-breakout Box(0, 1, (10, 10, 4), bool) -> Discrete(3)"),
    ],
)
def test_environments_of_a_suite_are_listed_with_their_spaces(suite, line, capsys):
    pytest.importorskip(suite, reason=f"{suite} is not installed")
    cli.main(["envs", suite])
    shown = capsys.readouterr().out.splitlines()
    assert line in [" ".join(each.split()) for each in shown]


BAD = [
    (["trian"], "unknown command 'trian': did you mean train or track or train-sb3?"),
    (["train", "cartpole_pp"], "unknown preset 'cartpole_pp': did you mean cartpole_ppo"),
    (
        ["train", "cartpole_ppo", "--algo.lrr", "1"],
        "unknown field 'algo.lrr': did you mean algo.lr",
    ),
    (["train", "cartpole_ppo", "--lr", "1"], "unknown field 'lr'"),
    (["train", "cartpole_ppo", "--env_id", "Cartpole"], "unknown environment 'Cartpole': did you"),
    (["train", "cartpole_ppo", "--env_kwargs", "gravty", "1"], "did you mean gravity"),
    (["train", "cartpole_ppo", "--runner.total_timesteps", "511"], "one update of 512 env steps"),
    (["train", "cartpole_ppo", "--algo.n_minibatches", "3"], "n_minibatches 3 does not divide"),
    (["train", "cartpole_ppo", "--algo.hidden_sizes", "(8,"], "is not a tuple"),
    (["evaluate", "nowhere"], "nowhere is not a run directory"),
    (["plot", "nowhere"], "nowhere"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD)
def test_bad_input_gets_one_sentence_and_writes_nothing(words, sentence, capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(words)
    said = capsys.readouterr().err
    assert done.value.code == 2
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
    assert not Path("runs").exists()


def test_a_loss_that_is_not_finite_ends_with_status_one(capsys):
    words = ["--algo.lr", "inf", "--runner.eval_episodes", "0"]
    with pytest.raises(SystemExit) as done:
        cli.main(["train", "cartpole_ppo", *words, "--runner.total_timesteps", "512"])
    assert done.value.code == 1
    assert "at update 1 (env step 512)" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_run_that_fails_at_once_leaves_what_was_there_and_nothing_empty():
    earlier = RunDir("earlier")
    with suppress(RuntimeError), new_run_dir("new", "runs") as group:
        group.save_config({})
        RunDir(base_dir=group.root / "members", run_id="seed_0").log_path().touch()
        raise RuntimeError("failed")
    assert list(Path("runs").iterdir()) == [Path("runs", earlier.root.name)]
    with suppress(RuntimeError), new_run_dir("new", "runs") as run:
        run.log_path().write_text("{}")
        raise RuntimeError("failed")
    assert run.log_path().exists()


def test_a_run_whose_checkpoints_elsewhere_cannot_be_written_leaves_nothing_empty(capsys):
    Path("file").touch()
    with pytest.raises(SystemExit):
        cli.main(["train", "cartpole_ppo", "--runner.checkpoint_dir", "file/checkpoints"])
    assert "file/checkpoints cannot be written" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_run_in_which_no_episode_ends_is_no_failure(capsys):
    weightless = ["--env_kwargs", "gravity", "0", "force_mag", "0"]
    words = ["--runner.total_timesteps", "512", "--runner.eval_episodes", "0"]
    cli.main(["train", "cartpole_ppo", *weightless, *words])
    assert "Reward curve | none" in capsys.readouterr().out


def test_two_runs_of_one_second_get_two_directories():
    first, second = RunDir("same"), RunDir("same")
    assert first.root != second.root


def test_a_static_field_is_structure_and_a_number_is_a_leaf():
    small, large = PPOConfig(hidden_sizes=(8,)), PPOConfig(hidden_sizes=(16,))
    assert jax.tree.structure(small) != jax.tree.structure(large)
    slow, fast = PPOConfig(lr=1e-4), PPOConfig(lr=1e-3)
    assert jax.tree.structure(slow) == jax.tree.structure(fast)
    assert not np.allclose(jax.tree.leaves(slow), jax.tree.leaves(fast))
