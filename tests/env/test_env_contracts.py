"""What every registered environment promises, bare and wrapped."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.env import (
    AutoResetWrapper,
    CartPole,
    EpisodeStatisticsWrapper,
    FrameStackWrapper,
    GridWorld,
    TimeLimitWrapper,
    make,
    names,
    problems,
)
from vibe_rl.env.adapters import suites
from vibe_rl.env.checks.checker import examine

BUILT_IN = (
    "Acrobot-v1",
    "CartPole-v1",
    "Driving-v0",
    "GridWorld-v0",
    "HackMatrix-v0",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "PixelGridWorld-v0",
)


LARGE = ("Driving-v0", "HackMatrix-v0")
"""A step of them, not compiled, is a thousand small programs."""


OF_SUITES = (
    "gymnax:CartPole-v1",
    "jumanji:Game2048-v1",
    "pgx:minatar-breakout",
    "xminigrid:MiniGrid-Empty-5x5",
)
"""One of each suite, of those that compile fast; tests/env/adapters has the others."""


def tried():
    """Names; a test of a suite that is not installed is skipped, and says so."""
    there = suites.installed()
    missing = {name: name.partition(":")[0] for name in OF_SUITES}
    missing = {name: suite for name, suite in missing.items() if suite not in there}
    return [
        pytest.param(name, marks=pytest.mark.skipif(name in missing, reason=f"{name} is not there"))
        for name in (*names(), *OF_SUITES)
    ]


@pytest.fixture(scope="module", params=tried())
def env_and_params(request):
    """For the whole file, so that the tests of an env follow one another and share programs."""
    return make(request.param)


@partial(jax.jit, static_argnums=0)
def rollout(env, params, key, n_steps=24):
    """Random actions in one scan: first obs and state, actions, steps `[T, ...]`."""
    reset_key, action_key, step_key = jax.random.split(key, 3)
    obs, state = env.reset(reset_key, params)
    sample = env.action_space(params).sample
    actions = jax.vmap(sample)(jax.random.split(action_key, n_steps))

    def body(state, inputs):
        key, action = inputs
        step = env.step(key, state, action, params)
        return step.state, step

    _, steps = jax.lax.scan(body, state, (jax.random.split(step_key, n_steps), actions))
    return obs, state, actions, steps


def assert_equal(a, b, **tolerance):
    jax.tree.map(partial(np.testing.assert_allclose, **tolerance), a, b)


def test_the_built_in_names_are_registered():
    assert set(BUILT_IN) <= set(names())


def test_check_env_finds_nothing_and_notes_only_that_grid_worlds_start_alike(env_and_params):
    report = examine(*env_and_params)
    assert report.problems == []
    assert bool(report.notes) == isinstance(env_and_params[0], GridWorld)


def test_check_env_finds_nothing_wrong_with_a_pile_of_layers():
    env = EpisodeStatisticsWrapper(TimeLimitWrapper(CartPole(), 7))
    assert problems(FrameStackWrapper(AutoResetWrapper(env), 2)) == []


def test_all_observations_and_actions_of_a_rollout_lie_in_their_spaces(env_and_params):
    env, params = env_and_params
    env = AutoResetWrapper(env)
    obs, _, actions, steps = rollout(env, params, jax.random.key(0))
    space = env.observation_space(params)
    assert space.contains(obs)
    assert jax.vmap(space.contains)(steps.obs).all()
    assert jax.vmap(space.contains)(steps.info["final_obs"]).all()
    assert jax.vmap(env.action_space(params).contains)(actions).all()


def test_shapes_and_types_stay_the_same_in_a_scan(env_and_params):
    env, params = env_and_params
    obs, state, _, steps = jax.eval_shape(partial(rollout, env), params, jax.random.key(0))
    for first, later in ((obs, steps.obs), (state, steps.state)):
        aval = jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), first)
        assert aval == jax.tree.map(lambda x: (x.shape[1:], x.dtype, x.weak_type), later)
    assert not any(leaf.weak_type for leaf in jax.tree.leaves((obs, state, steps)))
    assert steps.reward.dtype == jnp.float32
    assert steps.terminated.dtype == steps.truncated.dtype == jnp.bool_


@pytest.mark.parametrize("env_id", [name for name in names() if name not in LARGE])
def test_compiled_is_the_same_as_not_compiled(env_id):
    env, params = make(env_id)
    key, action_key, step_key = jax.random.split(jax.random.key(1), 3)
    _, state = jax.jit(env.reset)(key, params)
    action = env.action_space(params).sample(action_key)
    plain = env.step(step_key, state, action, params)
    assert_equal(plain, jax.jit(env.step)(step_key, state, action, params), rtol=1e-6, atol=1e-6)


def test_many_at_once_are_the_same_as_one_by_one_with_their_own_params(env_and_params):
    env, params = env_and_params
    env = AutoResetWrapper(env)
    keys = jax.random.split(jax.random.key(2), 3)
    several = jax.tree.map(lambda x: np.stack([x, x, x]), params)
    together = jax.device_get(jax.vmap(partial(rollout, env))(several, keys))
    for i, key in enumerate(keys):
        alone = jax.device_get(rollout(env, params, key))
        assert_equal(jax.tree.map(lambda x, i=i: x[i], together), alone, atol=1e-4)


def test_params_are_arrays_on_no_device(env_and_params):
    _, params = env_and_params
    assert all(isinstance(leaf, (np.ndarray, np.generic)) for leaf in jax.tree.leaves(params))


def test_no_key_is_used_twice(env_and_params):
    env, params = env_and_params
    env = AutoResetWrapper(EpisodeStatisticsWrapper(env))
    with jax.debug_key_reuse(True):  # found while it is traced
        jax.eval_shape(partial(rollout, env), params, jax.random.key(3))


@pytest.mark.parametrize("name", tried())
def test_equal_environments_share_one_hash(name):
    env, again = (AutoResetWrapper(make(name)[0]) for _ in range(2))
    assert env == again
    assert hash(env) == hash(again)
