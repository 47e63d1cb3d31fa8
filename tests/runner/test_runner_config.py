"""The runner's settings: which of two numbers of envs counts, and how often is saved."""

import logging
from dataclasses import replace

import jax
import numpy as np
import pytest

from probes import Probe
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.checkpoint import saved_steps
from vibe_rl.env import AutoResetWrapper
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import RunnerConfig, config, train_dqn, train_ppo
from vibe_rl.runner.config import share_for_saving, with_num_envs
from vibe_rl.system.notices import say_once

PPO = PPOConfig(hidden_sizes=(8,), num_envs=2, n_steps=4, n_minibatches=2)
DQN = DQNConfig(hidden_sizes=(8,), num_envs=2, batch_size=8)
RUNNER = RunnerConfig(total_timesteps=160, eval_episodes=0, progress_bar=False, plot=False)
ENV = AutoResetWrapper(Probe())
PARAMS = ENV.default_params()


def trained(run_dir=None, **changes):
    runner = replace(RUNNER, **changes)
    return train_ppo(ENV, PARAMS, ppo_config=PPO, runner_config=runner, run_dir=run_dir)


@pytest.fixture
def said(caplog):
    say_once.cache_clear()
    caplog.set_level(logging.WARNING, "vibe_rl")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("own", "runners", "n_devices", "per_device", "total", "line"),
    [
        (1, 1, None, False, 1, None),
        (8, 1, None, False, 8, None),
        (1, 4, None, False, 4, None),
        (8, 4, None, False, 8, "8 envs are used, where the algorithm's config gives 8 and"),
        (8, 8, None, False, 8, None),
        (1, 1, 2, False, 2, None),
        (8, 1, 2, False, 8, None),
        (1, 4, 2, False, 8, None),
        (8, 4, 2, False, 8, None),
        (8, 4, 4, False, 16, "16 envs are used, where the algorithm's config gives 8 and the"),
        (8, 4, 1, True, 4, "4 envs are used, where the algorithm's config gives 8 and the"),
        (8, 1, 1, True, 8, None),
    ],
)
def test_the_number_of_envs_is_the_one_that_is_given(
    own, runners, n_devices, per_device, total, line, said
):
    runner = replace(RUNNER, num_envs=runners, num_devices=n_devices)
    for _ in range(2):
        algorithm, resolved = with_num_envs(replace(PPO, num_envs=own), runner, per_device)
        assert (algorithm.num_envs, resolved.num_envs) == (total, 1)
    lines = said()
    assert len(lines) == (line is not None)
    assert all(line in text for text in lines)


@pytest.mark.parametrize(
    ("given", "share"),
    [
        ({}, 0.01),
        ({"checkpoint_interval": 100}, 1.0),
        ({"checkpoint_interval": 100, "checkpoint_share": 0.2}, 0.2),
        ({"checkpoint_share": 0.0}, 0.0),
    ],
)
def test_who_gives_an_interval_gets_it(given, share):
    assert share_for_saving(RunnerConfig(**given)) == share


def test_every_interval_that_is_given_is_saved(tmp_path):
    run_dir = RunDir("run", tmp_path)
    trained(run_dir, checkpoint_interval=32, max_checkpoints=9)
    assert saved_steps(run_dir.checkpoints) == [32, 64, 96, 128, 160]


def test_a_share_of_time_that_nobody_gave_is_told_of_once(tmp_path, monkeypatch, said):
    monkeypatch.setattr(config, "DEFAULT_SHARE", 1e-9)
    for name in ("first", "second"):
        run_dir = RunDir(name, tmp_path)
        trained(run_dir, total_timesteps=16_000, log_interval=4000)
        assert saved_steps(run_dir.checkpoints) == [5000, 16_000]  # the first has no known cost
    (line,) = said()
    assert "fewer than one every 5000 env steps" in line
    assert line.endswith("give runner.checkpoint_share 1 to have all.")


def test_the_checkpoints_of_keep_period_are_exact_whatever_saving_may_cost(tmp_path):
    run_dir = RunDir("run", tmp_path)
    how = {"checkpoint_interval": 8, "checkpoint_share": 0.0, "max_checkpoints": 1}
    trained(run_dir, keep_period=50, **how)  # updates are of 8 steps
    assert saved_steps(run_dir.checkpoints) == [56, 104, 152, 160]


def test_without_an_interval_nothing_is_saved(tmp_path):
    run_dir = RunDir("run", tmp_path)
    trained(run_dir, checkpoint_interval=None)
    assert run_dir.log_path().exists()
    assert saved_steps(run_dir.checkpoints) == []


@pytest.mark.parametrize(
    "given",
    [
        {"resume": True},
        {"overwrite": True},
        {"keep_period": 10},
        {"max_checkpoints": 3},
        {"checkpoint_interval": 10},
        {"checkpoint_share": 1.0},
        {"checkpoint_minutes": 1.0},
        {"checkpoint_interval": None, "keep_period": 10},
        {"checkpoint_interval": None, "checkpoint_dir": "mine"},
    ],
)
def test_settings_of_checkpoints_are_refused_where_there_are_none(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = [name for name, value in given.items() if value is not None][-1]
    with pytest.raises(ConfigError, match=f"runner.{name} .* needs checkpoints: give a run_dir"):
        trained(**given)
    assert not list(tmp_path.iterdir())


def test_a_setting_of_the_replay_is_refused_where_there_is_none(tmp_path):
    with pytest.raises(ConfigError, match=r"runner\.checkpoint_replay False is only used"):
        trained(RunDir("run", tmp_path), checkpoint_replay=False)


def test_a_state_that_a_callback_keeps_stays_readable_and_holds_no_replay():
    kept = []
    runner = replace(RUNNER, warmup_steps=16, buffer_size=64, log_interval=16)
    result = train_dqn(
        ENV,
        PARAMS,
        dqn_config=DQN,
        runner_config=runner,
        callback=lambda step, state, row: kept.append(state),
    )
    assert len({int(state.step) for state in kept}) == len(kept) > 3
    assert kept[0].memory.ring is None
    last, end = (jax.tree.leaves(state.params) for state in (kept[-1], result.agent_state))
    for a, b in zip(last, end, strict=True):
        np.testing.assert_array_equal(a, b)
