"""Evaluations of a held-out set: each scenario once, in order, whatever is played side by side."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from probes import Bank, Banked, HoldsOut
from training import run_training
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import AutoResetWrapper, ObsNormWrapper
from vibe_rl.env.params.many import held_out
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.episodes_csv import write_episodes
from vibe_rl.metrics import MetricsLogger, read_metrics
from vibe_rl.runner import RunnerConfig, prepare, train_ppo
from vibe_rl.runner.actors import actor_named, evaluate_actor
from vibe_rl.runner.eval_metrics import unfit_metrics, with_metrics
from vibe_rl.runner.evaluation import results_of
from vibe_rl.runner.many.fit import fit_many
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.runner.streams import evaluation_key
from vibe_rl.runner.train_ppo import ppo

N = 7
ENV = AutoResetWrapper(Banked())
PARAMS = Bank()
HELD_OUT = Bank(np.arange(N, dtype=np.float32), np.arange(N, dtype=np.int32))
CONFIG = PPOConfig(hidden_sizes=(4,), num_envs=2, n_steps=4, n_minibatches=2)
RUNNER = RunnerConfig(
    total_timesteps=32, eval_every=16, eval_max_steps=8, progress_bar=False, plot=False
)


def prepared(env=ENV, eval_params=HELD_OUT, **how):
    changes = {name: how.pop(name) for name in list(how) if hasattr(RUNNER, name)}
    runner = replace(RUNNER, **changes)
    algorithm = ppo(env, PARAMS, CONFIG, runner)
    return prepare(algorithm, env, PARAMS, runner, CONFIG.num_envs, eval_params=eval_params, **how)


@pytest.fixture(scope="module")
def agent():
    return prepared().algorithm.init(jax.random.key(0))


@pytest.mark.parametrize("lanes", [None, 1, 3, 7, 8])
def test_each_scenario_is_played_once_and_in_order_whatever_the_number_of_lanes(agent, lanes):
    run = prepared(eval_lanes=lanes)
    scores = results_of(run.evaluation(agent, update=3))
    np.testing.assert_array_equal(scores.episode_metrics["scenario"], np.arange(N))
    np.testing.assert_array_equal(scores.episode_returns, 5.0 * np.arange(N))
    np.testing.assert_allclose(scores.mean_return, 15.0, rtol=1e-6)  # 5 steps of (0 + ... + 6) / 7
    np.testing.assert_allclose(scores.metrics["scenario_mean"], 3.0, rtol=1e-6)
    assert scores.finished.all()
    player = actor_named("random", ENV, PARAMS)
    how = {"n_episodes": N, "max_steps": 8, "rng": jax.random.key(0), "lanes": lanes}
    others = evaluate_actor(player, ENV, HELD_OUT, **how)
    np.testing.assert_array_equal(others.episode_returns, scores.episode_returns)


def test_a_row_for_each_scenario_lies_in_their_order(agent, tmp_path):
    run = prepared(eval_lanes=4)
    write_episodes(tmp_path / "rows.csv", {"run": results_of(run.evaluation(agent, 1))})
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert lines[0] == "episode,return,length,finished,scenario"
    assert lines[1:] == [f"{i},{5.0 * i},5,True,{float(i)}" for i in range(N)]


def test_a_training_run_evaluates_the_whole_set_while_it_trains_and_after(tmp_path):
    with MetricsLogger(tmp_path / "rows.jsonl") as log:
        result = run_training(prepared(), trackers=[log])
    rows = [row for row in read_metrics(tmp_path / "rows.jsonl") if "eval_return" in row]
    assert [row["step"] for row in rows] == [16, 32]
    np.testing.assert_allclose([row["eval_return"] for row in rows], 15.0, rtol=1e-6)
    assert len(result.evaluation.episode_returns) == N
    assert run_training(prepared(eval_episodes=0)).evaluation is None


def test_what_an_env_holds_out_is_evaluated_where_nothing_else_is_asked_for():
    run = prepared(AutoResetWrapper(HoldsOut()), eval_params=None)
    assert run.n_eval_episodes == 5
    scores = results_of(run.evaluation(run.algorithm.init(jax.random.key(0)), 1))
    np.testing.assert_array_equal(scores.episode_returns, 5.0 * np.arange(10, 15))
    layered = ObsNormWrapper(HoldsOut())
    params = held_out(layered, layered.default_params())
    np.testing.assert_array_equal(params.inner.scenario, np.arange(5))
    assert held_out(ENV, PARAMS) is None


def test_the_first_episodes_alone_can_be_played_and_no_more_than_there_are(agent):
    run, key = prepared(), evaluation_key(0, 1)
    np.testing.assert_array_equal(
        results_of(run.evaluate(agent, key, 3)).episode_metrics["scenario"], np.arange(3)
    )
    with pytest.raises(ConfigError, match="episodes 8: 7 are held out, give at most as many"):
        run.evaluate(agent, key, 8)
    assert [int(run.params_of_episode(i).scenario) for i in (0, 6, 7)] == [0, 6, 0]


def test_many_agents_play_the_same_set():
    seeds = [prepared(seed=seed, eval_lanes=3) for seed in (0, 1)]
    for result in fit_many(side_by_side(seeds)):
        np.testing.assert_array_equal(result.evaluation.episode_returns, 5.0 * np.arange(N))


METRICS = {
    "rich": lambda episodes: episodes["return"] >= 20.0,
    "rich_and_odd": lambda episodes: episodes["rich"] * (episodes["scenario"] % 2),
    "spread": lambda episodes: np.ptp(episodes["return"]),
}


def test_metrics_of_the_users_own_are_in_rows_and_beside_each_scenario(tmp_path):
    with MetricsLogger(tmp_path / "rows.jsonl") as log:
        train_ppo(
            ENV,
            PARAMS,
            ppo_config=CONFIG,
            runner_config=RUNNER,
            eval_params=HELD_OUT,
            eval_metrics=METRICS,
            trackers=[log],
        )
    last = [row for row in read_metrics(tmp_path / "rows.jsonl") if "eval_return" in row][-1]
    # returns are 0, 5, ... 30, of which 20, 25 and 30 are rich; of these 25 is scenario 5
    np.testing.assert_allclose(last["eval_rich_mean"], 3 / 7, rtol=1e-6)
    np.testing.assert_allclose(last["eval_rich_and_odd_mean"], 1 / 7, rtol=1e-6)
    assert last["eval_spread"] == 30.0


def test_metrics_of_the_users_own_belong_to_each_of_many_agents():
    seeds = [prepared(seed=seed, eval_metrics=METRICS) for seed in (0, 1)]
    for result in fit_many(side_by_side(seeds)):
        rich = result.evaluation.episode_metrics["rich"]
        np.testing.assert_array_equal(rich, [0, 0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ({"scenario": len}, "'scenario' has a name that is taken"),
        ({"scenario_mean": len}, "'scenario_mean' has a name that is taken"),
        ({"return": len}, "'return' has a name that is taken"),
    ],
)
def test_metrics_that_cannot_work_are_refused_before_a_run(metrics, sentence):
    with pytest.raises(ConfigError, match=sentence):
        prepared(eval_metrics=metrics)


def test_a_metric_that_is_no_function_is_named():
    assert list(unfit_metrics({"success": 0.5, "odd": len}, set())) == [
        "eval_metrics success is 0.5: give a function."
    ]


def test_a_mean_leaves_out_what_is_unknown_of_an_episode(agent):
    scores = results_of(prepared().evaluation(agent, 1))
    odd = lambda episodes: np.where(episodes["scenario"] % 2, 1.0, np.nan)  # noqa: E731
    known = with_metrics(scores, {"odd": odd, "nothing": lambda _: np.full(N, np.nan)})
    assert known.metrics["odd_mean"] == 1.0
    assert np.isnan(known.metrics["nothing_mean"])


def test_a_metric_of_another_shape_is_refused(agent):
    scores = results_of(prepared().evaluation(agent, 1))
    with pytest.raises(
        ConfigError, match=r"eval_metrics pair returns an array .2,. for 7 episodes"
    ):
        with_metrics(scores, {"pair": lambda episodes: np.zeros(2)})


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (HELD_OUT._replace(pay=np.zeros((3, 4))), r"leading axes of \[3, 7\] entries"),
        ({"pay": 1.0}, "env_params are not those of Banked"),
    ],
)
def test_params_of_episodes_that_do_not_fit_are_refused(params, sentence):
    with pytest.raises(ConfigError, match=sentence):
        prepared(eval_params=params)
