"""XLand-MiniGrid's environments: goals, time limits, last observations, bad input."""

import jax
import numpy as np
import pytest
from suite_contract import assert_sound_in_64_bits, needs, played

from vibe_rl.env import make
from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Board

pytestmark = needs("xminigrid")
GOAL, LIMIT = 6, 12
HERE = (6, 3)  # the agent's own cell


@pytest.fixture(scope="module")
def walks():
    """Random walks in a small room with a goal, started anywhere."""
    env, params = make("xminigrid:MiniGrid-EmptyRandom-5x5", max_steps=LIMIT)
    return jax.device_get(played(env, params, jax.random.key(0), 32, 24))


def test_types_are_kept_in_64_bit_mode():
    assert_sound_in_64_bits("xminigrid:MiniGrid-DoorKey-5x5")


def test_observations_are_boards_of_tiles_and_colours():
    env, params = make("xminigrid:MiniGrid-Empty-5x5", view_size=5)
    space = env.observation_space(params)
    assert isinstance(space, Board)
    assert (space.shape, space.dtype) == ((5, 5, 2), np.uint8)


def test_the_goal_terminates_and_the_last_observation_is_the_one_at_the_goal(walks):
    at_goal = walks.info["final_obs"][..., *HERE, 0] == GOAL
    np.testing.assert_array_equal(walks.terminated, at_goal)
    assert walks.terminated.any()
    assert (walks.reward[walks.terminated] > 0).all()
    assert not (walks.obs[..., *HERE, 0] == GOAL).any()


def test_time_that_is_up_truncates(walks):
    done = walks.terminated | walks.truncated
    age = np.zeros(done.shape[1], int)
    for over, truncated in zip(done, walks.truncated, strict=True):
        age += 1
        np.testing.assert_array_equal(truncated & ~over, False)
        assert (age[truncated] == LIMIT).all()
        assert (age <= LIMIT).all()
        age[over] = 0
    assert (walks.truncated & ~walks.terminated).any()


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("MiniGrid-Emty-5x5", {}, r"unknown environment of xminigrid .*MiniGrid-Empty-5x5"),
        ("XLand-MiniGrid-R1-9x9", {}, r"has no task without a ruleset: pass benchmark, one of"),
        ("XLand-MiniGrid-R1-9x9", {"benchmark": "tiny"}, r"unknown benchmark 'tiny': "),
        ("MiniGrid-Empty-5x5", {"hight": 3}, r"cannot be made .*hight.*: check its arguments"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(name, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make(f"xminigrid:{name}", **kwargs)


def test_a_benchmark_is_not_fetched_unless_one_says_so(monkeypatch, tmp_path):
    from xminigrid import benchmarks  # noqa: PLC0415

    monkeypatch.setattr(benchmarks, "DATA_PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"trivial-21k is not on this disk: pass download=True"):
        make("xminigrid:XLand-MiniGrid-R1-9x9", benchmark="trivial-21k")
