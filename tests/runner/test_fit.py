"""The host side of training: intervals, evaluation, callbacks, errors, interrupts."""

import os
import signal
import threading
import time
from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import Constants, PoisonedLater, Probe
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.errors import (
    ConfigError,
    EnvironmentFaultError,
    NonFiniteLossError,
    TrainingInterrupted,
)
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import RunnerConfig, fit, loop, train_ppo
from vibe_rl.runner.evaluator import evaluate, greedy_action
from vibe_rl.runner.rows import RowWriter, Speedometer
from vibe_rl.runner.run import prepare
from vibe_rl.runner.schedule import next_due
from vibe_rl.runner.streams import evaluation_key
from vibe_rl.runner.train_ppo import PPOMetricsHistory, ppo
from vibe_rl.tracking import Tee

CONFIG = PPOConfig(hidden_sizes=(8,), n_steps=8, num_envs=4)  # 32 env steps per update
RUNNER = RunnerConfig(
    total_timesteps=320, eval_every=96, eval_episodes=3, log_interval=64, progress_bar=False
)


class Tape(Tee):
    """A tracker that remembers."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def log(self, metrics, step):
        self.rows.append((step, dict(metrics)))


def run(env=None, runner=RUNNER, config=CONFIG, **kwargs):
    env = AutoResetWrapper(env or make("CartPole-v1")[0])
    params = kwargs.pop("env_params", env.default_params())
    tape = Tape()
    algorithm = ppo(env, params, config, runner)
    result = fit(prepare(algorithm, env, params, runner, 4), tape, **kwargs)
    return result, tape.rows


PREPARED = prepare(
    ppo(AutoResetWrapper(Probe()), Constants(), CONFIG, RUNNER),
    AutoResetWrapper(Probe()),
    Constants(),
    RUNNER,
    4,
)


def leaves(state):
    return [np.asarray(x) for x in jax.tree.leaves(state.agent_state)]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 200))
def test_chunks_cover_the_run_and_stop_at_evaluations(n_updates, log, evaluation, longest):
    config = replace(RUNNER, log_interval=log, eval_every=evaluation)
    run = replace(PREPARED, config=config, n_updates=n_updates)
    for stops in ([], [run.due.next_row]):
        schedule = run.due.chunks(0, n_updates, lambda first: longest, stops)
        lengths = [length for _, length in schedule]
        ends = np.cumsum(lengths)
        assert ends[-1] == n_updates
        assert all(0 < n <= max(longest, 1) for n in lengths)
        assert {u for u in range(1, n_updates + 1) if run.due.evaluates_after(u)} <= set(ends)
        if stops:
            assert rows_end(run) <= set(ends)


def rows_end(run):
    ends = [run.due.next_row(0)]
    while ends[-1] < run.n_updates:
        ends.append(run.due.next_row(ends[-1]))
    return set(ends)


@pytest.mark.parametrize(
    ("interval", "steps", "update", "due"),
    [
        (64, 32, 0, 2),
        (64, 32, 1, 2),
        (64, 32, 2, 4),
        (10, 32, 0, 1),
        (10, 32, 1, 2),
        (65, 32, 0, 3),
    ],
)
def test_an_interval_is_due_with_the_update_that_reaches_its_next_multiple(
    interval, steps, update, due
):
    # 65 env steps are reached by the third update of 32; 10 by every one
    assert next_due(interval, steps, update) == due


@pytest.mark.parametrize("longest", [0, 1, 3, 100])
def test_any_pace_gives_the_same_rows_and_the_same_bits(longest, monkeypatch):
    monkeypatch.setattr(RowWriter, "updates_at_once", lambda self: longest)
    paced, rows = run()
    monkeypatch.setattr(RowWriter, "updates_at_once", lambda self: 1)
    single, other_rows = run()
    assert all(map(np.array_equal, leaves(paced.state), leaves(single.state)))
    assert [without_speed(row) for row in rows] == [without_speed(row) for row in other_rows]


def without_speed(row):
    step, metrics = row
    return step, {name: value for name, value in metrics.items() if name != "steps_per_second"}


def test_rows_are_logged_at_every_interval_and_evaluations_too():
    result, rows = run()
    assert [step for step, _ in rows] == [64, 96, 128, 192, 256, 288, 320]
    assert [step for step, row in rows if "eval_return" in row] == [96, 192, 288, 320]
    assert (result.step, result.updates, result.interrupted) == (320, 10, False)
    assert {"total_loss", "entropy", "clip_fraction", "grad_norm", "lr"} <= set(rows[0][1])


def test_evaluating_more_often_changes_nothing_that_is_learned():
    often, _ = run(runner=replace(RUNNER, eval_every=32))
    never, _ = run(runner=replace(RUNNER, eval_episodes=0))
    for a, b in zip(leaves(often.state), leaves(never.state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_seed_gives_one_result_and_another_seed_another():
    first, again, other = (run(runner=replace(RUNNER, seed=s))[0] for s in (1, 1, 2))
    assert all(map(np.array_equal, leaves(first.state), leaves(again.state)))
    assert not all(map(np.array_equal, leaves(first.state), leaves(other.state)))


def test_the_last_evaluation_is_of_the_state_that_is_returned():
    result, _ = run()
    env, params = make("CartPole-v1")
    env = AutoResetWrapper(env)
    again = evaluate(
        greedy_action,
        (ppo(env, params, CONFIG, RUNNER), result.state.agent_state),
        env,
        params,
        n_episodes=3,
        max_steps=RUNNER.eval_max_steps,
        rng=evaluation_key(RUNNER.seed, result.updates),
    )
    np.testing.assert_array_equal(again.episode_returns, result.evaluation.episode_returns)


def test_callbacks_see_the_state_and_the_metrics_of_their_step():
    seen = []

    def callback(step, agent_state, metrics):
        seen.append((step, int(agent_state.step), metrics["update"], metrics["step"]))

    run(callback=callback)
    assert seen == [(n, n // 32, n // 32, n) for n in (64, 96, 128, 192, 256, 288, 320)]


def test_a_callback_changes_nothing_that_is_learned():
    with_callback, _ = run(callback=lambda *_: None)
    without, _ = run()
    assert all(map(np.array_equal, leaves(with_callback.state), leaves(without.state)))


def test_history_has_an_entry_per_update():
    env = AutoResetWrapper(make("CartPole-v1")[0])
    _, history = train_ppo(env, env.default_params(), ppo_config=CONFIG, runner_config=RUNNER)
    assert isinstance(history, PPOMetricsHistory)
    assert all(column.shape == (10,) for column in history)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_update(tmp_path):
    run_dir = RunDir("poisoned", tmp_path)
    env = AutoResetWrapper(Probe())
    runner = replace(RUNNER, eval_episodes=0)
    with pytest.raises(NonFiniteLossError, match=r"at update 1 \(env step 32\)") as error:
        train_ppo(
            env,
            Constants(),
            ppo_config=replace(CONFIG, lr=float("inf")),
            runner_config=runner,
            run_dir=run_dir,
        )
    assert not isinstance(error.value, EnvironmentFaultError)
    assert read_metrics(run_dir.log_path()) == []
    assert not list(run_dir.checkpoints.iterdir())


def test_rows_before_a_reward_that_is_not_finite_are_kept(tmp_path):
    run_dir = RunDir("poisoned", tmp_path)
    env = AutoResetWrapper(PoisonedLater(length=1000))
    runner = replace(RUNNER, eval_episodes=0, log_interval=0)
    fault = "reward is not finite at env step 201 of all envs: mend it"  # 50 steps of 4 envs, and 1
    with pytest.raises(EnvironmentFaultError, match=fault):
        train_ppo(
            env, env.default_params(), ppo_config=CONFIG, runner_config=runner, run_dir=run_dir
        )
    rows = read_metrics(run_dir.log_path())
    assert [row["update"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(row["total_loss"]) for row in rows)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_chunk(number):
    assert threading.current_thread() is threading.main_thread()

    def callback(step, agent_state, metrics):
        if step == 96:
            os.kill(os.getpid(), number)

    handler = signal.getsignal(number)
    with pytest.raises(TrainingInterrupted) as interrupted:
        run(callback=callback)
    result = interrupted.value.result
    assert (result.step, result.interrupted, result.signal) == (96, True, number)
    assert interrupted.value.signal == number
    assert signal.Signals(number).name in str(interrupted.value)
    assert signal.getsignal(number) is handler


def test_params_per_env_are_evaluated_with_the_default_ones():
    params = Constants(reward=np.arange(4, dtype=np.float32))
    _, rows = run(Probe(), env_params=params)
    assert rows[-1][1]["eval_return"] == 1.0


def test_the_speed_is_that_of_a_window_not_of_a_moment():
    speed = Speedometer()
    speed.restart(0, time.perf_counter() - 2.0)
    assert speed(2000) == pytest.approx(1000.0, rel=0.01)
    assert speed(2001) == pytest.approx(1000.0, rel=0.01)  # nothing new in a microsecond


def test_a_speed_of_a_moment_is_refined_until_it_is_worth_something():
    speed = Speedometer()
    speed.restart(500, time.perf_counter() - 0.01)
    assert speed(600) == pytest.approx(100 / 0.01, rel=0.1)
    speed.since -= 0.01
    assert speed(602) == pytest.approx(102 / 0.02, rel=0.1)


def test_no_speed_is_known_after_a_restart_and_no_pause_is_counted():
    speed = Speedometer()
    speed.restart(0, time.perf_counter() - 2.0)
    speed(2000)
    speed.restart(2000, time.perf_counter() - 3.0)
    assert speed.speed is None
    assert speed(2000) is None
    speed.pause(2.0)
    assert speed(2100) == pytest.approx(100.0, rel=0.01)


BAD = [
    (CONFIG, {"total_timesteps": 31}, "total_timesteps 31 is less than one update of 32"),
    (CONFIG, {"total_timesteps": 0}, "total_timesteps 0: give at least 1"),
    (CONFIG, {"num_devices": 0}, "num_devices 0: give at least 1"),
    (CONFIG, {"eval_episodes": -1}, "eval_episodes -1: give at least 0"),
    (CONFIG, {"num_devices": 99}, "num_devices 99, and there are 8"),
    (CONFIG, {"fsdp_devices": 2}, "fsdp_devices 2 does not divide the 1 devices"),
    (CONFIG, {"max_checkpoints": 0}, "max_checkpoints 0: give at least 1"),
    (CONFIG, {"checkpoint_interval": -1}, "checkpoint_interval -1: give at least 0"),
    (CONFIG, {"matmul_precision": "half"}, "unknown runner.matmul_precision 'half': choose from"),
    (replace(CONFIG, n_minibatches=5), {}, "n_minibatches 5 does not divide the batch"),
    (replace(CONFIG, activation="sine"), {}, "unknown activation 'sine'"),
    (replace(CONFIG, n_minibatches=32), {}, "n_minibatches 32 of a batch of 32"),
    (replace(CONFIG, n_minibatches=0), {}, "n_minibatches 0: give at least 1"),
    (replace(CONFIG, n_epochs=0), {}, "n_epochs 0: give at least 1"),
    (replace(CONFIG, gamma=1.5), {}, "gamma 1.5: give a number from 0 to 1"),
    (replace(CONFIG, lr=-1.0), {}, "lr -1.0: give at least 0"),
    (replace(CONFIG, ent_coef=-0.1), {}, "ent_coef -0.1: give at least 0"),
    (replace(CONFIG, ent_coef_end=-0.1), {}, "ent_coef_end -0.1: give at least 0"),
    (replace(CONFIG, reward_scale=0.0), {}, "reward_scale 0.0: give more than 0"),
    (CONFIG, {"keep_period": 0}, "keep_period 0: give at least 1"),
    (CONFIG, {"buffer_size": 7}, "buffer_size 7 is only used by algorithms with a replay"),
]


@pytest.mark.parametrize(("config", "changes", "sentence"), BAD)
def test_bad_settings_are_refused_in_a_sentence_before_anything_compiles(config, changes, sentence):
    env = AutoResetWrapper(make("CartPole-v1")[0])
    before = loop.jit_start._cache_size(), loop.run_chunk._cache_size()
    with pytest.raises(ConfigError, match=sentence.replace("(", r"\(")):
        train_ppo(
            env,
            env.default_params(),
            ppo_config=config,
            runner_config=replace(RUNNER, **changes),
        )
    assert (loop.jit_start._cache_size(), loop.run_chunk._cache_size()) == before


def test_an_env_that_does_not_reset_itself_is_refused():
    env, params = make("CartPole-v1")
    with pytest.raises(ConfigError, match="wrap it in AutoResetWrapper"):
        train_ppo(env, params, ppo_config=CONFIG, runner_config=RUNNER)


def test_params_for_another_number_of_envs_are_refused():
    with pytest.raises(ConfigError, match=r"env_params.reward has a leading axis of 3 for 4 envs"):
        run(Probe(), env_params=Constants(reward=np.zeros(3, np.float32)))


def test_the_speed_is_true_with_a_callback():
    rows = []
    run(callback=lambda step, state, row: (rows.append(row), time.sleep(0.2)))
    assert rows[-1]["steps_per_second"] < 2 * 96 / 0.2


@pytest.mark.parametrize(("name", "value"), [("obs_shape", (3,)), ("n_actions", 7)])
def test_shapes_that_contradict_the_env_are_refused(name, value):
    env = AutoResetWrapper(make("CartPole-v1")[0])
    with pytest.raises(ConfigError, match=f"{name} .* leave it out"):
        train_ppo(
            env,
            env.default_params(),
            ppo_config=CONFIG,
            runner_config=RUNNER,
            **{name: value},
        )
