"""The command that trains a run again: parsed, it gives an equal config."""

import shlex
from dataclasses import replace

import pytest

from vibe_rl.cli.shared.options import pop_option
from vibe_rl.configs import PRESETS, cli, parse_seeds
from vibe_rl.report.command import (
    differences,
    nearest_preset,
    recorded,
    resume_commands,
    train_command,
    trainer_commands,
    words_for,
)

PPO, DQN = (PRESETS[name][1] for name in ("cartpole_ppo", "cartpole_dqn"))


def changed(config, **sections):
    """The config with fields of its sections changed."""
    parts = {k: v for k, v in sections.items() if k in ("algo", "runner")}
    parts = {k: replace(getattr(config, k), **v) for k, v in parts.items()}
    return replace(config, **{**sections, **parts})


CONFIGS = {
    "preset": PPO,
    "numbers": changed(PPO, algo={"lr": 1e-3, "gamma": 0.5, "num_envs": 8}),
    "tuples": changed(PPO, algo={"hidden_sizes": (128, 32, 8)}),
    "one": changed(PPO, algo={"hidden_sizes": (128,)}),
    "none": changed(PPO, algo={"lr_end": None}, runner={"health_kl": None}),
    "flags": changed(PPO, runner={"plot": False, "progress_bar": False}),
    "words": changed(PPO, algo={"activation": "relu"}, runner={"seed": 2**40}),
    "trackers": changed(PPO, runner={"track": ("tensorboard", "mlflow")}),
    "elsewhere": changed(PPO, env_id="GridWorld-v0", env_kwargs={"size": 7}),
    "below": changed(PPO, env_id="Acrobot-v1", algo={"reward_scale": 1e-7}),
    "dqn": changed(DQN, runner={"buffer_size": 1234}, algo={"prioritized": True}),
    "interval": changed(PPO, runner={"checkpoint_interval": 77, "checkpoint_share": 1.0}),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_command_gives_an_equal_config_when_it_is_parsed(name):
    config = recorded(CONFIGS[name])
    command = train_command(config, "runs/x", nearest_preset(config))
    program, verb, *words = shlex.split(command)
    assert (program, verb) == ("vibe-rl", "train")
    assert recorded(cli(words)) == config


@pytest.mark.parametrize("seeds", [[0, 1, 2], [3, 5, 9], [7]])
def test_a_command_of_a_group_names_its_seeds_and_not_that_of_a_member(seeds):
    config = recorded(changed(PPO, runner={"seed": seeds[0]}, algo={"lr": 0.5}))
    command = train_command(config, "runs/x", nearest_preset(config), seeds)
    text, words = pop_option("--seeds", shlex.split(command)[2:])
    assert parse_seeds(text) == seeds
    assert "--runner.seed" not in words
    assert cli(words).algo.lr == 0.5


def test_a_config_that_no_words_give_is_trained_from_its_file():
    config = recorded(changed(PPO, runner={"checkpoint_interval": 77}))  # the words set a share
    assert words_for(config, "cartpole_ppo") is None
    command = train_command(config, "runs/it's", "cartpole_ppo", [4, 6])
    program, _, code = shlex.split(command)
    assert program == "python"
    compile(code, "command", "exec")
    assert """read_config("runs/it's")""" in code
    assert "seeds=[4, 6]" in code


def test_the_preset_is_the_one_that_was_named_or_else_the_nearest_of_its_task():
    config = recorded(DQN)
    assert nearest_preset(config, ["vibe-rl", "train", "gridworld_dqn"]) == "gridworld_dqn"
    assert nearest_preset(config, ["vibe-rl", "train", "cartpole_ppo"]) == "cartpole_dqn"
    assert nearest_preset(config) == "cartpole_dqn"
    assert nearest_preset({"algorithm": "other"}) is None


def test_an_algorithm_that_was_named_is_the_preset_of_its_environment():
    words = ["ppo", "--env", "GridWorld-v0", "--algo.lr", "0.5", "--env_kwargs", "size", "7"]
    config = recorded(cli(words))
    assert nearest_preset(config, ["vibe-rl", "train", *words]) == "ppo"
    assert train_command(config, "runs/x", "ppo") == f"vibe-rl train {shlex.join(words)}"
    elsewhere = {**config, "env_id": "missing:Room-v0"}
    assert nearest_preset(elsewhere, ["vibe-rl", "train", "ppo"]) in PRESETS
    assert words_for(elsewhere, "ppo") is None


def test_a_resumption_names_only_what_it_changed():
    first = recorded(PPO)
    second = recorded(changed(PPO, algo={"lr": 0.1}, runner={"total_timesteps": 200_000}))
    (command,) = resume_commands([first, second], "runs/a b")
    options = "--algo.lr 0.1 --runner.total_timesteps 200000"
    assert command == f"vibe-rl train --resume 'runs/a b' {options}"
    assert resume_commands([first], "runs/a") == []


def test_differences_name_fields_of_both_sides():
    assert [x.field for x in differences({"a": 1, "b": {"c": 2}}, {"b": {"c": 3}})] == ["b.c", "a"]


def test_the_command_of_a_trainer_is_its_own_and_never_that_of_the_library():
    about = {"settings": {"seed": 3}, "env": {}, "arguments": {"mlflow_experiment_name": "a"}}
    typed = {"command": ["vibe-rl", "ppo-cartpole", "train", "--seed", "3"], "trainer": about}
    again = {"command": ["vibe-rl", "ppo-cartpole", "train", "--resume"], "trainer": about}
    assert trainer_commands([typed, again], "runs/a") == [
        "vibe-rl ppo-cartpole train --seed 3",
        "vibe-rl ppo-cartpole train --resume",
    ]
    (code,) = trainer_commands([{"command": ["mine.py"], "trainer": about}], "runs/a")
    assert "PPOAgent.load('runs/a/artifacts/first_agent')" in shlex.split(code)[2]
    assert "**{'seed': 3, 'mlflow_experiment_name': 'a'}).train()" in shlex.split(code)[2]
    assert trainer_commands([{"command": ["vibe-rl", "train", "cartpole_ppo"]}], "runs/a") == []
    assert trainer_commands([], "runs/a") == []
