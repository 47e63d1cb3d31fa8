"""What an environment emits and must not is named before a loss is blamed."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import pytest

from probes import Forbidden, NamedMetric, Probe
from vibe_rl.algorithms import DQN, PPO, SAC, DQNConfig, PPOConfig, SACConfig
from vibe_rl.env import AutoResetWrapper
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


@dataclass(frozen=True)
class Glitch(Probe):
    """The sixth reward or observation of an episode is not finite."""

    length: int = 10
    ends: str = "truncated"
    where: str = "reward"
    value: float = float("nan")

    def step(self, key, state, action, params):
        step = super().step(key, state, action, params)
        broken = jnp.where(state.time == 5, self.value, 0.0)
        if self.where == "reward":
            return step._replace(reward=step.reward + broken)
        return step._replace(obs=step.obs + broken)


@dataclass(frozen=True)
class Stuck(Forbidden):
    """The observation after step `stuck_at` of an episode has no legal action."""

    length: int = 10
    ends: str = "truncated"
    stuck_at: int = 5

    def step(self, key, state, action, params):
        step = super().step(key, state, action, params)
        legal = step.obs.legal & (state.time + 1 != self.stuck_at)
        return step._replace(obs=MaskedObs(step.obs.view, legal))


@pytest.mark.parametrize("train", [ppo, dqn, sac])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("where", ["reward", "obs"])
def test_a_number_that_is_not_finite_is_named_with_its_env_step(train, where, value):
    env = AutoResetWrapper(Glitch(where=where, value=value))
    word = {"reward": "reward", "obs": "observation"}[where]
    with pytest.raises(EnvironmentFaultError, match=f"{word} is not finite at env step 21: mend"):
        train(env, env.default_params())


def test_it_is_named_with_a_ring_on_the_host_too():
    env = AutoResetWrapper(Glitch())
    with pytest.raises(EnvironmentFaultError, match="reward is not finite at env step 21: mend"):
        dqn(env, env.default_params(), replay_on="host")


@pytest.mark.parametrize("train", [ppo, dqn, sac])
def test_an_observation_without_a_legal_action_is_named_in_mid_episode(train):
    env = AutoResetWrapper(Stuck())
    with pytest.raises(EnvironmentFaultError, match="no action is legal at env step 21, in mid"):
        train(env, env.default_params())


@pytest.mark.parametrize("train", [ppo, dqn, sac])
def test_the_last_observation_of_an_episode_needs_no_legal_action(train):
    env = AutoResetWrapper(Stuck(stuck_at=10))
    train(env, env.default_params())


@pytest.mark.parametrize("train", [ppo, dqn])
def test_params_that_are_nan_are_refused(train):
    env = AutoResetWrapper(Probe())
    params = env.default_params()._replace(reward=np.float32(np.nan))
    with pytest.raises(ConfigError, match=r"env_params.reward is NaN: give a number"):
        train(env, params)


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


@pytest.mark.parametrize("train", [ppo, dqn, sac])
def test_a_loss_of_the_environments_own_stops_nothing(train):
    env = AutoResetWrapper(NamedMetric(name="heat_loss", value=float("nan")))
    train(env, env.default_params())
