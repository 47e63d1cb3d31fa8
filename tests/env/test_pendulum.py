"""Pendulum: parity with Gymnasium's step, and the numbers of one step by hand."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.env import Pendulum, PendulumParams, PendulumState
from vibe_rl.env.pendulum import cost, swing, wrap_angle

PARAMS = PendulumParams()
STEP = jax.jit(Pendulum().step)


def state_at(theta, theta_dot, time=0):
    return PendulumState(jnp.float32(theta), jnp.float32(theta_dot), jnp.int32(time))


def test_a_step_agrees_with_gymnasium_from_500_random_states():
    rng = np.random.default_rng(0)
    theta = rng.uniform(-10, 10, 500).astype(np.float32)
    theta_dot = rng.uniform(-8, 8, 500).astype(np.float32)
    actions = rng.uniform(-3, 3, (500, 1)).astype(np.float32)  # also beyond the limit
    states = PendulumState(jnp.asarray(theta), jnp.asarray(theta_dot), jnp.zeros(500, jnp.int32))
    keys = jax.random.split(jax.random.key(0), 500)
    ours = jax.vmap(STEP, (0, 0, 0, None))(keys, states, jnp.asarray(actions), PARAMS)
    theirs = gymnasium.make("Pendulum-v1").unwrapped
    for i in range(500):
        theirs.state = np.array([theta[i], theta_dot[i]], np.float64)
        obs, reward, terminated, truncated, _ = theirs.step(actions[i])
        np.testing.assert_allclose(ours.obs[i], obs, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(ours.reward[i], reward, rtol=1e-5, atol=1e-5)
        assert ours.terminated[i] == terminated
        assert ours.truncated[i] == truncated


def test_the_spaces_are_gymnasiums():
    theirs = gymnasium.make("Pendulum-v1")
    for ours, other in (
        (Pendulum().observation_space(PARAMS), theirs.observation_space),
        (Pendulum().action_space(PARAMS), theirs.action_space),
    ):
        assert ours.shape == other.shape
        np.testing.assert_allclose(ours.low, other.low)
        np.testing.assert_allclose(ours.high, other.high)


def test_one_step_by_hand():
    # theta_acc = 15 sin(pi/2) + 3 * 2 = 21; theta_dot = 1 + 0.05 * 21 = 2.05; theta += 0.05 * 2.05
    theta, theta_dot = swing(state_at(np.pi / 2, 1.0), jnp.float32(2.0), PARAMS)
    np.testing.assert_allclose(theta_dot, 2.05, rtol=1e-6)
    np.testing.assert_allclose(theta, np.pi / 2 + 0.1025, rtol=1e-6)


def test_the_cost_weighs_angle_speed_and_torque():
    # (pi/2)^2 + 0.1 * 4 + 0.001 * 4; one turn more costs the same
    for turns in (0, 1, -2):
        value = cost(state_at(np.pi / 2 + 2 * np.pi * turns, 2.0), jnp.float32(2.0))
        np.testing.assert_allclose(value, 2.4674011 + 0.404, rtol=1e-5)


def test_angles_are_wrapped_into_half_a_turn_either_way():
    angles = jnp.array([0.0, 3.0, 4.0, -4.0, 7.0])
    expected = [0.0, 3.0, 4.0 - 2 * np.pi, 2 * np.pi - 4.0, 7.0 - 2 * np.pi]
    np.testing.assert_allclose(jax.vmap(wrap_angle)(angles), expected, atol=1e-6)


def test_only_the_clock_ends_an_episode_at_step_200():
    before = STEP(jax.random.key(0), state_at(0, 0, 198), jnp.zeros(1), PARAMS)
    last = STEP(jax.random.key(0), before.state, jnp.zeros(1), PARAMS)
    assert not before.truncated
    assert last.truncated
    assert not last.terminated


def test_resets_cover_the_circle_and_speeds_up_to_one():
    reset = jax.vmap(Pendulum().reset, (0, None))
    _, state = reset(jax.random.split(jax.random.key(0), 2000), PARAMS)
    np.testing.assert_allclose([state.theta.min(), state.theta.max()], [-np.pi, np.pi], atol=0.02)
    np.testing.assert_allclose([state.theta_dot.min(), state.theta_dot.max()], [-1, 1], atol=0.01)


def test_the_action_space_follows_the_torque_limit():
    space = Pendulum().action_space(PARAMS._replace(max_torque=np.float32(5.0)))
    assert (space.low, space.high) == (-5.0, 5.0)
