"""Mountain car: parity with Gymnasium's step and episodes, and the numbers of one step by hand."""

from functools import partial

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.env import Discrete, MountainCar, MountainCarContinuous, MountainCarState, make
from vibe_rl.env.mountain_car import at_goal, roll

NAMES = ("MountainCar-v0", "MountainCarContinuous-v0")
PARAMS = MountainCar().default_params()
STEP = partial(jax.jit(MountainCar().step), jax.random.key(0))
CONTINUOUS = MountainCarContinuous().default_params()
STEP_CONTINUOUS = partial(jax.jit(MountainCarContinuous().step), jax.random.key(0))


def state_at(position, velocity, time=0):
    return MountainCarState(jnp.float32(position), jnp.float32(velocity), jnp.int32(time))


def as_action(env, params, value):
    """In the dtype of the space; `value` may be a batch."""
    return jnp.asarray(value, env.action_space(params).dtype)


def random_actions(env, rng, n):
    if isinstance(env, MountainCarContinuous):
        return rng.uniform(-1.5, 1.5, (n, 1)).astype(np.float32)  # also beyond the limit
    return rng.integers(0, 3, n)


# Half a unit in the last place is 6e-8 m for a position and 4e-9 m/step for a velocity. Rounding is
# all that differs, so a few of them are allowed.
@pytest.mark.parametrize("name", NAMES)
def test_a_step_agrees_with_gymnasium_from_500_random_states(name):
    env, params = make(name)
    rng = np.random.default_rng(0)
    low, high = env.observation_space(params).low, env.observation_space(params).high
    physics = rng.uniform(low, high, (500, 2)).astype(np.float32)
    actions = random_actions(env, rng, 500)
    states = MountainCarState(*jnp.asarray(physics.T), jnp.zeros(500, jnp.int32))
    keys = jax.random.split(jax.random.key(0), 500)
    step = jax.jit(jax.vmap(env.step, (0, 0, 0, None)))
    ours = step(keys, states, as_action(env, params, actions), params)
    theirs = gymnasium.make(name).unwrapped
    for i in range(500):
        theirs.state = physics[i].astype(np.float64)
        obs, reward, terminated, truncated, _ = theirs.step(actions[i])
        assert (np.abs(ours.obs[i] - obs) <= [2e-7, 2e-8]).all()
        np.testing.assert_allclose(ours.reward[i], reward, rtol=1e-6, atol=1e-7)
        assert ours.terminated[i] == terminated
        assert ours.truncated[i] == truncated
    assert 10 < int(ours.terminated.sum()) < 490  # both sides of the goal were seen
    assert (ours.obs[:, 0] == low[0]).any()  # and so was the wall


def pump(i, obs):
    """Push the way the car goes, which carries it to the goal."""
    return 1.0 if obs[1] >= 0 else -1.0


# The valley forgives: a rounding does not grow. 4e-7 is measured over the longest episode.
@pytest.mark.parametrize(
    ("name", "policy", "length"),
    [
        ("MountainCar-v0", pump, 114),
        ("MountainCar-v0", lambda i, obs: 0.0, 200),
        ("MountainCarContinuous-v0", pump, 109),
        ("MountainCarContinuous-v0", lambda i, obs: np.sin(i / 7), 999),
    ],
)
def test_a_whole_episode_agrees_with_gymnasium(name, policy, length):
    env, params = make(name)
    theirs, step = gymnasium.make(name), jax.jit(env.step)
    obs, _ = theirs.reset(seed=3)
    theirs.unwrapped.state, state = obs, state_at(*obs)  # from where float32 can begin as well
    for i in range(length):
        throttle = policy(i, obs)
        discrete = isinstance(env.action_space(params), Discrete)
        action = int(throttle) + 1 if discrete else np.float32([throttle])
        obs, reward, terminated, truncated, _ = theirs.step(action)
        ours = step(jax.random.key(0), state, as_action(env, params, action), params)
        state = ours.state
        assert (np.abs(ours.obs - obs) <= [2e-6, 2e-7]).all()
        np.testing.assert_allclose(ours.reward, reward, rtol=1e-6, atol=1e-7)
        assert (ours.terminated, ours.truncated) == (terminated, truncated)
    assert ours.terminated | ours.truncated


@pytest.mark.parametrize("name", NAMES)
def test_the_spaces_are_gymnasiums(name):
    env, params = make(name)
    theirs = gymnasium.make(name)
    ours = env.observation_space(params)
    assert ours.shape == theirs.observation_space.shape
    np.testing.assert_array_equal(ours.low, theirs.observation_space.low)
    np.testing.assert_array_equal(ours.high, theirs.observation_space.high)


def test_the_action_spaces_are_gymnasiums():
    choices, throttles = (gymnasium.make(name).action_space for name in NAMES)
    assert MountainCar().action_space(PARAMS) == Discrete(int(choices.n))
    ours = MountainCarContinuous().action_space(CONTINUOUS)
    assert ours.shape == throttles.shape
    np.testing.assert_array_equal(ours.low, throttles.low)
    np.testing.assert_array_equal(ours.high, throttles.high)


