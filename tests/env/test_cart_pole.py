"""CartPole: parity with Gymnasium's step, and the numbers of one step by hand."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.env import CartPole, CartPoleParams, CartPoleState
from vibe_rl.env.cart_pole import accelerations, fallen

PARAMS = CartPoleParams()
STEP = jax.jit(CartPole().step)


def state_at(physics, time=0):
    return CartPoleState(jnp.asarray(physics, jnp.float32), jnp.int32(time))


def test_a_step_agrees_with_gymnasium_from_500_random_states():
    rng = np.random.default_rng(0)
    physics = rng.uniform(-1, 1, (500, 4)).astype(np.float32) * np.float32([2.5, 3, 0.25, 3])
    actions = rng.integers(0, 2, 500)
    states = CartPoleState(jnp.asarray(physics), jnp.zeros(500, jnp.int32))
    keys = jax.random.split(jax.random.key(0), 500)
    ours = jax.vmap(STEP, (0, 0, 0, None))(keys, states, jnp.asarray(actions, jnp.int32), PARAMS)
    theirs = gymnasium.make("CartPole-v1").unwrapped
    for i in range(500):
        theirs.state, theirs.steps_beyond_terminated = physics[i].astype(np.float64), None
        obs, reward, terminated, _, _ = theirs.step(actions[i])
        np.testing.assert_allclose(ours.obs[i], obs, rtol=1e-5, atol=1e-5)
        assert ours.reward[i] == reward
        assert ours.terminated[i] == terminated
    assert 100 < int(ours.terminated.sum()) < 400  # both sides of the thresholds were seen


def test_the_spaces_are_gymnasiums():
    theirs = gymnasium.make("CartPole-v1")
    ours = CartPole().observation_space(PARAMS)
    np.testing.assert_allclose(ours.low, theirs.observation_space.low)
    np.testing.assert_allclose(ours.high, theirs.observation_space.high)
    assert CartPole().action_space(PARAMS).n == theirs.action_space.n


def test_an_upright_pole_at_rest_is_pushed_as_the_paper_says():
    # push = 10 / 1.1; theta_acc = -push / (0.5 * (4/3 - 0.1/1.1))
    # x_acc = push - 0.05 * theta_acc / 1.1
    x_acc, theta_acc = accelerations(jnp.zeros(4), jnp.float32(10.0), PARAMS)
    np.testing.assert_allclose(theta_acc, -14.634146, rtol=1e-6)
    np.testing.assert_allclose(x_acc, 9.756098, rtol=1e-6)


def test_positions_move_with_the_old_speeds():
    step = STEP(jax.random.key(0), state_at([1.0, 2.0, 0.1, -3.0]), jnp.int32(1), PARAMS)
    np.testing.assert_allclose(
        step.obs[jnp.array([0, 2])], [1.04, 0.04], rtol=1e-5
    )  # + 0.02 * speed


@pytest.mark.parametrize(
    ("physics", "down"),
    [
        ([2.41, 0, 0, 0], True),
        ([-2.41, 0, 0, 0], True),
        ([2.39, 0, 0, 0], False),
        ([0, 0, 0.2095, 0], True),
        ([0, 0, -0.2095, 0], True),
        ([0, 0, 0.2094, 0], False),
    ],
)
def test_an_episode_terminates_beyond_the_thresholds(physics, down):
    assert bool(fallen(jnp.asarray(physics, jnp.float32), PARAMS)) == down


def test_the_500th_step_truncates_and_is_no_termination():
    before = STEP(jax.random.key(0), state_at([0, 0, 0, 0], 498), jnp.int32(0), PARAMS)
    last = STEP(jax.random.key(0), before.state, jnp.int32(1), PARAMS)
    assert not before.truncated
    assert last.truncated
    assert not last.terminated


def test_resets_are_uniform_within_a_twentieth():
    reset = jax.vmap(CartPole().reset, (0, None))
    obs, state = reset(jax.random.split(jax.random.key(0), 2000), PARAMS)
    assert float(jnp.abs(obs).max()) <= 0.05
    np.testing.assert_allclose(obs.std(0), 0.1 / np.sqrt(12), rtol=0.05)
    assert not state.time.any()


def test_gravity_can_differ_from_copy_to_copy():
    params = PARAMS._replace(gravity=jnp.array([9.8, 1.6]))
    axes = CartPoleParams(*[None] * len(PARAMS))._replace(gravity=0)
    step = jax.vmap(CartPole().step, (None, None, None, axes))
    obs = step(jax.random.key(0), state_at([0, 0, 0.1, 0]), jnp.int32(0), params).obs
    assert obs[0, 3] > obs[1, 3]  # more gravity makes the pole fall faster


def test_bounds_are_static_where_params_are_traced_and_the_widest_of_several_envs():
    spaces = []
    jax.jit(lambda params: spaces.append(CartPole().observation_space(params)))(PARAMS)
    several = PARAMS._replace(x_threshold=np.array([1.0, 5.0], np.float32))
    assert spaces == [CartPole().observation_space(PARAMS)]
    assert CartPole().observation_space(several).high[0] == 10.0
