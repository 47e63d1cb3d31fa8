"""Brax's environments: falls told from time limits, last observations, bad input."""

import jax
import numpy as np
import pytest
from suite_contract import assert_sound, assert_sound_in_64_bits, needs, played

from vibe_rl.env import make
from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Box

pytestmark = needs("brax")


@pytest.mark.slow
def test_an_environment_is_sound():
    assert_sound("brax:fast", episode_length=20)


@pytest.mark.slow
def test_types_are_kept_in_64_bit_mode():
    assert_sound_in_64_bits("brax:inverted_pendulum", backend="spring")


@pytest.mark.slow
def test_poles_that_fall_terminate_and_poles_that_stand_are_truncated():
    env, params = make("brax:inverted_pendulum", backend="spring", episode_length=12)
    steps = jax.device_get(played(env, params, jax.random.key(0), 16, 24))
    angle = np.abs(steps.info["final_obs"][..., 1])  # rad
    np.testing.assert_array_equal(steps.terminated, angle > np.float32(0.2))
    done = steps.terminated | steps.truncated
    np.testing.assert_array_equal(steps.truncated[11], ~done[:11].any(0))
    assert steps.terminated.any()
    assert steps.truncated.any()
    assert (np.abs(steps.obs[done]) < 0.1).all()  # the first of the next episode


@pytest.mark.slow
def test_an_action_that_is_repeated_counts_its_steps():
    env, params = make("brax:fast", episode_length=6, action_repeat=3)
    _, state = jax.jit(env.reset)(jax.random.key(0), params)
    step = jax.jit(env.step)
    first = step(jax.random.key(0), state, np.zeros(1, np.float32), params)
    second = step(jax.random.key(0), first.state, np.zeros(1, np.float32), params)
    assert [bool(x.truncated) for x in (first, second)] == [False, True]
    assert not second.terminated


def test_actions_are_numbers_from_minus_one_to_one():
    env, params = make("brax:ant", backend="spring")
    assert env.action_space(params) == Box(-1, 1, (8,))


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("ants", {}, r"unknown environment of brax 'ants': did you mean ant"),
        ("ant", {"backend": "warp"}, r"brax:ant cannot be made .*: check its arguments"),
        ("fast", {"episode_length": 0}, r"episode_length 0: give a whole number"),
        ("fast", {"action_repeat": "two"}, r"action_repeat 'two': give a whole number"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(name, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make(f"brax:{name}", **kwargs)