def test_one_step_by_hand():
    # velocity = 0.01 + 0.001 - 0.0025 * cos(0) = 0.0085; position = 0 + 0.0085
    step = STEP(state_at(0, 0.01), jnp.int32(2), PARAMS)
    np.testing.assert_allclose(step.obs, [0.0085, 0.0085], rtol=1e-6)
    assert step.reward == -1.0


def test_one_continuous_step_by_hand():
    # velocity = 0.01 - 0.5 * 0.0015 - 0.0025 * cos(0) = 0.00675; reward = -0.1 * 0.5^2
    step = STEP_CONTINUOUS(state_at(0, 0.01), jnp.float32([-0.5]), CONTINUOUS)
    np.testing.assert_allclose(step.obs, [0.00675, 0.00675], rtol=1e-6)
    np.testing.assert_allclose(step.reward, -0.025, rtol=1e-6)


def test_an_action_beyond_the_limit_costs_more_and_moves_no_faster():
    full, beyond = (
        STEP_CONTINUOUS(state_at(0, 0), jnp.float32([throttle]), CONTINUOUS) for throttle in (1, 3)
    )
    np.testing.assert_array_equal(full.obs, beyond.obs)
    np.testing.assert_allclose([full.reward, beyond.reward], [-0.1, -0.9], rtol=1e-6)


def test_speeds_are_clipped_and_the_left_wall_stops_the_car():
    fast = roll(state_at(0.0, -0.07), jnp.float32(-1.0), PARAMS)
    np.testing.assert_allclose([fast.position, fast.velocity], [-0.07, -0.07], rtol=1e-6)
    stopped = roll(state_at(-1.19, -0.07), jnp.float32(-1.0), PARAMS)
    np.testing.assert_allclose([stopped.position, stopped.velocity], [-1.2, 0.0], rtol=1e-6)
    beyond = roll(state_at(0.59, 0.07), jnp.float32(1.0), PARAMS)
    np.testing.assert_allclose([beyond.position, beyond.velocity], [0.6, 0.07], rtol=1e-6)


@pytest.mark.parametrize(
    ("position", "velocity", "there"),
    [(0.5, 0.0, True), (0.51, 0.01, True), (0.49, 0.07, False), (0.51, -0.01, False)],
)
def test_the_goal_is_reached_going_forwards(position, velocity, there):
    assert bool(at_goal(state_at(position, velocity), PARAMS)) == there


def test_the_goal_pays_100_where_actions_are_continuous_and_nothing_where_they_are_not():
    at_flag = state_at(0.49, 0.05)
    plain = STEP(at_flag, jnp.int32(1), PARAMS)
    assert (plain.reward, plain.terminated) == (-1.0, True)
    step = STEP_CONTINUOUS(at_flag, jnp.ones(1), CONTINUOUS)
    assert step.terminated
    np.testing.assert_allclose(step.reward, 99.9, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_clock_truncates_where_gymnasiums_does(name):
    env, params = make(name)
    limit, action = gymnasium.spec(name).max_episode_steps, as_action(env, params, 0)
    action = jnp.broadcast_to(action, env.action_space(params).shape)
    before = env.step(jax.random.key(0), state_at(-0.5, 0, limit - 2), action, params)
    last = env.step(jax.random.key(0), before.state, action, params)
    assert not before.truncated
    assert last.truncated
    assert not last.terminated


def test_reaching_the_goal_with_the_last_step_is_both_as_in_gymnasium():
    theirs = gymnasium.make("MountainCar-v0", max_episode_steps=1)
    theirs.reset(seed=0)
    theirs.unwrapped.state = (0.49, 0.05)
    ours = STEP(state_at(0.49, 0.05, 199), jnp.int32(1), PARAMS)
    assert (ours.terminated, ours.truncated) == theirs.step(1)[2:4] == (True, True)


@pytest.mark.parametrize("name", NAMES)
def test_resets_are_at_rest_and_uniform_around_the_bottom(name):
    env, params = make(name)
    reset = jax.vmap(env.reset, (0, None))
    obs, state = reset(jax.random.split(jax.random.key(0), 2000), params)
    np.testing.assert_allclose([obs[:, 0].min(), obs[:, 0].max()], [-0.6, -0.4], atol=0.001)
    np.testing.assert_allclose(obs[:, 0].std(), 0.2 / np.sqrt(12), rtol=0.05)
    assert not obs[:, 1].any()
    assert not state.time.any()


def test_the_observation_space_is_the_widest_of_several_envs():
    params = PARAMS._replace(min_position=np.float32([-1.0, -2.0]), max_speed=np.float32(0.1))
    space = MountainCar().observation_space(params)
    np.testing.assert_allclose(space.low, [-2.0, -0.1])
    np.testing.assert_allclose(space.high, [0.6, 0.1])


def test_bounds_are_static_where_params_are_traced():
    spaces = []
    jax.jit(lambda params: spaces.append(MountainCar().observation_space(params)))(PARAMS)
    assert spaces == [MountainCar().observation_space(PARAMS)]
