"""NAVIX's environments: goals, time limits, last observations, bad input."""

import jax
import numpy as np
import pytest
from suite_contract import assert_sound, assert_sound_in_64_bits, needs, played

from vibe_rl.env import make
from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Board, Box, Image

pytestmark = needs("navix")
PLAYER, LIMIT = 10, 12


@pytest.fixture(scope="module")
def walks():
    """Random walks in a small room with a goal, started anywhere."""
    env, params = make("navix:Navix-Empty-Random-5x5-v0", max_steps=LIMIT)
    return jax.device_get(played(env, params, jax.random.key(0), 32, 24))


@pytest.mark.slow
def test_an_environment_is_sound():
    assert_sound("navix:Navix-Empty-5x5-v0", max_steps=20)


@pytest.mark.slow
def test_types_are_kept_in_64_bit_mode():
    assert_sound_in_64_bits("navix:Navix-DoorKey-5x5-v0")


@pytest.mark.parametrize(
    ("shown", "space"),
    [
        ("symbolic", Board(0, np.array([10, 5, 3]), (5, 5, 3), np.uint8)),
        ("categorical", Box(-1, 10, (5, 5), np.int32)),
        ("rgb", Image(40, 40, 3)),
    ],
)
def test_observations_are_what_one_asks_for(shown, space):
    env, params = make("navix:Navix-Empty-5x5-v0", observation=shown)
    assert env.observation_space(params) == space


def test_the_goal_terminates_and_the_last_observation_is_the_one_at_the_goal(walks):
    ends = walks.info["final_obs"][walks.terminated]
    assert len(ends)
    assert (walks.reward[walks.terminated] == 1).all()
    np.testing.assert_array_equal((walks.info["final_obs"][..., 0] == PLAYER).sum((-1, -2)), 1)
    moved = (walks.obs[walks.terminated] != ends).any((-1, -2, -3))
    assert moved.all()  # obs is the first of the next episode


def test_time_that_is_up_truncates(walks):
    done = walks.terminated | walks.truncated
    age = np.zeros(done.shape[1], int)
    for over, truncated in zip(done, walks.truncated, strict=True):
        age += 1
        assert (age[truncated] == LIMIT).all()
        assert (age <= LIMIT).all()
        age[over] = 0
    assert (walks.truncated & ~walks.terminated).any()


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("Navix-Emty-5x5-v0", {}, r"unknown environment of navix .*Navix-Empty-5x5-v0"),
        ("Navix-Empty-5x5-v0", {"observation": "rgbd"}, r"unknown observation 'rgbd': .*rgb"),
        ("Navix-Empty-5x5-v0", {"colour": 3}, r"cannot be made .*colour.*: check its arguments"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(name, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make(f"navix:{name}", **kwargs)
