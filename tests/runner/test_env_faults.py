"""What an environment emits and must not is named before a loss is blamed."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from probes import Forbidden, NamedMetric, Probe
from vibe_rl.algorithms import DQN, PPO, SAC, DQNConfig, PPOConfig, SACConfig
from vibe_rl.env import AutoResetWrapper, CartPole
from vibe_rl.env.params.bounds import bounds_of
from vibe_rl.errors import ConfigError, EnvironmentFaultError
from vibe_rl.runner import RunnerConfig, train_dqn, train_ppo, train_sac
from vibe_rl.types import RESERVED_METRICS, MaskedObs

RUNNER = RunnerConfig(
    total_timesteps=320,
    warmup_steps=64,
    buffer_size=256,
    eval_episodes=0,
    log_interval=64,
    progress_bar=False,
)
PPO_RUNNER = replace(RUNNER, warmup_steps=1_000, buffer_size=100_000)  # as if not given
OFF_POLICY = {"hidden_sizes": (8,), "num_envs": 4, "replay_ratio": 0.25, "batch_size": 16}


def ppo(env, env_params):
    config = PPOConfig(hidden_sizes=(8,), n_steps=8, num_envs=4)
    return train_ppo(env, env_params, ppo_config=config, runner_config=PPO_RUNNER)


def dqn(env, env_params, **changes):
    config = DQNConfig(**OFF_POLICY)
    return train_dqn(env, env_params, dqn_config=config, runner_config=replace(RUNNER, **changes))


def sac(env, env_params):
    return train_sac(env, env_params, sac_config=SACConfig(**OFF_POLICY), runner_config=RUNNER)


class Fault(NamedTuple):
    """What is added to the sixth reward and observation of an episode, by its place in VALUES."""

    reward: Any = np.int32(0)
    obs: Any = np.int32(0)


VALUES = (0.0, np.nan, -np.inf)


@dataclass(frozen=True)
class Glitch(Probe):
    """A reward or an observation is not finite."""

    length: int = 10
    ends: str = "truncated"

    def default_params(self):
        return Fault()

    def reward(self, state, action, params):
        return 1.0 + self.fault(state, params.reward)

    def fault(self, state, place):
        return jnp.where(state.time == 5, jnp.array(VALUES, jnp.float32)[place], 0.0)

    def step(self, key, state, action, params):
        step = super().step(key, state, action, params)
        return step._replace(obs=step.obs + self.fault(state, params.obs))


class Choices(NamedTuple):
    """After which step of an episode no action is legal."""

    stuck_at: Any = np.int32(5)


@dataclass(frozen=True)
class Stuck(Forbidden):
    """An observation has no legal action."""

    length: int = 10
    ends: str = "truncated"

    def default_params(self):
        return Choices()

    def step(self, key, state, action, params):
        step = super().step(key, state, action, params)
        legal = step.obs.legal & (state.time + 1 != params.stuck_at)
        return step._replace(obs=MaskedObs(step.obs.view, legal))


@pytest.mark.parametrize("train", [ppo, dqn, sac])
@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize(("where", "word"), [("reward", "reward"), ("obs", "observation")])
def test_a_number_that_is_not_finite_is_named_with_its_env_step(train, where, word, place):
    params = Fault(**{where: np.int32(place)})
    with pytest.raises(EnvironmentFaultError, match=f"{word} is not finite at env step 21 of all"):
        train(AutoResetWrapper(Glitch()), params)


@pytest.mark.parametrize("train", [ppo, dqn])
def test_a_reward_whose_square_is_infinite_is_named_before_the_learning_rate(train):
    sentence = "after a reward beyond 1e[+]18 at env step 1: scale rewards"
    with pytest.raises(EnvironmentFaultError, match=sentence):
        train(AutoResetWrapper(Probe()), Probe().default_params()._replace(reward=np.float32(1e38)))


def test_it_is_named_with_a_ring_on_the_host_too():
    params = Fault(reward=np.int32(1))
    with pytest.raises(EnvironmentFaultError, match="reward is not finite at env step 21 of all"):
        dqn(AutoResetWrapper(Glitch()), params, replay_on="host")


@pytest.mark.parametrize("train", [ppo, dqn, sac])
def test_an_observation_without_a_legal_action_is_named_in_mid_episode(train):
    env = AutoResetWrapper(Stuck())
    with pytest.raises(EnvironmentFaultError, match="no action is legal at env step 21 of all"):
        train(env, env.default_params())


def test_the_last_observation_of_an_episode_needs_no_legal_action():
    env = AutoResetWrapper(Stuck())
    ppo(env, env.default_params()._replace(stuck_at=np.int32(10)))


@pytest.mark.parametrize("train", [ppo, dqn])
def test_params_that_are_nan_are_refused(train):
    env = AutoResetWrapper(Probe())
    params = env.default_params()._replace(reward=np.float32(np.nan))
    with pytest.raises(ConfigError, match=r"env_params.reward is NaN: give a number"):
        train(env, params)


def test_params_that_their_bounds_exclude_are_refused():
    env = AutoResetWrapper(CartPole())
    with pytest.raises(ConfigError, match=r"env_params.max_steps 0: give at least 1"):
        ppo(env, env.default_params()._replace(max_steps=np.int32(0)))


class Limit(NamedTuple):
    max_steps: Any


@pytest.mark.parametrize(
    ("default", "bounded"),
    [(np.int32(5), True), (np.array([5, 6]), True), (np.int32(-1), False), (None, False)],
)
def test_a_time_limit_that_has_none_by_default_may_be_anything(default, bounded):
    assert ("max_steps" in bounds_of(Limit(default))) == bounded


@pytest.mark.parametrize("algorithm", [PPO, DQN, SAC])
def test_no_metric_of_an_algorithm_is_free_for_an_environment(algorithm):
    assert set(algorithm.metrics) <= RESERVED_METRICS
    assert set(algorithm.losses) <= set(algorithm.metrics)


@pytest.mark.parametrize("train", [ppo, dqn, sac])
@pytest.mark.parametrize("name", ["step", "wall_time", "eval_return", "return_sum", "lr"])
def test_a_metric_with_a_name_that_is_taken_is_refused_before_anything_runs(train, name):
    env = AutoResetWrapper(NamedMetric(name=name))
    with pytest.raises(ConfigError, match=f"'{name}'.* is taken: rename it, such as env_{name}"):
        train(env, env.default_params())


@pytest.mark.parametrize("train", [ppo, dqn])
def test_a_loss_of_the_environments_own_stops_nothing(train):
    env = AutoResetWrapper(NamedMetric(name="heat_loss", value=float("nan")))
    train(env, env.default_params())
