"""Whole runs of the simulator: on several devices, stopped and gone on with, with new scenarios."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from compiling import as_users_do
from straight_roads import straight
from training import numbers, run_training
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import AutoResetWrapper, Driving, driving_params
from vibe_rl.env.driving.scenarios.scenario import stacked
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import EnvParamsSchedule, RunnerConfig, loop, prepare
from vibe_rl.runner.restarting import jit_restart
from vibe_rl.runner.train_ppo import ppo

D = 8
STEPS = 32
"""Env steps of an update; two updates are made with each batch of scenarios."""
ENV = AutoResetWrapper(Driving(observation="gt"))
BANKS = [
    driving_params(stacked([straight(speed=5.0 + 2 * batch + i, uid=i) for i in range(2)]))
    for batch in range(3)
]
SCHEDULE = EnvParamsSchedule(lambda update: BANKS[update // 2 % len(BANKS)], every=2, restarts=True)
CONFIG = PPOConfig(hidden_sizes=(8,), num_envs=8, n_steps=4, n_minibatches=2, n_epochs=1)
RUNNER = RunnerConfig(total_timesteps=6 * STEPS, eval_episodes=0, progress_bar=False, plot=False)


def prepared(n_devices=None, **changes):
    """A run on some of the devices, in as many shards as if it were on all of them."""
    runner = replace(RUNNER, num_devices=n_devices, **changes)
    algorithm = ppo(ENV, BANKS[0], CONFIG, replace(runner, num_devices=D))
    return prepare(algorithm, ENV, SCHEDULE, runner, CONFIG.num_envs)


@pytest.fixture(scope="module")
def whole():
    """The run on one device, and how many programs of each kind it took."""
    programs = loop.run_chunk, jit_restart
    before = [program._cache_size() for program in programs]
    with as_users_do():
        result = run_training(prepared())
    after = [program._cache_size() for program in programs]
    return result, [b - a for a, b in zip(before, after, strict=True)]


def test_new_scenarios_take_no_new_program(whole):
    result, programs = whole
    assert result.updates == 6
    assert programs == [1, 1]


def test_several_devices_learn_what_one_does(whole):
    with as_users_do():
        one, many = (run_training(prepared(n, total_timesteps=2 * STEPS)) for n in (None, D))
    for a, b in zip(numbers(many.state), numbers(one.state), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4)
    places = {len(x.sharding.device_set) for x in jax.tree.leaves(many.state.env_state)}
    assert places == {D}


def test_a_run_that_goes_on_is_the_run_that_never_stopped(whole, tmp_path):
    run_dir = RunDir("run", tmp_path)
    with as_users_do():
        run_training(prepared(total_timesteps=3 * STEPS), run_dir=run_dir)
        result = run_training(prepared(resume=True), run_dir=run_dir)
    assert result.step == whole[0].step == 6 * STEPS
    for a, b in zip(numbers(result.state), numbers(whole[0].state), strict=True):
        np.testing.assert_array_equal(a, b)
