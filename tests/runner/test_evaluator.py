"""Greedy evaluation: episodes, and values at their start beside discounted returns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Counter, SignReward
from vibe_rl.algorithms.dqn import DQN, DQNConfig
from vibe_rl.algorithms.ppo import PPO, PPOConfig
from vibe_rl.env import AutoResetWrapper
from vibe_rl.replay import Replay
from vibe_rl.runner.evaluation import Extent, results_of
from vibe_rl.runner.evaluator import evaluate, greedy_action, jit_evaluate
from vibe_rl.runner.executor import evaluate_on_device

GAMMA, KEY = 0.5, jax.random.key(0)
HOW = {"n_episodes": 2, "max_steps": 10}
LINEAR = DQNConfig(hidden_sizes=(), gamma=GAMMA, batch_size=2)


class PaysItsTime(Counter):
    """Pays 1, 2, 3 in its three steps."""

    def reward(self, state, action, params):
        return (state.time + 1).astype(jnp.float32)


ENV = PaysItsTime()
PARAMS = ENV.default_params()
SPACES = ENV.observation_space(PARAMS), ENV.action_space(PARAMS)


def agent_of(slopes):
    """DQN whose values of the two actions are these multiples of the observation."""
    algorithm = DQN(LINEAR, *SPACES, Replay(8), warmup_steps=2)
    state = algorithm.init(KEY)
    weight = jnp.array(slopes)[:, None]
    params = eqx.tree_at(lambda network: network.head.weight, state.params, weight)
    return algorithm, state._replace(params=params)


def evaluate_agent(agent, env, n_episodes, max_steps):
    """As a run does it."""
    return results_of(evaluate_on_device(*agent, env, PARAMS, KEY, Extent(n_episodes, max_steps)))


@pytest.mark.parametrize("env", [ENV, AutoResetWrapper(ENV)])
def test_the_value_at_the_start_stands_beside_the_discounted_return(env):
    # the first observation is -1, so the values there are -3 and 2, of which the best counts;
    # the three rewards are worth 1 + 2 / 2 + 3 / 4
    metrics = evaluate_agent(agent_of([3.0, -2.0]), env, **HOW)
    np.testing.assert_allclose(metrics.q_start, 2.0)
    np.testing.assert_allclose(metrics.return_start, 2.75)
    np.testing.assert_allclose(metrics.episode_returns, [6.0, 6.0])


def test_what_max_steps_cuts_off_is_in_no_return():
    how = HOW | {"max_steps": 2}
    metrics = evaluate_agent(agent_of([3.0, -2.0]), ENV, **how)
    assert (metrics.return_start, metrics.mean_return) == (2.0, 3.0)
    assert not metrics.finished.any()


def test_an_algorithm_without_values_of_greedy_actions_reports_none():
    algorithm = PPO(PPOConfig(hidden_sizes=()), *SPACES)
    agent = algorithm, algorithm.init(KEY)
    metrics = evaluate_agent(agent, ENV, **HOW)
    assert metrics.q_start is None
    assert metrics.return_start is None
    assert metrics.mean_return == 6.0


def test_any_policy_is_evaluated_as_an_agent_is():
    agent = agent_of([3.0, -2.0])
    one = evaluate_agent(agent, ENV, **HOW)
    other = evaluate(greedy_action, agent, ENV, PARAMS, rng=KEY, **HOW)
    np.testing.assert_array_equal(one.episode_returns, other.episode_returns)
    assert other.q_start is None


def test_a_key_of_the_old_kind_opens_the_same_episodes():
    def act(agent_state, obs):
        return jnp.int32(0)

    env, how = SignReward(), {"n_episodes": 32, "max_steps": 2}
    args = act, None, env, env.default_params()
    typed, old = (
        jit_evaluate(*args, **how, rng=f(3)) for f in (jax.random.key, jax.random.PRNGKey)
    )
    np.testing.assert_array_equal(typed.episode_returns, old.episode_returns)
    assert set(typed.episode_returns.tolist()) == {-1.0, 1.0}
