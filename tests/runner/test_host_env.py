"""Environments on the host: the same runs as in the compiled loop, and real ones of Gymnasium's."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Counter
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.cli import main
from vibe_rl.configs import PRESETS, TrainConfig
from vibe_rl.env import AutoResetWrapper, Box, GymnasiumWrapper, HostStep
from vibe_rl.experiment import evaluate_run
from vibe_rl.experiment.build import build
from vibe_rl.run_dir import find_runs
from vibe_rl.runner import RunnerConfig, fit, prepare
from vibe_rl.runner.evaluation import Extent, results_of
from vibe_rl.runner.host_env import AT_ONCE, act, evaluate_host_envs, learn_then_act, open_envs
from vibe_rl.runner.train_dqn import dqn
from vibe_rl.runner.train_ppo import ppo
from vibe_rl.runner.train_sac import sac
from vibe_rl.tracking.base import Tee

BUILDERS = {DQNConfig: dqn, SACConfig: sac, PPOConfig: ppo}


class CountsAndPays(Counter):
    """Pays the number of steps so far for action 1, so that a misplaced action or step shows.

    Observes as many numbers as CartPole, so that both are learned from by the same programs.
    """

    width = 4

    def observation_space(self, params):
        return Box(-1.0, 1.0, (self.width,))

    def first(self, key):
        return -jnp.ones(self.width)

    def following(self, key, state):
        return jnp.full(self.width, (state.time + 1) / 10.0, jnp.float32)

    def reward(self, state, action, params):
        return (action * (state.time + 1)).astype(jnp.float32)


class ContinuousCounter(CountsAndPays):
    """The same for one number, with the shapes and bounds of Pendulum."""

    width = 3

    def action_space(self, params):
        return Box(-2.0, 2.0, (1,))

    def reward(self, state, action, params):
        return (action[0] * (state.time + 1)).astype(jnp.float32)


@dataclass(frozen=True)
class OnHost:
    """An environment of JAX, stepped in Python; its resets and steps must not be random."""

    env: Any

    def default_params(self):
        return ()

    def observation_space(self, params):
        return self.env.observation_space(self.env.default_params())

    def action_space(self, params):
        return self.env.action_space(self.env.default_params())

    def open(self, seeds):
        return WorldsOfJax(AutoResetWrapper(self.env), len(seeds))


class WorldsOfJax:
    def __init__(self, env, num_envs):
        self.env, self.params, self.closed = env, env.default_params(), False
        self.keys = jax.random.split(jax.random.key(0), num_envs)
        self.step_all = jax.jit(jax.vmap(env.step, (0, 0, 0, None)))

    def reset(self):
        obs, self.state = jax.vmap(self.env.reset, (0, None))(self.keys, self.params)
        return jax.device_get(obs)

    def step(self, action):
        after = self.step_all(self.keys, self.state, action, self.params)
        self.state = after.state
        ended = (after.reward, after.terminated, after.truncated)
        return HostStep(*jax.device_get((after.obs, *ended, after.info["final_obs"])))

    def close(self):
        self.closed = True


class Recorder:
    """A tracker that keeps everything but the clock's readings."""

    def __init__(self):
        self.rows = []

    def log(self, metrics, step):
        kept = {k: v for k, v in metrics.items() if k not in ("steps_per_second", "action_mean")}
        self.rows.append((step, kept))

    def log_config(self, config): ...

    def log_file(self, path): ...

    def close(self): ...


RUNNER = RunnerConfig(
    total_timesteps=240,
    warmup_steps=16,
    buffer_size=64,
    log_interval=40,
    eval_every=0,
    eval_episodes=AT_ONCE + 1,
    progress_bar=False,
)
OFF_POLICY = {"hidden_sizes": (8,), "batch_size": 8, "num_envs": 2, "replay_ratio": 0.5}
PPO = PPOConfig(num_envs=4, n_steps=32, lr=2.5e-3, lr_end=0.0)
DQN = replace(PRESETS["cartpole_dqn"][1].algo, **OFF_POLICY)
SAC = SACConfig(**OFF_POLICY, train_every=4, exploration_hold=3, n_critics=1)
KINDS = {
    "ppo": (PPO, CountsAndPays(), replace(RUNNER, total_timesteps=512, log_interval=128)),
    "dqn": (DQN, CountsAndPays(), RUNNER),
    "dqn, ring on the host too": (DQN, CountsAndPays(), replace(RUNNER, replay_on="host")),
    "sac, choices held over several rollouts": (SAC, ContinuousCounter(ends="terminated"), RUNNER),
}


def trained(config, env, runner):
    """What is left of a run, and what it told."""
    env_params = env.default_params()
    if isinstance(config, PPOConfig):
        runner = replace(runner, warmup_steps=1_000, buffer_size=100_000, replay_on="device")
    algorithm = BUILDERS[type(config)](env, env_params, config, runner)
    recorder = Recorder()
    result = fit(prepare(algorithm, env, env_params, runner, config.num_envs), Tee(recorder))
    return result, recorder.rows


