"""The training program of HackMatrix, on a masked stand-in that says what the game says."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import pytest

from probes import Probe
from vibe_rl import cli
from vibe_rl.checkpoint import saved_steps
from vibe_rl.cli.hackmatrix.names import NAMES
from vibe_rl.cli.hackmatrix.options import FIELDS, Options, check_options
from vibe_rl.cli.hackmatrix.train_hackmatrix import UpdateLines, new_config
from vibe_rl.cli.shared.options import parse_words
from vibe_rl.configs.hackmatrix import PUBLISHED
from vibe_rl.env import Box, Discrete, Masked, registry
from vibe_rl.env.hackmatrix.env import HackMatrix, HackMatrixParams
from vibe_rl.env.hackmatrix.rules import N_ACTIONS, PARTS
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.config_files import read_config
from vibe_rl.metrics import read_metrics
from vibe_rl.policies import load_params
from vibe_rl.run_dir import find_runs
from vibe_rl.run_dir.group import members
from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.settings import read_settings
from vibe_rl.types import MaskedObs


@dataclass(frozen=True)
class StandIn(Probe):
    """One step an episode; the first two actions are legal, and the second pays more."""

    observation: str = "flat"
    shaping: str = "published"
    step_metrics: ClassVar[Any] = HackMatrix.step_metrics

    def default_params(self):
        return HackMatrixParams()

    def observation_space(self, params):
        return Masked(Box(-1.0, 1.0, (1,)), N_ACTIONS)

    def action_space(self, params):
        return Discrete(N_ACTIONS)

    def first(self, key):
        return MaskedObs(jnp.zeros(1), jnp.arange(N_ACTIONS) < 2)

    def reward(self, state, action, params):
        return params.step_penalty * (2.0 - action)

    def step(self, key, state, action, params):
        step = super().step(key, state, action, params)
        parts = dict.fromkeys(PARTS, jnp.float32(0.0)) | {"step_penalty": step.reward}
        moves = {"move_frac": 1.0, "siphon_frac": 0.0, "program_frac": 0.0}
        stage = {"stage": 1.0 + params.starting_siphons}
        metrics = parts | {name: jnp.float32(x) for name, x in (moves | stage).items()}
        return step._replace(info={"metrics": metrics})


TINY = ["--num-envs", "4", "--num-steps", "8", "--hidden-dim", "8", "--log-interval", "2"]
TRAIN = ["train-hackmatrix", *TINY, "--total-timesteps", "192", "--no-wandb"]


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, tmp_path):
    monkeypatch.setitem(registry._registry, "HackMatrix-v0", StandIn)
    monkeypatch.chdir(tmp_path)


def only_run():
    (run_dir,) = find_runs("checkpoints")
    return run_dir


def test_a_run_has_the_seeds_names_and_files(capsys):
    cli.main([*TRAIN, "--save-interval", "3", "--run-suffix", "try"])
    run_dir, said = only_run(), capsys.readouterr().out
    today = date.today()
    assert run_dir.root.name == f"hackmatrix-jax-{today:%b%d-%y}-1-try".lower()
    assert saved_steps(run_dir.checkpoints) == [96, 192]  # updates 3 and 6
    assert {path.name for path in run_dir.root.glob("*.npz")} == {"params_3.npz", "params_6.npz"}
    assert load_params(run_dir.root / "params_6.npz").algorithm.config.hidden_sizes == (8, 8)
    lines = [line for line in said.splitlines() if line.startswith("update ")]
    assert [line.split(" | ")[0] for line in lines] == ["update 2", "update 4", "update 6"]
    assert " | reward/step_penalty -0.01" in lines[-1]
    assert f"HackMatrix | {run_dir.root.name}" in said
    assert "Training complete | 192 env steps, 6 updates" in said


def test_episodes_of_an_update_are_told_whatever_a_row_holds(capsys):
    cli.main([*TRAIN, "--log-interval", "4"])  # rows of four updates and of two
    cli.main(
        [
            "train-hackmatrix",
            "--resume",
            str(only_run().root),
            "--no-wandb",
            "--log-interval",
            "1",
            "--total-timesteps",
            "224",
        ]
    )
    said = capsys.readouterr().out
    found = [part for part in said.split(" | ") if part.startswith("train/num_episodes")]
    assert found == ["train/num_episodes 32.0000"] * 3


def test_the_log_keeps_our_names_and_the_console_has_the_seeds(capsys):
    cli.main(TRAIN)
    row = read_metrics(only_run())[-1]
    assert {"actor_loss", "step_penalty", "stage_max", "episodes"} <= row.keys()
    said = capsys.readouterr().out.splitlines()
    line = next(line for line in reversed(said) if line.startswith("update "))
    shown = dict(part.rsplit(" ", 1) for part in line.split(" | ")[3:])
    wanted = {name for names in NAMES.values() for name in names if not name.startswith("key/")}
    assert shown.keys() == wanted - {"train/update_step", "train/updates_per_second"}
    assert float(shown["train/ent_loss"]) == -float(shown["train/entropy"])
    assert float(shown["train/mean_reward"]) == float(shown["reward/step_penalty"])
    assert float(shown["train/num_episodes"]) == 32.0  # an update's, of one step each
    assert float(shown["stats/highest_stage"]) == 1.0


def test_a_run_is_resumed_with_its_own_sizes_and_goes_back_when_asked(capsys):
    cli.main([*TRAIN, "--save-interval", "2"])
    run_dir = only_run()
    words = ["train-hackmatrix", "--resume", str(run_dir.checkpoints / "step_64")]
    with pytest.raises(SystemExit):
        cli.main([*words, "--no-wandb"])
    assert "step_64 is not the latest checkpoint, which is step_192" in capsys.readouterr().err
    cli.main([*words, "--rewind", "--lr", "1e-3", "--total-timesteps", "128"])
    said = capsys.readouterr().out
    assert "update 4 | " in said
    assert saved_steps(run_dir.root / "set_aside_after_step_64" / "checkpoints") == [128, 192]
    config = read_config(run_dir)
    assert (config.algo.num_envs, config.algo.lr) == (4, 1e-3)
    for words, why in (
        (["--resume", "checkpoints/x/checkpoint_9.pkl"], "is a pickle, which runs code"),
        (["--resume", str(run_dir), "--auto-tune"], "--auto-tune with --resume: a run keeps"),
        (["--resume", str(run_dir), "--run-name", "x"], "--run-name with --resume: a run keeps"),
        (["--rewind"], "give --resume RUN/checkpoints/step_N too"),
        (["--save-interval", "0"], "--save-interval 0: give at least 1."),
        (["--curriculum-start-phase", "2"], "needs --curriculum"),
        (["--curriculum-start-phase", "4"], "start_phase 4: give one of 1, 2, 3."),
        (["--save-interval-minutes", "nan"], "--save-interval-minutes nan: give at least 0."),
        (["--num-envs", "3", "--num-minibatches", "5"], "a divisor of it, such as 4 or 6."),
        (["--num-envs", "0"], "num_envs 0: give at least 1."),
        (["--num-envs", "-4"], "num_envs -4: give at least 1."),
        (["--num-steps", "0"], "n_steps 0: give at least 1."),
        (["--num-minibatches", "0"], "n_minibatches 0: give at least 1."),
        (["--update-epochs", "0"], "n_epochs 0: give at least 1."),
        (["--gamma", "1.5"], "gamma 1.5: give a number from 0 to 1."),
    ):
        with pytest.raises(SystemExit):
            cli.main(["train-hackmatrix", *words])
        shown = capsys.readouterr()
        assert why in shown.err
        assert not shown.out  # nothing of sizes, or of what is trained


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--total-timesteps 1000000000 --num-envs 2048 --num-steps 128 --lr 6.25e-5 --ent-coef 0.15"
        " --log-interval 5 --checkpoint-dir checkpoints",
        "--resume checkpoints/run-name",  # the seed's checkpoint_100.pkl is refused, see above
        "--resume checkpoints/run-name/checkpoints/step_100 --rewind",
        "--num-envs 64 --no-wandb",
    ],
)
def test_every_command_of_the_seed_is_understood(words):
    options = parse_words(Options, words.split(), "vibe-rl train-hackmatrix")
    check_options(options)
    if options.resume is None:
        new_config(options, PUBLISHED)


def test_too_small_a_total_is_raised_to_three_updates(capsys):
    cli.main([*TRAIN, "--total-timesteps", "10"])
    shown = capsys.readouterr()
    assert "Training complete | 96 env steps, 3 updates" in shown.out


def test_the_curriculum_is_in_the_config_and_the_evaluation_plays_the_full_game(monkeypatch):
    monkeypatch.setattr("vibe_rl.env.hackmatrix.curriculum.UPDATES", 2)
    monkeypatch.setattr("vibe_rl.configs.env_schedules.UPDATES", 2)
    cli.main([*TRAIN, "--curriculum", "--curriculum-start-phase", "1"])
    run_dir = only_run()
    assert run_dir.root.name.endswith("-1-curriculum")
    assert read_config(run_dir).env_schedule == "hackmatrix_1"
    rows = read_metrics(run_dir)
    assert [row["stage_max"] for row in rows] == [3.0, 2.0, 1.0]  # siphons of the phases, and one


def test_without_login_wandb_has_the_seeds_names_offline(tmp_path, monkeypatch, capfd):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("vibe_rl.tracking.background.PATIENCE", 60.0)
    cli.main([word for word in TRAIN if word != "--no-wandb"] + ["--project", "ours"])
    run_dir = only_run()
    assert "wandb is not logged in: the run is kept offline" in capfd.readouterr().err
    (file,) = run_dir.root.rglob("*.wandb")
    content = file.read_bytes()
    assert b"train/mean_episode_return" in content
    assert b"reward/siphon_quality" in content
    assert b"ours" in content
    settings = read_settings(run_dir)
    assert settings.wandb.project == "ours"
    assert settings.wandb.artifacts


def test_sizes_follow_the_number_of_envs_unless_they_are_given():
    algo = new_config(Options(num_envs=2048), PUBLISHED).algo
    assert (algo.n_minibatches, algo.n_epochs, algo.lr) == (32, 2, pytest.approx(6.25e-5))
    algo = new_config(Options(num_envs=2048, num_minibatches=4, update_epochs=4), PUBLISHED).algo
    assert (algo.n_minibatches, algo.n_epochs) == (4, 4)
    runner = new_config(Options(), PUBLISHED).runner
    assert (runner.log_interval, runner.checkpoint_interval) == (10 * 32_768, 0)
    assert runner.checkpoint_minutes == 10.0
    assert new_config(Options(), PUBLISHED).algo == PUBLISHED.algo


def test_seeds_side_by_side_have_the_curriculum_and_files_of_parameters_too():
    words = ["--seeds", "0:2", "--env_schedule", "hackmatrix_1", "--runner.save_params"]
    words += ["--algo.num_envs", "4", "--algo.n_steps", "8", "--algo.hidden_sizes", "(8, 8)"]
    words += ["--runner.total_timesteps", "96", "--runner.plot", "false"]
    words += ["--algo.encoder", "auto"]
    cli.main(["train", "hackmatrix_ppo", *words, "--runner.eval_episodes", "0"])
    (group,) = find_runs("runs")
    for seed, run_dir in enumerate(members(group)):
        assert load_params(run_dir.root / "params_3.npz").metadata["seed"] == seed
        assert read_metrics(run_dir)[-1]["stage_max"] == 3.0


def test_every_option_of_the_seed_exists():
    told = "num-envs num-steps total-timesteps lr gamma gae-lambda num-minibatches update-epochs "
    told += "clip-eps vf-coef ent-coef max-grad-norm hidden-dim num-layers log-interval no-wandb "
    told += "project entity run-name run-suffix save-interval-minutes save-interval "
    told += "checkpoint-dir no-artifact resume rewind seed auto-tune curriculum "
    told += "curriculum-start-phase"
    assert set(Options.__dataclass_fields__) == {name.replace("-", "_") for name in told.split()}
    assert set(FIELDS) <= set(Options.__dataclass_fields__)


def test_a_name_of_ones_own_is_used_and_never_twice(capsys):
    cli.main([*TRAIN, "--run-name", "mine"])
    assert Path("checkpoints/mine/config.json").exists()
    with pytest.raises(SystemExit):
        cli.main([*TRAIN, "--run-name", "mine"])
    assert "run_id 'mine' exists" in capsys.readouterr().err
    assert json.loads(Path("checkpoints/mine/tracking.json").read_text())["names"] == NAMES


def test_lines_say_the_update_the_time_and_the_speed():
    said, now = [], [5.0]
    lines = UpdateLines(said.append, lambda: now[0])
    now[0] = 7.25
    row = {"train/update_step": 10, "train/updates_per_second": 2.0, "train/entropy": 1.23456}
    lines.log(row | {"key/mean_reward": 1.0}, 320)
    lines.log({"episode_return": 1.0}, 321)  # of a single episode
    assert said == ["update 10 | 2.2 s | 2.00 updates/s | train/entropy 1.2346"]
    assert isinstance(lines, Tracker)
    with pytest.raises(ConfigError, match="--num-layers 0: give at least 1"):
        check_options(Options(num_layers=0))
