"""Words of the command line become a config, or one sentence."""

import io

import pytest
import tyro

from vibe_rl.cli.shared.options import parse_int, parse_words, whole_options
from vibe_rl.configs import PRESETS, cli, update_config
from vibe_rl.errors import ConfigError
from vibe_rl.plotting import PlotConfig


def test_arguments_of_an_environment_are_numbers_booleans_and_words():
    words = "cartpole_ppo --env_kwargs is_slippery False map_name 8x8 size 4 g 9.81 fast True"
    expected = {"is_slippery": False, "map_name": "8x8", "size": 4, "g": 9.81, "fast": True}
    config = cli([*words.split(), "--runner.plot", "false", "--algo.normalize_obs", "true"])
    assert config.env_kwargs == expected
    assert all(type(config.env_kwargs[name]) is type(expected[name]) for name in expected)
    assert (config.runner.plot, config.algo.normalize_obs) == (False, True)


def test_arguments_of_the_environment_change_one_by_one_and_go_with_it():
    config = cli(["hackmatrix_ppo", "--env_kwargs", "shaping", "published"])
    assert config.env_kwargs == {"observation": "parts", "shaping": "published"}
    again = update_config(config, ["--env_kwargs", "undo_depth", "2"])
    assert again.env_kwargs == config.env_kwargs | {"undo_depth": 2}
    assert update_config(config, ["--algo.lr", "1e-3"]).env_kwargs == config.env_kwargs
    assert cli(["hackmatrix_ppo", "--env_id", "CartPole-v1"]).env_kwargs == {}


@pytest.mark.parametrize(
    ("words", "own", "runners", "share"),
    [
        ("", 4, 1, None),
        ("--runner.num_envs 8", 1, 8, None),
        ("--algo.num_envs=4", 4, 1, None),
        ("--algo.num_envs 2 --runner.num-envs 8", 2, 8, None),
        ("--runner.checkpoint-interval 5000", 4, 1, 1.0),  # though it is the default
        ("--runner.checkpoint_interval 5000 --runner.checkpoint_share 0.5", 4, 1, 0.5),
        ("--runner.checkpoint_interval None", 4, 1, None),
    ],
)
def test_what_is_typed_counts_as_given_and_goes_before_the_preset(words, own, runners, share):
    config = cli(["cartpole_ppo", *words.split()])
    assert (config.algo.num_envs, config.runner.num_envs) == (own, runners)
    assert config.runner.checkpoint_share == share


@pytest.mark.parametrize("typed", ["1000", "1e3", "1.0E+3", "1_000"])
def test_every_command_takes_whole_numbers_as_people_type_them(typed):
    def options(run: str, episodes: int | None = None, out: str = ""):
        return run, episodes, out

    words = ["--run", "1e3", f"--episodes={typed}", "--out", "1e3"]
    assert parse_words(options, words, "vibe-rl") == ("1e3", 1000, "1e3")
    assert parse_words(options, ["--run", "r", "--episodes", typed], "vibe-rl")[1] == 1000
    assert parse_int("--members", typed, 1) == 1000


def test_whole_numbers_of_a_record_among_the_options_are_known():
    def options(config: tyro.conf.OmitArgPrefixes[PlotConfig], dpi: int = 1, name: str = ""):
        return config, dpi, name

    assert set(whole_options(options)) == {"--smooth_radius", "--dpi"}


def test_a_text_that_looks_like_a_number_stays_a_text():
    for text in ("1e6", "(8)", "true"):
        assert cli(["cartpole_ppo", "--runner.checkpoint_dir", text]).runner.checkpoint_dir == text


def test_the_number_of_envs_that_is_typed_goes_before_the_one_on_record():
    recorded = cli(["cartpole_ppo"])
    config = update_config(recorded, ["--runner.num_envs", "3"])
    assert (config.algo.num_envs, config.runner.num_envs) == (1, 3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--algo.lr abc", "--algo.lr abc: give a number."),
        ("--runner.total_timesteps 0.5", "--runner.total_timesteps 0.5: give a whole number."),
        (
            "--algo.hidden_sizes 64,64",
            "--algo.hidden_sizes 64,64: write a tuple as '(128, 128)' or 128 128.",
        ),
        (
            "--algo.normalize_obs yes",
            "--algo.normalize_obs yes: give true or false.",
        ),
        (
            "--algo.normalize_obs true false",
            "false: leave it out, or see vibe-rl train cartpole_ppo --help.",
        ),
        (
            "--runner.seed 18446744073709551616",
            "runner.seed 18446744073709551616: give a smaller number.",
        ),
        ("--algo.target_kl abc", "--algo.target_kl abc: give a number."),
        ("--runner.num_devices 1.5", "--runner.num_devices 1.5: give a whole number."),
        ("--algo.lr", "--algo.lr: give a value."),
        ("--algo.hidden_sizes --algo.lr 1", "--algo.hidden_sizes: give a value."),
        ("--env_kwargs a", "--env_kwargs: write each name and its value, such as size 4."),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # of a terminal
def test_a_word_that_does_not_fit_gets_one_sentence(words, sentence, encoding, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    with pytest.raises(ConfigError) as error:
        cli(["cartpole_ppo", *words.split()])
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("word", "value"), [("true", True), ("True", True), ("false", False), ("None", None)]
)
def test_a_field_that_may_be_none_is_true_or_false_in_words_too(word, value):
    assert cli(["cartpole_ppo", "--runner.log_episodes", word]).runner.log_episodes is value


def test_no_layers_are_a_tuple_too():
    assert cli(["cartpole_ppo", "--algo.hidden_sizes", "()"]).algo.hidden_sizes == ()


def test_a_word_that_does_not_fit_a_run_gets_one_sentence_too():
    with pytest.raises(ConfigError, match=r"^--algo.lr abc: give a number\.$"):
        update_config(PRESETS["cartpole_ppo"][1], ["--algo.lr", "abc"])


def test_help_is_help(capsys):
    with pytest.raises(SystemExit) as end:
        cli(["cartpole_ppo", "--help"])
    assert not end.value.code
    assert "--algo.lr" in capsys.readouterr().out
