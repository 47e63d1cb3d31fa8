"""The layers, around a small env whose every number is known: `Clock`."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from vibe_rl.env import (
    AutoResetWrapper,
    Box,
    CartPole,
    Discrete,
    EpisodeStatisticsWrapper,
    GridWorld,
    HookWrapper,
    ObservationWrapper,
    ObsNormParams,
    ObsNormWrapper,
    RewardScaleWrapper,
    Step,
    TimeLimitWrapper,
    with_episode_statistics,
)
from vibe_rl.env.wrappers import Wrapper, has_layer, select
from vibe_rl.errors import ConfigError


class ClockState(NamedTuple):
    start: Array
    time: Array
    key: Array  # a typed key in the state, as envs with their own randomness have


@dataclass(frozen=True)
class Clock:
    """Terminates at time 3; obs is [a random start, the time], the reward the time."""

    def default_params(self) -> Any:
        return ()

    def observation_space(self, params):
        return Box(0.0, 100.0, (2,))

    def action_space(self, params):
        return Discrete(2)

    def reset(self, key, params):
        start_key, key = jax.random.split(key)
        state = ClockState(jax.random.uniform(start_key), jnp.int32(0), key)
        return self.observe(state), state

    def observe(self, state):
        return jnp.stack([state.start, state.time.astype(jnp.float32)])

    def step(self, key, state, action, params):
        state = state._replace(time=state.time + 1)
        reward = state.time.astype(jnp.float32)
        return Step(self.observe(state), state, reward, state.time >= 3, jnp.array(False), {})


class Wall(ObservationWrapper):
    """Shows ten times the observation."""

    def observation(self, obs, params):
        return 10 * obs


def double_reward(state, action, step, params):
    return step._replace(reward=2 * step.reward + action)


@partial(jax.jit, static_argnums=(0, 3))
def play(env, params, key, n_steps):
    """Plays with action 0; returns the first obs and the steps `[T, ...]`."""
    reset_key, key = jax.random.split(key)
    obs, state = env.reset(reset_key, params)

    def body(state, key):
        step = env.step(key, state, jnp.int32(0), params)
        return step.state, step

    return obs, jax.lax.scan(body, state, jax.random.split(key, n_steps))[1]


KEY = jax.random.key(0)


def test_the_final_obs_is_the_true_successor_and_obs_the_next_episodes_first():
    first, steps = play(AutoResetWrapper(Clock()), (), KEY, 7)
    np.testing.assert_array_equal(steps.terminated, [0, 0, 1, 0, 0, 1, 0])
    np.testing.assert_array_equal(steps.info["final_obs"][:, 1], [1, 2, 3, 1, 2, 3, 1])
    np.testing.assert_array_equal(steps.obs[:, 1], [1, 2, 0, 1, 2, 0, 1])
    np.testing.assert_array_equal(steps.reward, [1, 2, 3, 1, 2, 3, 1])
    np.testing.assert_array_equal(steps.info["final_obs"][:3, 0], [first[0]] * 3)
    np.testing.assert_array_equal(steps.info["final_obs"][3:6, 0], [steps.obs[2, 0]] * 3)


class SeenClock(Clock):
    """Says what a state looks like, with the sign changed to tell who was asked."""

    def obs_of(self, state, params):
        return -self.observe(state)


def test_an_env_that_can_is_asked_for_the_observation_of_the_state_that_is_chosen():
    _, steps = play(AutoResetWrapper(Clock()), (), KEY, 7)
    _, seen = play(AutoResetWrapper(SeenClock()), (), KEY, 7)
    np.testing.assert_array_equal(seen.obs, -steps.obs)
    np.testing.assert_array_equal(seen.info["final_obs"], steps.info["final_obs"])


def test_every_episode_of_every_copy_starts_afresh():
    keys = jax.random.split(KEY, 8)
    first, steps = jax.vmap(lambda key: play(AutoResetWrapper(Clock()), (), key, 9))(keys)
    starts = np.concatenate([np.asarray(first[:, None, 0]), steps.obs[:, 2::3, 0]], 1)
    assert starts.shape == (8, 4)
    assert len(np.unique(starts)) == 32


def test_a_truncation_resets_as_a_termination_does():
    env = AutoResetWrapper(TimeLimitWrapper(Clock(), 2))
    _, steps = play(env, (), KEY, 4)
    np.testing.assert_array_equal(steps.truncated, [0, 1, 0, 1])
    assert not steps.terminated.any()
    np.testing.assert_array_equal(steps.obs[:, 1], [1, 0, 1, 0])
    np.testing.assert_array_equal(steps.info["final_obs"][:, 1], [1, 2, 1, 2])


def test_auto_reset_passes_the_state_of_the_layer_below():
    _, state = AutoResetWrapper(Clock()).reset(KEY, ())
    assert isinstance(state, ClockState)


def test_auto_reset_twice_is_refused():
    with pytest.raises(ConfigError, match="resets itself already"):
        AutoResetWrapper(EpisodeStatisticsWrapper(AutoResetWrapper(Clock())))


def test_select_takes_typed_keys_and_any_tree():
    a, b = {"key": jax.random.key(1), "x": jnp.ones(3)}, {"key": KEY, "x": jnp.zeros(3)}
    chosen = select(jnp.array(True), a, b)
    assert (jax.random.key_data(chosen["key"]) == jax.random.key_data(a["key"])).all()
    np.testing.assert_array_equal(select(jnp.array(False), a, b)["x"], 0)


@pytest.mark.parametrize(
    "env",
    [
        EpisodeStatisticsWrapper(AutoResetWrapper(Clock())),
        AutoResetWrapper(EpisodeStatisticsWrapper(Clock())),
    ],
    ids=["outside", "inside"],
)
def test_episode_statistics_hold_the_running_sums_and_start_again(env):
    _, steps = play(env, (), KEY, 7)
    np.testing.assert_array_equal(steps.info["episode_return"], [1, 3, 6, 1, 3, 6, 1])
    np.testing.assert_array_equal(steps.info["episode_length"], [1, 2, 3, 1, 2, 3, 1])
    assert steps.info["episode_return"].dtype == jnp.float32
    assert steps.info["episode_length"].dtype == jnp.int32


def test_a_reward_that_is_no_number_spoils_one_episode_only():
    class Spoiled(Wrapper):
        def step(self, key, state, action, params):
            step = super().step(key, state, action, params)
            return step._replace(reward=jnp.where(step.state.time == 3, jnp.nan, step.reward))

    env = EpisodeStatisticsWrapper(AutoResetWrapper(Spoiled(Clock())))
    returns = play(env, (), KEY, 4)[1].info["episode_return"]
    np.testing.assert_array_equal(returns, [1, 3, np.nan, 1])


def test_episode_statistics_are_added_once():
    counted = AutoResetWrapper(EpisodeStatisticsWrapper(Clock()))
    assert with_episode_statistics(counted) is counted
    added = with_episode_statistics(AutoResetWrapper(Clock()))
    assert isinstance(added, EpisodeStatisticsWrapper)
    assert with_episode_statistics(added) is added


def test_rewards_are_scaled_and_stay_float32():
    _, steps = play(RewardScaleWrapper(AutoResetWrapper(Clock()), 0.5), (), KEY, 3)
    np.testing.assert_array_equal(steps.reward, [0.5, 1.0, 1.5])
    assert steps.reward.dtype == jnp.float32


def test_a_hook_sees_state_action_and_step():
    env = HookWrapper(Clock(), double_reward)
    _, state = env.reset(KEY, ())
    assert env.step(KEY, state, jnp.int32(1), ()).reward == 3.0  # 2 * 1 + action 1


def test_a_time_limit_outside_auto_reset_is_refused():
    with pytest.raises(ConfigError, match="outside AutoResetWrapper: put it inside"):
        TimeLimitWrapper(AutoResetWrapper(Clock()), 3)


def test_a_time_limit_below_one_is_refused():
    with pytest.raises(ConfigError, match="max_steps 0"):
        TimeLimitWrapper(Clock(), 0)


def test_a_time_limit_keeps_the_truncation_of_the_env_below():
    env = TimeLimitWrapper(CartPole(), 1000)
    params = env.default_params()._replace(max_steps=np.int32(1))
    _, state = env.reset(KEY, params)
    assert env.step(KEY, state, jnp.int32(0), params).truncated


def test_transformed_observations_agree_inside_and_outside_auto_reset():
    inside = play(AutoResetWrapper(Wall(Clock())), (), KEY, 7)
    outside = play(Wall(AutoResetWrapper(Clock())), (), KEY, 7)
    jax.tree.map(
        np.testing.assert_array_equal, (inside[0], *inside[1][:1]), (outside[0], *outside[1][:1])
    )
    np.testing.assert_array_equal(inside[1].info["final_obs"], outside[1].info["final_obs"])
    np.testing.assert_array_equal(outside[1].info["final_obs"][:, 1], [10, 20, 30, 10, 20, 30, 10])


def test_a_transformation_must_say_what_it_does():
    with pytest.raises(TypeError, match="abstract"):
        ObservationWrapper(Clock())  # type: ignore[abstract]


def test_observations_are_normalised_by_the_statistics_in_the_params_and_clipped():
    env = AutoResetWrapper(ObsNormWrapper(Clock()))
    mean, var = np.array([0.0, 1.0], np.float32), np.array([1e-12, 4.0], np.float32)
    first, steps = play(env, ObsNormParams((), mean, var), KEY, 3)
    np.testing.assert_allclose(first, [10.0, -0.5], rtol=1e-6)  # the start is 10 deviations off
    np.testing.assert_allclose(steps.info["final_obs"][:, 1], [0.0, 0.5, 1.0], atol=1e-6)


def test_normalising_by_default_leaves_observations_as_they_are():
    env = ObsNormWrapper(GridWorld())
    params = env.default_params()
    assert params.mean.shape == params.var.shape == (2,)
    np.testing.assert_allclose(
        play(env, params, KEY, 3)[1].obs, play(GridWorld(), params.inner, KEY, 3)[1].obs
    )
    assert env.observation_space(params) == Box(-10.0, 10.0, (2,))
    assert env.action_space(params) == Discrete(4)


def test_a_discrete_observation_cannot_be_normalised():
    class Blind(Clock):
        def observation_space(self, params):
            return Discrete(3)

    with pytest.raises(ConfigError, match="cannot be normalised: give"):
        ObsNormWrapper(Blind()).default_params()


def test_layers_are_found_at_any_depth():
    env = RewardScaleWrapper(AutoResetWrapper(TimeLimitWrapper(Clock(), 5)), 2.0)
    assert has_layer(env, TimeLimitWrapper)
    assert not has_layer(env, EpisodeStatisticsWrapper)
