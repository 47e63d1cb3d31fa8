"""Schedules that bring another bank: episodes are cut at the border, and begin anew behind it."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Bank, Banked
from training import numbers, run_training
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import AutoResetWrapper
from vibe_rl.env.borders import BorderWrapper
from vibe_rl.env.params.many import reset_all
from vibe_rl.env.wrappers import with_episode_statistics
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import EnvParamsSchedule, RunnerConfig, fit, loop, prepare
from vibe_rl.runner.env_params import restarts_at
from vibe_rl.runner.evaluation import results_of
from vibe_rl.runner.loop import TrainState, play_on
from vibe_rl.runner.many.fit import fit_many
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.runner.params_memory import bytes_to_place, check_params_memory, describe_params
from vibe_rl.runner.placement import chunk_program, mesh_of
from vibe_rl.runner.restarting import jit_restart
from vibe_rl.runner.train_dqn import dqn
from vibe_rl.runner.train_ppo import ppo

ENV = AutoResetWrapper(Banked())  # episodes of 5 steps
EVERY, T, N = 2, 4, 2  # 8 steps in a block: an episode, and 3 steps of one that is cut
CONFIG = PPOConfig(hidden_sizes=(4,), num_envs=N, n_steps=T, n_minibatches=2)
RUNNER = RunnerConfig(  # six updates of 8 env steps, three blocks
    total_timesteps=48,
    eval_every=0,
    eval_episodes=0,
    log_interval=0,
    checkpoint_interval=8,
    checkpoint_share=1.0,
    progress_bar=False,
    plot=False,
)


def bank(update):
    """A bank in which every scenario pays as many as there were updates, and 1."""
    return Bank(pay=np.full(4, 1.0 + update, np.float32))


SCHEDULE = EnvParamsSchedule(bank, EVERY, restarts=True)


def prepared(schedule=SCHEDULE, env=ENV, config=CONFIG, **changes):
    runner = replace(RUNNER, **changes)
    algorithm = ppo(env, schedule, config, runner)
    return prepare(algorithm, env, schedule, runner, config.num_envs)


def history(run):
    return fit(run, keep_history=True).history


def assert_identical(one, other):
    for a, b in zip(numbers(one), numbers(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_cut_episode_is_truncated_with_its_true_successor_and_not_counted():
    env = BorderWrapper(with_episode_statistics(ENV), n_steps=8)
    params, key = bank(0), jax.random.key(0)
    obs, env_state = reset_all(env, params, key, num_envs=N)
    keys = (jax.random.split(key, (9, N)),) * 2
    act = lambda env_state, obs, keys: (jnp.zeros(N, jnp.int32), ())  # noqa: E731
    state = TrainState((), env_state, obs, key)
    _, met = jax.jit(partial(play_on, act, env))(params, state, keys)
    steps = met.transition
    assert np.flatnonzero(steps.truncated[:, 0]).tolist() == [4, 7]  # its own end, and the border
    assert not steps.terminated.any()
    np.testing.assert_allclose(steps.next_obs[[4, 7], 0, 1], [0.5, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(met.episode_length[[4, 7], 0], [5, 0])
    assert met.episode_length[8, 0] == 4, "nothing is reset: whoever runs the env does that"
    counted = loop.measure(met, {}).metrics
    assert (counted["episodes"], counted["length_sum"]) == (N, 5 * N)


def test_every_step_of_a_block_is_in_the_bank_that_came_with_it():
    rows = history(prepared())
    np.testing.assert_array_equal(rows["pay"], [1, 1, 3, 3, 5, 5])
    # of each block's 8 steps the first 5 are an episode, which ends in the second update
    np.testing.assert_array_equal(rows["episodes"], [0, N] * 3)
    np.testing.assert_array_equal(rows["return_max"][1::2], [5, 15, 25])
    going_on = history(prepared(replace(SCHEDULE, restarts=False)))
    np.testing.assert_array_equal(
        going_on["pay"][:4], [1, 1, 2, 3]
    )  # the third begins with 2 old steps


def test_a_schedule_that_restarts_learns_as_any_other_until_its_first_border():
    one, other = history(prepared()), history(prepared(replace(SCHEDULE, restarts=False)))
    np.testing.assert_array_equal(one["total_loss"][:2], other["total_loss"][:2])
    assert one["total_loss"][2] != other["total_loss"][2]


@pytest.mark.parametrize("interrupted_after", [2, 3])
def test_a_run_resumed_at_a_border_or_between_two_is_the_run_without_interruption(
    interrupted_after, tmp_path
):
    run_dir = RunDir("run", tmp_path)
    run_training(prepared(total_timesteps=8 * interrupted_after), run_dir=run_dir)
    resumed = run_training(prepared(resume=True), run_dir=run_dir)
    whole = fit(prepared())
    assert resumed.step == whole.step == 48
    assert_identical(resumed.state, whole.state)


def test_many_agents_restart_together():
    runs = [prepared(seed=seed) for seed in (0, 1)]
    alone = [fit(run).state for run in runs]
    for result, state in zip(fit_many(side_by_side(runs)), alone, strict=True):
        for a, b in zip(numbers(result.state), numbers(state), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def stream(update):
    """A bank of two scenarios for each of eight envs."""
    pay = np.arange(16, dtype=np.float32).reshape(8, 2) / 16 + update
    return Bank(pay=pay)


def streaming(n_devices, total_timesteps):
    """A run of eight envs with banks of their own, in eight shards, on so many devices."""
    schedule = EnvParamsSchedule(stream, EVERY, restarts=True)
    config, runner = replace(CONFIG, num_envs=8), replace(RUNNER, total_timesteps=total_timesteps)
    algorithm = ppo(ENV, schedule, config, replace(runner, num_devices=8))
    runner = replace(runner, num_devices=n_devices)
    return prepare(algorithm, ENV, schedule, runner, config.num_envs)


def test_banks_of_single_envs_are_where_the_envs_are():
    for n_devices, n_parts in ((None, 1), (8, 8)):
        run = streaming(n_devices, 64)
        placed = run.executor.place(run.env, stream(0))
        assert {x.data.shape for x in placed.pay.addressable_shards} == {(8 // n_parts, 2)}
        assert len(placed.scenario.sharding.device_set) == n_parts


def test_one_device_and_eight_agree_and_compile_nothing_for_the_next_banks():
    one, run = fit(streaming(None, 160), keep_history=True), streaming(8, 160)
    states = [fit(streaming(8, 96)).state for _ in range(2)]
    program = chunk_program(mesh_of(run.config), states[0])
    known = program._cache_size()
    eight = fit(run, keep_history=True)
    assert program._cache_size() == known
    assert [int(pay) for pay in one.history["pay"]] == [0, 0, 2, 2, 4]
    np.testing.assert_allclose(one.history["pay"], eight.history["pay"], rtol=1e-6)
    np.testing.assert_array_equal(one.history["episodes"], eight.history["episodes"])
    for a, b in zip(numbers(one.state), numbers(eight.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_bank_of_the_same_shape_compiles_nothing():
    fit(prepared(total_timesteps=16))
    before = [program._cache_size() for program in (loop.run_chunk, jit_restart)]
    fit(prepared(seed=3))
    after = [program._cache_size() for program in (loop.run_chunk, jit_restart)]
    assert after[0] == before[0]
    assert after[1] <= 1 + before[1]


def test_a_replay_ends_an_episode_where_a_border_cuts_it():
    config = DQNConfig(
        hidden_sizes=(4,), num_envs=1, train_every=4, batch_size=4, replay_ratio=0.25
    )
    runner = replace(RUNNER, total_timesteps=16, warmup_steps=4, buffer_size=32)
    run = prepare(dqn(ENV, SCHEDULE, config, runner), ENV, SCHEDULE, runner, 1)
    ring = fit(run).state.agent_state.memory.ring
    # slots: 5 steps and the successor of the last, 3 steps and their successor, and so again
    np.testing.assert_allclose(
        ring.obs[:20, 1] * 10, [*range(6), *range(4), *range(6), *range(4)], rtol=1e-6
    )
    np.testing.assert_array_equal(ring.obs[:20, 0], [1.0] * 10 + [3.0] * 10)


def test_no_border_is_in_an_evaluation():
    run = prepared(eval_episodes=2)
    scores = results_of(run.evaluation(run.algorithm.init(jax.random.key(0)), 1))
    assert (scores.episode_lengths == 5).all()
    whole = prepared(config=replace(CONFIG, whole_episodes=True))
    assert whole.training_env == whole.env, "whose episodes end with every rollout anyway"


def test_what_a_bank_takes_of_memory_is_said_and_refused_where_there_is_not_as_much():
    params = Bank(pay=np.zeros(2**20, np.float32))
    assert describe_params(params, copies=1) == "env_params of 4.19 MB"
    assert describe_params(params, copies=2) == "env_params of 2 x 4.19 MB = 8.39 MB"
    assert describe_params(bank(0), copies=2) == ""
    assert bytes_to_place(ENV, params, copies=2, n_devices=1) == 2 * (2**22 + 4)
    huge = Bank(pay=np.broadcast_to(np.float32(0), (2**50,)))
    with pytest.raises(
        ConfigError, match=r"take 4.5e.* more, and the device has .* free: give fewer"
    ):
        check_params_memory(ENV, huge, huge, copies=1, n_devices=1)


def test_a_checkpoint_does_not_hold_the_bank(tmp_path):
    large = Bank(pay=np.zeros(2**20, np.float32))
    run_dir = RunDir("run", tmp_path)
    run_training(prepared(large, total_timesteps=8), run_dir=run_dir)
    files = [path for path in run_dir.root.rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) < 2**20


def test_borders_are_at_multiples_and_not_at_the_beginning():
    assert [update for update in range(7) if restarts_at(SCHEDULE, update)] == [2, 4, 6]
    assert not restarts_at(replace(SCHEDULE, restarts=False), 2)
    with pytest.raises(ConfigError, match="every 0 of a schedule of env_params"):
        EnvParamsSchedule(bank, every=0)
