"""env_params that change while a run trains, and what is evaluated meanwhile."""

import threading
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import EnvParamsSchedule, RunnerConfig, fit, prepare, train_ppo
from vibe_rl.runner.env_params import ParamsAhead, params_at
from vibe_rl.runner.schedule import Timetable
from vibe_rl.runner.train_ppo import ppo

ENV, PARAMS = make("CartPole-v1")
ENV = AutoResetWrapper(ENV)
CONFIG = PPOConfig(hidden_sizes=(4,), num_envs=2, n_steps=4, n_minibatches=2)
RUNNER = RunnerConfig(  # twelve updates of 8 env steps
    total_timesteps=96,
    eval_every=0,
    eval_episodes=2,
    eval_max_steps=8,
    log_interval=24,
    checkpoint_interval=24,
    checkpoint_share=1.0,
    progress_bar=False,
    plot=False,
)


def heavier(update):
    """CartPole whose pole has grown with every update so far."""
    return PARAMS._replace(length=PARAMS.length * (1.0 + 0.1 * update))


SCHEDULE = EnvParamsSchedule(heavier, every=5)


def prepared(env_params, **changes):
    runner = replace(RUNNER, **changes)
    algorithm = ppo(ENV, env_params, CONFIG, runner)
    return prepare(algorithm, ENV, env_params, runner, CONFIG.num_envs)


def losses(run):
    return fit(run, keep_history=True).history["total_loss"]


def test_params_stay_for_every_updates_and_no_chunk_crosses_a_change():
    run = prepared(SCHEDULE)
    with run.start() as state:
        ends = np.cumsum([chunk.n_updates for chunk in run.chunks(state, lambda first: 100)])
    assert {5, 10, 12} <= set(ends.tolist())
    assert [params_at(SCHEDULE, update).length for update in (0, 4, 5, 11)] == [
        heavier(begin).length for begin in (0, 0, 5, 10)
    ]


def test_a_schedule_that_changes_nothing_learns_what_fixed_params_do():
    fixed = losses(prepared(PARAMS))
    np.testing.assert_array_equal(losses(prepared(EnvParamsSchedule(lambda _: PARAMS, 5))), fixed)
    scheduled = losses(prepared(SCHEDULE))
    np.testing.assert_array_equal(scheduled[:5], fixed[:5])
    assert not np.array_equal(scheduled[5:], fixed[5:])


def test_a_resumed_run_has_the_params_that_it_would_have_had(tmp_path):
    how = {"ppo_config": CONFIG, "run_dir": RunDir(base_dir=tmp_path)}
    train_ppo(ENV, SCHEDULE, runner_config=replace(RUNNER, total_timesteps=56), **how)
    resumed = replace(RUNNER, resume=True)
    state, _ = train_ppo(ENV, SCHEDULE, runner_config=resumed, **how)
    how["run_dir"] = RunDir("whole", tmp_path)
    whole, _ = train_ppo(ENV, SCHEDULE, runner_config=RUNNER, **how)
    pairs = zip(jax.tree.leaves(state.agent_state), jax.tree.leaves(whole.agent_state), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)


def test_the_next_params_are_computed_in_a_thread_of_their_own_before_they_are_needed():
    asked = {begin: threading.Event() for begin in (0, 5, 10)}

    def at(update):
        asked[update].set()
        return jnp.float32(update)

    with ParamsAhead(EnvParamsSchedule(at, 5), jnp.float32(0.0), n_updates=12) as params:
        assert params(2) == 0.0
        assert asked[5].wait(10)
        assert not asked[10].is_set()
        assert (params(5), params(11)) == (5.0, 10.0)


def test_the_next_params_are_on_their_way_to_the_devices_before_they_are_needed():
    sent = {begin: threading.Event() for begin in (0, 5, 10)}

    def place(env_params):
        sent[int(env_params)].set()
        return env_params

    with ParamsAhead(EnvParamsSchedule(np.float32, 5), np.float32(0.0), 12, place) as params:
        assert params(0) == 0.0
        assert sent[5].wait(10)
        assert not sent[10].is_set()


def test_params_that_stay_are_sent_once():
    run = prepared(PARAMS)
    calls = []
    executor = run.executor._replace(place=lambda env, params: calls.append(params) or params)
    fit(replace(run, executor=executor))
    assert calls == [PARAMS]


def test_what_a_schedule_raises_reaches_the_run():
    def at(update):
        if update:
            raise RuntimeError("no scenario is left")
        return PARAMS

    with pytest.raises(RuntimeError, match="no scenario is left"):
        fit(prepared(EnvParamsSchedule(at, 5)))


@pytest.mark.parametrize(
    "later",
    [
        PARAMS._replace(length=jnp.ones(3)),
        PARAMS._replace(length=jnp.int32(1)),
        {"length": PARAMS.length},
    ],
)
def test_params_of_another_shape_type_or_structure_are_refused(later):
    run = prepared(EnvParamsSchedule(lambda update: later if update else PARAMS, 5))
    with pytest.raises(ConfigError, match="env_params of update 5 differ from those of update 0"):
        fit(run)


def test_an_evaluation_has_params_of_its_own_or_those_of_update_0():
    assert prepared(SCHEDULE).eval_params == heavier(0)
    algorithm = ppo(ENV, SCHEDULE, CONFIG, RUNNER)
    how = algorithm, ENV, SCHEDULE, RUNNER, CONFIG.num_envs
    short = PARAMS._replace(max_steps=jnp.int32(3))
    run = prepare(*how, eval_params=short)
    assert fit(run).evaluation.mean_length == 3.0


def test_a_timetable_without_evaluations_has_none():
    due = Timetable(n_updates=10, steps_per_update=8, log_interval=0, eval_every=None)
    assert not any(due.evaluates_after(update) for update in range(1, 11))
    assert [due.next_row(update) for update in (0, 1, 9)] == [1, 2, 10]
