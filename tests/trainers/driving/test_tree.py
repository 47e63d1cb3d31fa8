"""The tree of settings: what words make of it, and what it becomes."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from compiling import as_users_do
from vibe_rl.configs.train_config import from_dict, to_dict
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.trainers.driving.algorithm_settings import SETTINGS
from vibe_rl.trainers.driving.composing import Composition, compose, dotted, sweep_words
from vibe_rl.trainers.driving.groups import DEFAULTS, groups
from vibe_rl.trainers.driving.keys import (
    ELSEWHERE,
    FIELDS,
    INTERVALS,
    REFUSED,
    PipelineKeys,
    key_names,
    meanings,
)
from vibe_rl.trainers.driving.plans import plan_of


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with as_users_do():
        yield
    assert os.listdir(tmp_path) in ([], ["mine"])


@pytest.fixture(scope="module")
def tree() -> Composition:
    return compose([])


def test_without_words_every_group_has_its_default_and_the_working_directory_stays_empty(tree):
    assert tree.choices == DEFAULTS
    assert tree.words == ()


def test_every_option_of_every_group_becomes_a_config_that_is_read_back_equal():
    every = groups()
    for i in range(max(map(len, every.values()))):
        chosen = {group: list(options)[i % len(options)] for group, options in every.items()}
        tree = compose([f"{group}={name}" for group, name in chosen.items()])
        assert tree.choices == chosen
        config = plan_of(tree).config
        assert from_dict(plain(to_dict(config))) == config, chosen


@pytest.mark.parametrize("name", SETTINGS)
def test_an_algorithm_has_the_settings_for_driving_and_else_its_defaults(name):
    settings = SETTINGS[name]
    plan = plan_of(compose([f"algorithm={name}"]))
    assert plan.config.algo == replace(settings.algo, encoder="none")
    runner = plan.config.runner
    assert plan.keys.num_envs == runner.num_envs == settings.num_envs
    assert settings.buffer_size in (None, runner.buffer_size)
    assert settings.warmup_steps in (None, runner.warmup_steps)


def test_the_runner_of_the_tree_has_the_fields_of_its_config_but_for_those_that_stand_elsewhere(
    tree,
):
    covered = {*FIELDS.values(), *INTERVALS.values(), *ELSEWHERE}
    assert set(tree.values["runner"]) == set(vars(RunnerConfig())) - covered


def test_frequencies_count_iterations_of_all_envs_and_devices():
    words = ["num_envs=8", "num_episode_per_epoch=2", "scenario_length=10", "num_devices=2"]
    plan = plan_of(compose([*words, "log_freq=3", "save_freq=5", "eval_freq=7"]))
    runner = plan.config.runner
    iteration = 8 * 2 * 10 * 2
    found = runner.log_interval, runner.checkpoint_interval, runner.eval_every
    assert found == (3 * iteration, 5 * iteration, 7 * iteration)


def test_keys_with_other_names_set_the_fields_of_the_runner():
    words = ["total_timesteps=1e6", "seed=7", "num_scenario_per_eval=32", "logger.track=[sqlite]"]
    runner = plan_of(compose(words)).config.runner
    assert (runner.total_timesteps, runner.seed, runner.eval_episodes) == (1_000_000, 7, 32)
    assert runner.track == ("sqlite",)


@pytest.mark.parametrize(
    ("words", "every"),
    [
        (["num_envs=16"], 4),  # 16 / 64 of a gradient step in each env step
        (["num_envs=6"], 32),  # 6 / 64 is 3 / 32
        (["num_envs=8", "num_devices=8"], 1),
        (["num_envs=16", "algorithm.train_every=2"], 4),
        (["num_envs=2", "algorithm=sac_vmax"], 2),
        (["num_envs=2", "algorithm=ppo"], None),
        (["num_envs=2", "algorithm.replay_ratio=3.14159265"], 1),  # refused by the algorithm
    ],
)
def test_few_envs_update_less_often_so_that_gradient_steps_are_whole(words, every):
    assert getattr(plan_of(compose(words)).config.algo, "train_every", None) == every


def test_lists_become_tuples():
    config = plan_of(compose(["algorithm=ppo", "algorithm.hidden_sizes=[64,32]"])).config
    assert config.algo.hidden_sizes == (64, 32)


def test_the_encoder_mlp_is_v_maxs_and_none_is_the_vector_alone():
    config = plan_of(compose(["network/encoder=mlp", "network.encoder.token_width=32"])).config
    assert (config.algo.encoder, config.algo.token_width) == ("embedded", 32)
    assert not config.algo.normalize_obs
    assert plan_of(compose(["network/encoder=none"])).config.algo.encoder == "none"
    assert "embedded" not in groups()["network/encoder"]


def test_a_path_of_scenarios_alone_chooses_files():
    assert compose(["path_dataset=some/where"]).choices["scenarios"] == "files"
    given = compose(["path_dataset=some/where", "scenarios=womd"])
    assert given.choices["scenarios"] == "womd"


def test_options_of_ones_own_are_found_in_a_folder(tmp_path):
    (tmp_path / "mine" / "algorithm").mkdir(parents=True)
    text = "# @package _global_\ndefaults: [sac]\nseed: 5\nalgorithm: {tau: 0.02}\n"
    (tmp_path / "mine" / "algorithm" / "slow.yaml").write_text(text)
    plan = plan_of(compose(["algorithm=slow"], "mine"))
    assert (plan.config.algo.tau, plan.keys.seed) == (0.02, 5)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("sed=1", "unknown key 'sed': did you mean seed?"),
        ("algorithm.batchsize=1", "did you mean algorithm.batch_size or"),
        ("algorithm=sacc", "unknown option of algorithm 'sacc': did you mean sac or"),
        ("network/encoder=lqq", "unknown option of network/encoder 'lqq'"),
        ("algorithm.n_epochs=3", "unknown key 'algorithm.n_epochs'"),
        ("+foo=1", "leave out ~ and +"),
        ("~seed", "leave out ~ and +"),
        ("seed", "'seed' is no override: give NAME=VALUE, such as seed=1."),
        ("seed=[1,", "is no override"),
        ("seed=1,2", "give -m for a run of each"),
        ("runner.seed=3", "runner.seed is seed at the top: give seed=..."),
        ("runner.log_interval=3", "runner.log_interval is log_freq at the top"),
        ("runner.resume=true", "give resume=RUN at the top"),
        ("waymo_dataset=true", "give scenarios=womd"),
        ("hydra.run.dir=x", "hydra.run.dir has no effect: give name_exp and name_run"),
        ("algorithm.discount=0.9", "give algorithm.gamma"),
        ("foo.bar=1", "in all)."),
    ],
)
def test_a_word_that_cannot_work_is_refused_in_one_sentence(word, said):
    with pytest.raises(ConfigError) as refused:
        compose([word])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("seed=x", "seed 'x': give a number."),
        ("seed=-1", "seed -1: give at least 0"),
        ("num_envs=1.5", "num_envs 1.5: give a whole number."),
        ("algorithm.hidden_sizes=64", "hidden_sizes 64: give a tuple"),
        ("termination_keys=overlap", "termination_keys 'overlap': give a tuple, such as (one, oth"),
        ("algorithm.name=a2c", "unknown algorithm.name 'a2c'"),
    ],
)
def test_a_value_that_cannot_work_is_refused_in_one_sentence(word, said):
    tree = compose([word])
    with pytest.raises(ConfigError) as refused:
        plan_of(tree)
    assert said in str(refused.value)


def test_a_key_that_is_refused_is_no_key_of_the_tree(tree):
    assert not set(REFUSED) & set(dotted(tree.values))


def test_every_key_at_the_top_says_what_it_means():
    assert set(meanings()) == set(key_names())
    assert set(FIELDS) | set(INTERVALS) <= set(key_names())


def test_an_iteration_is_every_scenario_of_every_env():
    assert PipelineKeys().iteration_steps() == 16 * 4 * 80  # V-Max's 5,120


def test_several_values_are_a_run_for_every_combination():
    seen = []
    sweep_words(
        ["seed=1,2", "algorithm=sac,ppo"],
        lambda tree: seen.append((tree.values["seed"], tree.choices["algorithm"])),
    )
    assert seen == [(1, "sac"), (1, "ppo"), (2, "sac"), (2, "ppo")]


def test_a_sweep_over_what_does_not_exist_trains_nothing():
    seen = []
    with pytest.raises(ConfigError, match="unknown option of algorithm 'sacc'"):
        sweep_words(["algorithm=sac,sacc"], seen.append)
    with pytest.raises(ConfigError, match=r"unknown key 'algorithm\.n_stepp'"):
        sweep_words(["algorithm=sac,ppo", "algorithm.n_stepp=3"], seen.append)
    assert not seen
