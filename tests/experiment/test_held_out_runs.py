"""A run directory of an env that holds a set out: what evaluates it again plays all of it."""

import csv
from dataclasses import replace

import jax
import numpy as np
import pytest

from probes import HoldsOut
from small_run import CONFIG
from vibe_rl.cli import main
from vibe_rl.env import register, registry
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import evaluate_run, load_run, train
from vibe_rl.experiment.single import evaluate_env
from vibe_rl.watching import open_game

NAME = "HoldsOut-v0"
RETURNS = 5.0 * np.arange(10, 15)


@pytest.fixture(scope="module", autouse=True)
def _registered():
    register(NAME, HoldsOut)
    yield
    del registry._registry[NAME]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    runner = replace(CONFIG.runner, total_timesteps=128, eval_every=0, eval_lanes=2)
    config = replace(CONFIG, env_id=NAME, runner=runner)
    return train(config, tmp_path_factory.mktemp("runs"))[0]


def test_a_saved_agent_plays_the_whole_set_again(run_dir):
    scores = evaluate_run(run_dir)
    np.testing.assert_array_equal(scores.episode_returns, RETURNS)
    np.testing.assert_array_equal(evaluate_run(run_dir, episodes=2).episode_returns, RETURNS[:2])
    others = evaluate_run(run_dir, actor="random")
    np.testing.assert_array_equal(others.episode_returns, RETURNS)
    for actor in (None, "random"):
        with pytest.raises(ConfigError, match="episodes 6: 5 are held out"):
            evaluate_run(run_dir, episodes=6, actor=actor)


def test_the_command_line_writes_a_row_for_each_in_order(run_dir, tmp_path, capsys):
    main(["evaluate", str(run_dir), "--csv", str(tmp_path / "rows.csv")])
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["scenario"]) for row in rows] == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal([float(row["return"]) for row in rows], RETURNS)
    assert "60" in capsys.readouterr().out  # the mean


def test_a_player_of_the_env_plays_the_set_without_a_run():
    np.testing.assert_array_equal(evaluate_env(NAME).episode_returns, RETURNS)
    np.testing.assert_array_equal(evaluate_env(NAME, episodes=1).episode_returns, RETURNS[:1])


def test_who_watches_sees_the_scenarios_in_their_order(run_dir):
    run, _, _ = load_run(run_dir)
    game = open_game(run.env, run.eval_params)
    keys = jax.random.split(jax.random.key(0), 6)
    first = [float(game.begin(key).obs[0]) for key in keys]
    assert first == [10, 11, 12, 13, 14, 10]
    assert float(game.begin(keys[1]).obs[0]) == 11, "which is that of an equal key"
    assert game.step(np.int32(0)).reward == 11
