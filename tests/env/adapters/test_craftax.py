"""Craftax's environments: deaths, time limits, last observations, bad input."""

import jax
import numpy as np
import pytest
from suite_contract import assert_sound, assert_sound_in_64_bits, needs

from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.errors import ConfigError

pytestmark = needs("craftax")
CLASSIC = "craftax:Craftax-Classic-Symbolic-v1"


@pytest.fixture(scope="module")
def ends():
    """The last step of three episodes: in mid-life, out of health, out of time."""
    env, params = make(CLASSIC, max_timesteps=100)
    obs, state = jax.jit(env.reset)(jax.random.key(0), params)
    step, key, noop = jax.jit(AutoResetWrapper(env).step), jax.random.key(1), np.int32(0)
    starved = state.replace(player_health=state.player_health * 0)
    old = state.replace(timestep=state.timestep + 99)
    return obs, [jax.device_get(step(key, x, noop, params)) for x in (state, starved, old)]


@pytest.mark.slow
def test_an_environment_is_sound():
    assert_sound(CLASSIC)


@pytest.mark.slow
def test_types_are_kept_in_64_bit_mode():
    assert_sound_in_64_bits(CLASSIC)


@pytest.mark.slow
def test_deaths_terminate_and_time_that_is_up_truncates(ends):
    flags = [(bool(step.terminated), bool(step.truncated)) for step in ends[1]]
    assert flags == [(False, False), (True, False), (False, True)]


@pytest.mark.slow
def test_the_last_observation_is_of_the_same_world(ends):
    first, (mid, _, last) = ends
    np.testing.assert_array_equal(mid.obs, mid.info["final_obs"])
    changed = [(last.info["final_obs"] != first).mean(), (last.obs != first).mean()]
    assert changed[0] < changed[1] / 2  # obs is of the next world


@pytest.mark.slow
def test_achievements_are_said_of_the_episode(ends):
    said = ends[1][2].info["episode"]
    assert said["achievements/collect_wood"] == 0
    assert len(said) == 22


def test_numbers_are_params_on_no_device():
    params = make(CLASSIC, max_timesteps=5.0)[1]
    assert all(isinstance(x, np.generic | np.ndarray) for x in jax.tree.leaves(params))
    assert (params.max_timesteps, params.max_timesteps.dtype) == (5, np.int32)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("Craftax-Simbolic-v1", {}, r"unknown environment of craftax .*Craftax-Symbolic-v1"),
        ("Craftax-Classic-Symbolic-v1", {"day": 3}, r"unknown argument of craftax:.* 'day'"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(name, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make(f"craftax:{name}", **kwargs)
