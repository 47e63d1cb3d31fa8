"""An algorithm's name as a preset: what it takes from an environment, and what it refuses."""

import pytest

from vibe_rl.configs import ALGORITHMS, cli
from vibe_rl.configs.command_line import preset_of
from vibe_rl.configs.for_env import FOR_ANY_ENV, Kind, kind_of_env
from vibe_rl.env import make
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import build

KINDS = {
    "CartPole-v1": Kind(pictures=False, numbers=True, continuous=False, on_host=False),
    "Pendulum-v1": Kind(pictures=False, numbers=True, continuous=True, on_host=False),
    "PixelGridWorld-v0": Kind(pictures=True, numbers=False, continuous=False, on_host=False),
    "gymnasium:FrozenLake-v1": Kind(pictures=False, numbers=False, continuous=False, on_host=True),
}


@pytest.mark.parametrize("env_id", KINDS)
def test_what_an_environment_is_like_follows_from_its_spaces(env_id):
    assert kind_of_env(env_id, {}) == KINDS[env_id]


@pytest.mark.parametrize("algorithm", FOR_ANY_ENV)
@pytest.mark.parametrize("env_id", KINDS)
def test_every_preset_builds_where_its_algorithm_takes_the_actions(algorithm, env_id):
    config = cli([algorithm, "--env", env_id])
    assert config.env_id == env_id
    assert type(config.algo) is ALGORITHMS[algorithm][0]
    if algorithm == "dqn" and KINDS[env_id].continuous:
        with pytest.raises(ConfigError, match=r"DQN supports Discrete actions, not .*: use SAC"):
            build(config)
    else:
        build(config)


def test_fields_and_arguments_of_the_environment_go_before_the_preset():
    words = ["ppo", "--env=GridWorld-v0", "--env_kwargs", "size", "3", "--algo.num_envs", "2"]
    config = cli(words)
    assert (config.env_id, config.env_kwargs) == ("GridWorld-v0", {"size": 3})
    assert config.algo.num_envs == 2
    assert preset_of(words).algo.num_envs == 64
    assert config.algo.lr == preset_of(words).algo.lr


def test_another_environment_of_a_tuned_preset_may_be_spelled_either_way():
    assert cli(["cartpole_ppo", "--env", "Acrobot-v1"]) == cli(
        ["cartpole_ppo", "--env_id", "Acrobot-v1"]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ppo", "ppo is a preset without an environment: say which, such as vibe-rl train ppo"),
        ("dqn --env", "--env_id: give a value"),
        ("dqn --env CartPole-v2", "unknown environment 'CartPole-v2': did you mean CartPole-v1"),
        ("sac --env CartPole-v1 --env_kwargs gravty 1", "'gravty': did you mean gravity"),
        ("pp --env CartPole-v1", "unknown preset 'pp': did you mean ppo"),
    ],
)
def test_a_wrong_word_is_one_sentence(words, message):
    with pytest.raises(ConfigError, match=message):
        cli(words.split())


def test_an_environment_of_a_suite_has_its_preset_too():
    pytest.importorskip("gymnax", reason="gymnax is not installed")
    words = [
        "ppo",
        "--env",
        "gymnax:Breakout-MinAtar",
        "--env_kwargs",
        "max_steps_in_episode",
        "50",
    ]
    config = cli(words)
    assert kind_of_env(config.env_id, {}).pictures
    assert make(config.env_id, **config.env_kwargs)[1].max_steps_in_episode == 50
