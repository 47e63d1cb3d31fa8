"""The flags of `vibe-rl train-sb3`, and its messages, with or without sb3-contrib."""

import json
import sys
from zipfile import ZipFile

import pytest

from vibe_rl.cli import main
from vibe_rl.cli.shared.options import parse_words
from vibe_rl.configs.train_config import from_dict
from vibe_rl.errors import ConfigError
from vibe_rl.trainers.sb3 import Settings, load_policy
from vibe_rl.trainers.sb3.episodes import row_of, snake
from vibe_rl.trainers.sb3.settings import HYPERPARAMETERS, check_training


def parse(*words):
    return parse_words(Settings, words, "vibe-rl train-sb3")


def test_the_published_flags_have_the_published_defaults():
    settings = parse()
    assert (settings.timesteps, settings.save_freq, settings.eval_freq) == (10**6, 10**4, 5000)
    assert (settings.num_envs, settings.max_episode_steps) == (1, 1000)
    assert (settings.resume, settings.run_suffix, settings.wandb) == (None, "", True)
    assert (settings.debug, settings.info) == (False, False)
    assert HYPERPARAMETERS == {
        **{"learning_rate": 3e-4, "n_steps": 2048, "batch_size": 64, "n_epochs": 10},
        **{"gamma": 0.99, "gae_lambda": 0.95, "clip_range": 0.2, "ent_coef": 0.1},
    }


def test_every_published_flag_is_understood():
    numbers = "--timesteps 2 --save-freq 3 --eval-freq 4 --num-envs 5 --max-episode-steps 6"
    switches = "--log-dir a --model-dir b --debug --info --no-wandb"
    settings = parse(*f"{numbers} {switches}".split())
    assert settings == Settings(
        timesteps=2,
        save_freq=3,
        eval_freq=4,
        log_dir="a",
        model_dir="b",
        num_envs=5,
        max_episode_steps=6,
        debug=True,
        info=True,
        wandb=False,
    )
    assert parse("--resume", "m.zip", "--ent-coef", "0.2").typed == {"ent_coef": 0.2}
    assert parse("--run-suffix", "x").run_suffix == "x"


@pytest.mark.parametrize(
    "words",
    [
        "--timesteps 100000000 --save-freq 50000",
        "--resume ./models/MODEL_DIR/best_model.zip",
        "--no-wandb",
    ],
)
def test_every_command_of_the_seed_is_understood(words):
    check_training(parse(*words.split()))


def test_a_model_is_watched_by_the_seeds_option_too(capsys):
    for words in (["--model", "./models/x/best_model.zip"], ["./models/x/best_model.zip"]):
        with pytest.raises(SystemExit):
            main(["watch", *words])
        assert "models/x/best_model.zip does not exist: name a run" in capsys.readouterr().err


def test_a_run_of_theirs_names_what_to_watch():
    with pytest.raises(ConfigError, match="MaskablePPO is Stable-Baselines3's: name a model of"):
        from_dict({"algorithm": "MaskablePPO"})


def test_frequencies_count_the_steps_of_all_environments():
    assert Settings(num_envs=4).calls(10_000) == 2500
    assert Settings(num_envs=4).calls(3) == 1


def test_games_evaluations_and_resumed_games_have_different_seeds():
    seeds = {Settings(seed=s).seed_of(n, what) for s in (0, 1) for n in (0, 9) for what in (0, 1)}
    assert len(seeds) == 8


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"timesteps": 0}, "--timesteps 0: give at least 1"),
        ({"num_envs": 0}, "--num_envs 0: give at least 1"),
        ({"gamma": 1.5}, "--gamma 1.5: give"),
        ({"run_suffix": "a/b"}, "--run_suffix a/b: give a name without slashes"),
        ({"run_suffix": "a", "resume": "b.zip"}, "leave it out where one is resumed"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_training(Settings(**settings))


@pytest.fixture
def absent(monkeypatch, tmp_path):
    """As where the extra is not installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    return tmp_path


def test_without_the_extra_one_line_says_what_to_install_and_nothing_is_written(absent, capsys):
    with pytest.raises(SystemExit) as end:
        main(["train-sb3", "--timesteps", "100"])
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "vibe-rl: models of MaskablePPO need stable_baselines3: pip install 'vibe-rl[sb3]'.\n"
    )
    assert not list(absent.iterdir())


def test_a_file_that_is_no_model_is_refused_before_any_code_of_it_runs(tmp_path):
    empty, text = tmp_path / "other.zip", tmp_path / "checkpoint_100.pkl"
    with ZipFile(empty, "w") as archive:
        archive.writestr("data", json.dumps({"something": 1}))
    text.write_bytes(b"\x80\x04.")
    for path in (empty, text, tmp_path / "nowhere.zip"):
        with pytest.raises(ConfigError, match=f"{path.name} is no model of Stable-Baselines3"):
            load_policy(path)


def test_an_episode_has_no_more_than_what_its_environment_says():
    info = {"episode": {"r": 2.5, "l": 7, "t": 0.1}}
    assert row_of(info, 70, 3) == {
        "step": 70,
        "episode_return": 2.5,
        "episode_length": 7,
        "episode/count": 3,
    }


def test_parts_of_the_reward_are_called_as_published():
    assert [snake(x) for x in ("stage", "siphonDeathPenalty", "hp_recovery")] == [
        *("stage", "siphon_death_penalty", "hp_recovery")
    ]
