"""Values in deviations of their targets: what is kept, and rewards that plain targets fail at."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import MATCH_SIGN, Ruled
from vibe_rl.algorithms.ppo import PPO, Behaviour, PPOConfig
from vibe_rl.algorithms.value_targets import (
    WINDOW,
    add_targets,
    in_deviations,
    in_rewards,
    initial_value_statistics,
    preserve_values,
)
from vibe_rl.env import AutoResetWrapper
from vibe_rl.networks import Linear
from vibe_rl.ops.normalization import RunningStatistics
from vibe_rl.runner import RunnerConfig, train_ppo
from vibe_rl.runner.train_ppo import ppo
from vibe_rl.spaces import Box, Discrete
from vibe_rl.types import Transition

KEY = jax.random.key(0)
CONFIG = PPOConfig(
    hidden_sizes=(4,), n_steps=6, num_envs=4, n_minibatches=2, n_epochs=2, normalize_values=True
)
SPACES = Box(-1.0, 1.0, (2,)), Discrete(2)
OLD, NEW = (RunningStatistics(*map(jnp.float32, x)) for x in ((9.0, 2.0, 4.0), (9.0, 300.0, 1e4)))
update = jax.jit(lambda algorithm, *args: algorithm.update(*args))


def rollout_of(reward, done=False):
    """A rollout `[T, N]` with these rewards, at random observations."""
    reward = jnp.asarray(reward, jnp.float32)
    obs = jax.random.uniform(KEY, (*reward.shape, 2), minval=-1.0)
    actions = jnp.zeros(reward.shape, jnp.int32)
    behaviour = Behaviour(actions, jnp.full(reward.shape, -np.log(2), jnp.float32))
    terminated, never = jnp.full(reward.shape, done), jnp.zeros(reward.shape, bool)
    return Transition(obs, actions, reward, terminated, never, obs, behaviour)


REWARD = np.random.default_rng(0).normal(300.0, 50.0, (6, 4))


def learned(config=CONFIG, rollout=None, n_shards=1):
    """The algorithm and its state after one update."""
    algorithm = PPO(config, *SPACES, n_shards=n_shards)
    rollout = rollout_of(REWARD, done=True) if rollout is None else rollout
    return algorithm, update(algorithm, jax.jit(algorithm.init)(KEY), rollout, KEY)


def test_a_change_of_the_statistics_changes_no_value():
    head, features = Linear(KEY, 5, 1), jax.random.normal(KEY, (5,))
    before = in_rewards(OLD, head(features))
    after = in_rewards(NEW, preserve_values(head, OLD, NEW)(features))
    np.testing.assert_allclose(after, before, rtol=1e-4)
    assert abs(float(in_rewards(NEW, head(features))[0] - before[0])) > 100.0


def test_deviations_are_the_inverse_of_rewards_and_without_statistics_nothing_happens():
    value = jnp.array([-3.0, 0.0, 700.0])
    np.testing.assert_allclose(in_rewards(NEW, in_deviations(NEW, value)), value, atol=1e-3)
    np.testing.assert_allclose(in_deviations(NEW, jnp.float32(500.0)), 2.0)  # (500 - 300) / 100
    assert in_rewards(None, value) is value


def test_the_first_targets_are_the_statistics_and_those_that_do_not_count_are_not_in_them():
    target = jnp.asarray(np.arange(6.0, dtype=np.float32).reshape(2, 3))
    everything = add_targets(initial_value_statistics(), target)
    np.testing.assert_allclose([everything.mean, everything.var], [2.5, 35 / 12], rtol=1e-6)
    some = add_targets(initial_value_statistics(), target, target > 3.0)
    np.testing.assert_allclose([some.mean, some.var, some.count], [4.5, 0.25, 2.0], rtol=1e-6)


def test_statistics_forget_so_that_they_follow_targets_that_grow():
    add = jax.jit(add_targets)
    statistics = initial_value_statistics()
    for _ in range(2 * int(WINDOW)):
        statistics = add(statistics, jnp.zeros((1, 4)))
    statistics = add(statistics, jnp.full((1, 4), 100.0))
    np.testing.assert_allclose(statistics.mean, 100.0 / (WINDOW + 1), rtol=1e-4)


def test_targets_that_do_not_vary_divide_by_no_zero():
    _, (state, metrics) = learned(rollout=rollout_of(np.full((6, 4), 7.0), done=True))
    leaves = jax.tree.leaves((state.params, metrics))
    assert all(np.isfinite(leaf).all() for leaf in leaves)


def test_an_update_keeps_the_statistics_of_the_targets_of_every_env_alike_on_two_shards():
    for n_shards in (1, 2):
        _, (state, metrics) = learned(n_shards=n_shards)
        # every step ends its episode, so that its target is its reward
        np.testing.assert_allclose(state.value_statistics.mean, REWARD.mean(), rtol=1e-5)
        np.testing.assert_allclose(state.value_statistics.var, REWARD.var(), rtol=1e-4)
        assert metrics["critic_loss"] < 50.0  # with plain targets about 300^2 / 2 = 45,000


def test_targets_are_of_scaled_rewards():
    _, (state, _) = learned(replace(CONFIG, reward_scale=0.1))
    np.testing.assert_allclose(state.value_statistics.mean, 0.1 * REWARD.mean(), rtol=1e-5)


def test_steps_after_an_episode_of_its_own_rollout_do_not_count():
    config = replace(CONFIG, whole_episodes=True)
    _, (state, _) = learned(config)
    np.testing.assert_allclose(state.value_statistics.mean, REWARD[0].mean(), rtol=1e-5)


def test_many_agents_side_by_side_keep_their_own_statistics():
    algorithm = PPO(CONFIG, *SPACES)
    states = jax.vmap(algorithm.init)(jax.random.split(KEY, 2))
    rollouts = jax.tree.map(
        lambda *x: jnp.stack(x), rollout_of(REWARD, True), rollout_of(-2 * REWARD, True)
    )
    both, _ = jax.jit(jax.vmap(partial(algorithm.update)))(states, rollouts, jnp.stack([KEY, KEY]))
    expected = [REWARD.mean(), -2 * REWARD.mean()]
    np.testing.assert_allclose(both.value_statistics.mean, expected, rtol=1e-5)


def test_without_the_option_there_is_nothing_of_it_in_the_state():
    algorithm = PPO(replace(CONFIG, normalize_values=False), *SPACES)
    assert jax.eval_shape(algorithm.init, KEY).value_statistics is None


LARGE_AND_SMALL = MATCH_SIGN._replace(
    reward=np.array([[[0.01, 0.0], [500.0, 500.01]]] * 2, np.float32)
)
"""A choice worth 0.01 at observation -1, and at 1, where there are 500 beside it."""


@pytest.mark.parametrize("normalized", [True, False])
def test_a_hundredth_is_learned_beside_five_hundred_where_plain_targets_learn_neither(normalized):
    # measured over 3 seeds: values 500.01 and the right action in 1.00 with, 179 to 181 and at
    # most 0.65 without
    config = PPOConfig(
        hidden_sizes=(16,), n_steps=15, num_envs=8, lr=3e-3, gamma=0.9, normalize_values=normalized
    )
    runner = RunnerConfig(
        total_timesteps=25_600, eval_episodes=0, log_interval=0, progress_bar=False
    )
    env = AutoResetWrapper(Ruled())
    state, _ = train_ppo(env, LARGE_AND_SMALL, ppo_config=config, runner_config=runner)
    agent, algorithm = state.agent_state, ppo(env, LARGE_AND_SMALL, config, runner)
    value = algorithm.critic_value(agent, jnp.ones(1))
    logits = agent.params.policy(jnp.ones(1)).logits
    if normalized:
        assert float(value) == pytest.approx(500.0, rel=0.01)
        assert jax.nn.softmax(logits)[1] > 0.9
    else:
        assert float(value) < 300.0
        assert jax.nn.softmax(logits)[1] < 0.8
