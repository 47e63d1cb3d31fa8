"""Acrobot: parity with Gymnasium's step and episodes, and the numbers of one step by hand."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.env import Acrobot, AcrobotParams, AcrobotState
from vibe_rl.env.acrobot import accelerations, observe, runge_kutta, tip_height

PARAMS = AcrobotParams()
STEP = jax.jit(Acrobot().step)


def state_at(physics, time=0):
    return AcrobotState(jnp.asarray(physics, jnp.float32), jnp.int32(time))


# At the speeds of ordinary play a step is exact to float32's rounding. Near the limits it amplifies
# rounding: one unit in the last place of the input moves Gymnasium's own result by 2e-3 rad/s.
@pytest.mark.parametrize(("speeds", "atol"), [((6, 12), 1e-5), ((4 * np.pi, 9 * np.pi), 2e-3)])
def test_a_step_agrees_with_gymnasium_from_500_random_states(speeds, atol):
    rng = np.random.default_rng(0)
    physics = (rng.uniform(-1, 1, (500, 4)) * [np.pi, np.pi, *speeds]).astype(np.float32)
    actions = rng.integers(0, 3, 500)
    states = AcrobotState(jnp.asarray(physics), jnp.zeros(500, jnp.int32))
    keys = jax.random.split(jax.random.key(0), 500)
    ours = jax.vmap(STEP, (0, 0, 0, None))(keys, states, jnp.asarray(actions, jnp.int32), PARAMS)
    theirs = gymnasium.make("Acrobot-v1").unwrapped
    for i in range(500):
        theirs.state = physics[i].astype(np.float64)
        obs, reward, terminated, truncated, _ = theirs.step(actions[i])
        np.testing.assert_allclose(ours.obs[i], obs, rtol=0, atol=atol)
        assert ours.reward[i] == reward
        assert ours.terminated[i] == terminated
        assert ours.truncated[i] == truncated
    assert 50 < int(ours.terminated.sum()) < 450  # both sides of the height were seen


# Each step multiplies the drift a little: 2e-4 is measured in the swing up (82 steps), 1e-5 in the
# swaying (500 steps, low speeds).
@pytest.mark.parametrize(
    ("policy", "length", "atol"),
    [
        pytest.param(lambda i, obs: 2 * int(obs[5] > 0), 82, 2e-3, id="swings up"),
        pytest.param(lambda i, obs: 2 * (i // 5 % 2), 500, 1e-4, id="sways until time is up"),
    ],
)
def test_a_whole_episode_agrees_with_gymnasium(policy, length, atol):
    theirs = gymnasium.make("Acrobot-v1")
    obs, _ = theirs.reset(seed=3)
    state = state_at(theirs.unwrapped.state)
    for i in range(length):
        action = policy(i, obs)
        obs, reward, terminated, truncated, _ = theirs.step(action)
        ours = STEP(jax.random.key(0), state, jnp.int32(action), PARAMS)
        state = ours.state
        np.testing.assert_allclose(ours.obs, obs, rtol=0, atol=atol)
        assert (ours.reward, ours.terminated, ours.truncated) == (reward, terminated, truncated)
    assert ours.terminated | ours.truncated


def test_the_spaces_are_gymnasiums():
    theirs = gymnasium.make("Acrobot-v1")
    ours = Acrobot().observation_space(PARAMS)
    assert ours.shape == theirs.observation_space.shape
    np.testing.assert_array_equal(ours.low, theirs.observation_space.low)
    np.testing.assert_array_equal(ours.high, theirs.observation_space.high)
    assert Acrobot().action_space(PARAMS).n == theirs.action_space.n


@pytest.mark.parametrize(
    ("physics", "torque", "expected"),
    [
        # at rest: i2 = 0.25 + 1, d2 = i2 + 0.5, d1 = 0.25 + 1 + 1 + 0.5 + d2 = 4.5
        # determinant = d1 i2 - d2^2 = 2.5625; a1 = -d2 / 2.5625, a2 = d1 / 2.5625
        ([0, 0, 0, 0], 1, [-0.682927, 1.756098]),
        # stretched out sideways: phi2 = 4.9, phi1 = 1.5 * 9.8 + phi2 = 19.6
        # a1 = (-1.25 * 19.6 + 1.75 * 4.9) / 2.5625, a2 = (1.75 * 19.6 - 4.5 * 4.9) / 2.5625
        ([np.pi / 2, 0, 0, 0], 0, [-6.214634, 4.780488]),
        # bent and turning: d1 = 3.5, d2 = i2 = 1.25, determinant = 2.8125, phi2 = 4.9
        # phi1 = phi2 - 0.5 * 2^2 - 2 * 0.5 * 2 * 1 = 0.9, push2 = -0.5 * 1^2 - phi2 = -5.4
        # a1 = (-1.25 * 0.9 + 1.25 * 5.4) / 2.8125, a2 = (1.25 * 0.9 - 3.5 * 5.4) / 2.8125
        ([0, np.pi / 2, 1, 2], 0, [2.0, -6.32]),
    ],
)
def test_accelerations_are_the_books(physics, torque, expected):
    ours = accelerations(jnp.asarray(physics, jnp.float32), jnp.float32(torque), PARAMS)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_runge_kutta_is_right_to_the_fourth_order():
    # y' = y from 1: 1 + 0.2 + 0.2^2 / 2 + 0.2^3 / 6 + 0.2^4 / 24
    np.testing.assert_allclose(
        runge_kutta(lambda y: y, jnp.ones(1), jnp.float32(0.2)), [1.2214], rtol=1e-6
    )


def test_one_step_by_hand():
    # without gravity and torque, stretched links turn on as they are: theta1 = 3 + 0.2 * 1
    weightless = PARAMS._replace(gravity=np.float32(0.0))
    step = STEP(jax.random.key(0), state_at([3, 0, 1, 0]), jnp.int32(1), weightless)
    expected = [3.2 - 2 * np.pi, 0, 1, 0]  # wrapped
    np.testing.assert_allclose(step.state.physics, expected, atol=1e-6)
    np.testing.assert_allclose(step.obs, [np.cos(3.2), np.sin(3.2), 1, 0, 1, 0], atol=1e-6)


def test_speeds_are_clipped_at_their_limits():
    step = STEP(jax.random.key(0), state_at([2, 1, 12.5, -28]), jnp.int32(0), PARAMS)
    slow = PARAMS._replace(max_vel_1=np.float32(1.0), max_vel_2=np.float32(2.0))
    slowed = STEP(jax.random.key(0), state_at([2, 1, 12.5, -28]), jnp.int32(0), slow)
    np.testing.assert_array_equal(slowed.obs[4:], np.sign(step.obs[4:]) * [1.0, 2.0])


@pytest.mark.parametrize(
    ("angles", "height"),
    [((0, 0), -2), ((np.pi, 0), 2), ((np.pi / 2, np.pi / 2), 1), ((np.pi, np.pi), 0)],
)
def test_the_free_end_is_as_high_as_the_links_reach(angles, height):
    obs = observe(jnp.float32([*angles, 0, 0]))
    np.testing.assert_allclose(tip_height(obs, PARAMS), height, atol=1e-6)


def test_the_step_that_reaches_the_height_is_free_and_terminates():
    up, down = (
        STEP(jax.random.key(0), state_at([theta, 0, 0, 0]), jnp.int32(1), PARAMS)
        for theta in (np.pi, 0)
    )
    assert (up.reward, up.terminated) == (0.0, True)
    assert (down.reward, down.terminated) == (-1.0, False)


def test_the_500th_step_truncates_and_is_no_termination():
    before = STEP(jax.random.key(0), state_at([0, 0, 0, 0], 498), jnp.int32(1), PARAMS)
    last = STEP(jax.random.key(0), before.state, jnp.int32(1), PARAMS)
    assert not before.truncated
    assert last.truncated
    assert not last.terminated


def test_reaching_the_height_with_the_last_step_is_both_as_in_gymnasium():
    theirs = gymnasium.make("Acrobot-v1", max_episode_steps=1)
    theirs.reset(seed=0)
    theirs.unwrapped.state = np.array([np.pi, 0, 0, 0])
    ours = STEP(jax.random.key(0), state_at([np.pi, 0, 0, 0], 499), jnp.int32(1), PARAMS)
    assert (ours.terminated, ours.truncated) == theirs.step(1)[2:4] == (True, True)


def test_resets_are_uniform_within_a_tenth():
    reset = jax.vmap(Acrobot().reset, (0, None))
    obs, state = reset(jax.random.split(jax.random.key(0), 2000), PARAMS)
    assert float(jnp.abs(state.physics).max()) <= 0.1
    np.testing.assert_allclose(state.physics.mean(0), 0, atol=0.005)
    np.testing.assert_allclose(state.physics.std(0), 0.2 / np.sqrt(12), rtol=0.05)
    np.testing.assert_array_equal(obs, jax.vmap(observe)(state.physics))
    assert not state.time.any()


def test_lengths_can_differ_from_copy_to_copy():
    params = PARAMS._replace(link_length_1=jnp.array([1.0, 2.0]))
    axes = AcrobotParams(*[None] * len(PARAMS))._replace(link_length_1=0)
    step = jax.vmap(Acrobot().step, (None, None, None, axes))
    obs = step(jax.random.key(0), state_at([1, 0, 0, 0]), jnp.int32(1), params).obs
    assert obs[0, 4] < obs[1, 4] < 0  # the longer link falls more slowly


def test_the_observation_space_follows_the_speed_limits():
    space = Acrobot().observation_space(PARAMS._replace(max_vel_2=np.float32(3.0)))
    assert (space.low[5], space.high[5]) == (-3.0, 3.0)
