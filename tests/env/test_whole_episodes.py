"""Rollouts of whole episodes: what an env does until its episode ends, then, and afterwards."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from vibe_rl.algorithms.ppo import PPO, PPOConfig
from vibe_rl.env import AutoResetWrapper, EpisodeStatisticsWrapper, make
from vibe_rl.env.base import Step
from vibe_rl.env.whole_episodes import WholeEpisodesWrapper, first_episodes
from vibe_rl.errors import ConfigError
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.run import prepare
from vibe_rl.spaces import Box, Discrete


class Ends(NamedTuple):
    after: Array  # int32, env steps
    by_clock: Array  # bool


@dataclass(frozen=True)
class Counting:
    """Shows a random start plus the steps since; ends after so many, rewarded 1 each."""

    def default_params(self) -> Ends:
        return Ends(np.int32(3), np.bool_(False))

    def observation_space(self, params):
        return Box(0.0, 100.0, (1,))

    def action_space(self, params):
        return Discrete(2)

    def reset(self, key, params):
        start = jax.random.uniform(key, (1,), jnp.float32, 0.0, 0.5)
        return start, (start, jnp.int32(0))

    def step(self, key, state, action, params):
        start, time = state[0], state[1] + 1
        ends = time >= params.after
        return Step(
            obs=start + time,
            state=(start, time),
            reward=jnp.float32(1.0),
            terminated=ends & ~params.by_clock,
            truncated=ends & params.by_clock,
            info={"metrics": {"time": time}},
        )


def play(n_steps, params, length):
    """The steps of one env, stacked, and the observations acted on."""
    env = WholeEpisodesWrapper(
        EpisodeStatisticsWrapper(AutoResetWrapper(Counting())), n_steps=n_steps
    )

    def step(carry, key):
        obs, state = carry
        after = env.step(key, state, jnp.int32(0), params)
        return (after.obs, after.state), (obs, after)

    first = env.reset(jax.random.key(0), params)
    return jax.lax.scan(step, first, jax.random.split(jax.random.key(1), length))[1]


@pytest.mark.parametrize("by_clock", [False, True])
def test_an_env_waits_after_its_episode_until_the_rollout_is_over(by_clock):
    obs, after = play(5, Ends(np.int32(3), np.bool_(by_clock)), 10)
    ended = after.truncated if by_clock else after.terminated
    np.testing.assert_array_equal(ended, [False, False, True, False, False] * 2)
    assert not np.any(after.terminated if by_clock else after.truncated)
    np.testing.assert_array_equal(after.reward, [1, 1, 1, 0, 0] * 2)
    starts = np.asarray(obs)[:, 0] % 1
    age = np.asarray(obs)[:, 0].astype(int)
    np.testing.assert_array_equal(age, [0, 1, 2, 0, 0, 0, 1, 2, 0, 0])
    assert len({*starts[3:6].tolist()}) == 1, "it waits where the next episode begins"
    assert starts[0] != pytest.approx(starts[5]), "which is another one"
    next_obs = np.asarray(after.info["final_obs"])[:, 0]
    np.testing.assert_array_equal(next_obs[:5].astype(int), [1, 2, 3, 0, 0])
    np.testing.assert_allclose(next_obs[:3] % 1, starts[0], atol=1e-6)


def test_an_episode_longer_than_the_rollout_is_truncated_and_its_successor_is_true():
    obs, after = play(4, Ends(np.int32(100), np.bool_(False)), 8)
    np.testing.assert_array_equal(after.truncated, [False, False, False, True] * 2)
    assert not np.any(after.terminated)
    next_obs = np.asarray(after.info["final_obs"])[:, 0]
    np.testing.assert_array_equal(next_obs.astype(int), [1, 2, 3, 4] * 2)
    assert next_obs[3] % 1 == pytest.approx(float(obs[0, 0]) % 1, abs=1e-6)
    assert float(obs[4, 0]) != pytest.approx(float(obs[0, 0]))
    np.testing.assert_array_equal(after.info["episode_length"], [1, 2, 3, 4] * 2)
    np.testing.assert_array_equal(after.info["episode_return"], [1, 2, 3, 4] * 2)


def test_an_episode_that_ends_with_the_rollout_is_not_truncated_besides():
    _, after = play(3, Ends(np.int32(3), np.bool_(False)), 6)
    np.testing.assert_array_equal(after.terminated, [False, False, True] * 2)
    assert not np.any(after.truncated)
    np.testing.assert_array_equal(after.info["episode_length"], [1, 2, 3] * 2)


def test_step_metrics_are_left_out_for_they_would_be_of_waiting_too():
    _, after = play(5, Ends(np.int32(3), np.bool_(False)), 5)
    assert "metrics" not in after.info


def test_first_episodes_are_all_steps_up_to_the_first_end():
    done = jnp.array([[0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]], bool)
    expected = [[1, 1, 1], [1, 0, 1], [1, 0, 1], [0, 0, 1]]
    np.testing.assert_array_equal(first_episodes(done), np.array(expected, bool))


def test_an_algorithm_that_asks_for_whole_episodes_gets_such_an_env():
    env, params = make("CartPole-v1")
    config = PPOConfig(n_steps=8, n_minibatches=2, whole_episodes=True)
    algorithm = PPO(config, env.observation_space(params), env.action_space(params))
    run = prepare(algorithm, AutoResetWrapper(env), params, RunnerConfig(), 1)
    assert run.env == WholeEpisodesWrapper(
        EpisodeStatisticsWrapper(AutoResetWrapper(env)), n_steps=8
    )


def test_an_env_that_python_steps_cannot_wait():
    env, params = make("gymnasium:CartPole-v1")
    config = PPOConfig(n_steps=8, n_minibatches=2, whole_episodes=True)
    algorithm = PPO(config, env.observation_space(params), env.action_space(params))
    with pytest.raises(ConfigError, match="whole_episodes True needs an environment in JAX"):
        prepare(algorithm, env, params, RunnerConfig(), 1)