def numbers(result):
    """Every leaf of the agent; keys as their data."""
    leaves = jax.tree.leaves(result.state.agent_state)
    is_key = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    return [jax.random.key_data(x) if key else x for x, key in zip(leaves, is_key, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_environment_on_the_host_gives_the_run_of_the_compiled_loop(kind):
    config, env, runner = KINDS[kind]
    expected, expected_rows = trained(config, AutoResetWrapper(env), runner)
    found, rows = trained(config, OnHost(env), runner)
    assert [step for step, _ in rows] == [step for step, _ in expected_rows]
    for (_, row), (_, expected_row) in zip(rows, expected_rows, strict=True):
        assert row == pytest.approx(expected_row, rel=1e-4, abs=1e-5)
    pairs = zip(numbers(found), numbers(expected), strict=True)
    for leaf, expected_leaf in pairs:
        np.testing.assert_allclose(leaf, expected_leaf, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        found.evaluation.episode_lengths, expected.evaluation.episode_lengths
    )
    assert ("return_start" in rows[-1][1]) == (not isinstance(config, PPOConfig))


def test_host_envs_are_closed_when_training_ends_and_when_it_fails():
    env = OnHost(CountsAndPays())
    result, _ = trained(DQN, env, RUNNER)
    assert result.state.env_state.envs.closed
    with pytest.raises(RuntimeError), open_envs(env, jax.random.key(0), 2) as envs:
        raise RuntimeError
    assert envs.envs.closed


def test_an_evaluation_watches_each_env_until_its_first_episode_ends_or_max_steps():
    env = CountsAndPays()
    algorithm = dqn(OnHost(env), (), DQN, RUNNER)
    how = algorithm, algorithm.init(jax.random.key(0)), OnHost(env), (), jax.random.key(1)
    many = results_of(evaluate_host_envs(*how, Extent(AT_ONCE + 1, 10)))
    assert many.finished.all()
    assert many.episode_lengths.tolist() == [3] * (AT_ONCE + 1)
    one = results_of(evaluate_host_envs(*how, Extent(1, 2)))
    assert not one.finished.any()
    assert one.episode_lengths.tolist() == [2]


LONGER = replace(RUNNER, total_timesteps=600, eval_every=300, eval_episodes=1)


def test_two_runs_of_gymnasium_with_one_seed_are_identical_and_another_seed_differs():
    def rows(seed):
        runner = replace(LONGER, seed=seed)
        return [row for _, row in trained(DQN, GymnasiumWrapper("CartPole-v1"), runner)[1]]

    assert rows(0) == rows(0)
    assert rows(0) != rows(1)


def test_a_long_run_compiles_nothing_after_its_first_chunks():
    env = GymnasiumWrapper("CartPole-v1")
    trained(DQN, env, LONGER)
    sizes = learn_then_act._cache_size(), act._cache_size()
    trained(DQN, env, replace(LONGER, total_timesteps=900, seed=3))
    assert (learn_then_act._cache_size(), act._cache_size()) == sizes


def test_sac_learns_from_envs_in_processes_of_their_own():
    runner = replace(LONGER, eval_episodes=0)
    here, there = (
        trained(SAC, env, runner)[1]
        for env in (
            GymnasiumWrapper("Pendulum-v1"),
            GymnasiumWrapper("Pendulum-v1", parallel="async"),
        )
    )
    assert here == there
    assert {row["episode_length"] for _, row in here if "episode_length" in row} == {200}


def test_the_command_line_trains_and_evaluates_on_gymnasium(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = "train cartpole_dqn --env_id gymnasium:CartPole-v1 --algo.hidden_sizes (8,)"
    words += " --algo.batch_size 8 --algo.num_envs 2 --runner.total_timesteps 600"
    words += " --runner.warmup_steps 16 --runner.buffer_size 64 --runner.eval_episodes 1"
    words += " --runner.plot false --runner.progress_bar false"
    main(words.split())
    said = capsys.readouterr().out
    (run,) = find_runs("runs")
    main(["evaluate", str(run)])
    assert capsys.readouterr().out.strip() in said
    assert evaluate_run(run, episodes=5, seed=1).episode_returns.shape == (5,)


class Wanderer(gymnasium.Wrapper):
    """Leaves the working directory."""

    def __init__(self):
        super().__init__(gymnasium.make("CartPole-v1"))
        os.chdir("elsewhere")

    def reset(self, *, seed=None, options=None):
        os.chdir("..")
        os.chdir("elsewhere")
        return self.env.reset(seed=seed, options=options)


def test_checks_of_an_env_that_leaves_the_directory_end_where_they_began(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    spec = replace(gymnasium.spec("CartPole-v1"), id="Wanderer-v0", entry_point=partial(Wanderer))
    monkeypatch.setitem(gymnasium.registry, "Wanderer-v0", spec)
    build(TrainConfig(env_id="gymnasium:Wanderer-v0", algo=PPO))
    assert Path.cwd() == tmp_path


def test_what_resets_itself_already_is_not_wrapped_to_do_so():
    script = "from vibe_rl.env import *; AutoResetWrapper(GymnasiumWrapper('CartPole-v1'))"
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ConfigError" in said.stderr
    assert "resets itself already: remove AutoResetWrapper" in said.stderr


def test_ppo_learns_on_gymnasium_what_no_random_policy_reaches():
    runner = RunnerConfig(
        total_timesteps=16_384, eval_every=0, eval_episodes=32, progress_bar=False
    )
    env = GymnasiumWrapper("CartPole-v1")
    result = fit(prepare(ppo(env, (), PPO, runner), env, (), runner, PPO.num_envs))
    assert float(result.evaluation.mean_return) > 150.0  # at random: 22


def test_the_speed_of_a_loop_with_the_host_in_it_is_measured_over_whole_chunks():
    speeds = []

    def callback(step, agent_state, row):
        speeds.append(row["steps_per_second"])

    runner = replace(RUNNER, eval_episodes=0)
    env = OnHost(CountsAndPays())
    fit(prepare(dqn(env, (), DQN, runner), env, (), runner, 2), callback=callback)
    assert 0 < max(speeds) < 1e5  # a chunk that was over before the clock started would show 1e6
