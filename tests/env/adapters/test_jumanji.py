"""Jumanji's environments: masks, time limits told from deaths, last observations, bad input."""

import jax
import numpy as np
import pytest
from suite_contract import assert_sound_in_64_bits, needs, played

from vibe_rl.env import make
from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Discrete, Masked, MultiDiscrete

pytestmark = needs("jumanji")
LIMIT = 4  # env steps


@pytest.fixture(scope="module")
def snakes():
    """32 snakes that go anywhere, also into walls and themselves, for at most LIMIT steps."""
    env, params = make("jumanji:Snake-v1", time_limit=LIMIT, num_rows=4, num_cols=4)
    return jax.device_get(played(env, params, jax.random.key(0), 32, 12))


@pytest.mark.parametrize("name", ["Game2048-v1", "Maze-v0", "Snake-v1"])
def test_types_are_kept_in_64_bit_mode(name):
    assert_sound_in_64_bits(f"jumanji:{name}")


def test_time_that_is_up_truncates_and_the_last_observation_is_kept(snakes):
    ages = snakes.info["final_obs"].view["step_count"]
    np.testing.assert_array_equal(snakes.truncated, ages == LIMIT)
    assert snakes.truncated.any()
    assert (snakes.obs.view["step_count"][snakes.truncated] == 0).all()


def test_a_snake_without_a_way_out_dies():
    env, _ = make("jumanji:Snake-v1", num_rows=4, num_cols=4)
    key, step = jax.random.key(0), jax.jit(env.step)
    state, age, over = jax.jit(env.reset)(key, ())[1], 0, False
    while not over:  # up, into the wall
        after = step(key, state, np.int32(0), ())
        state, age, over = after.state, age + 1, bool(after.terminated | after.truncated)
    assert after.terminated
    assert not after.truncated
    assert after.obs.view["step_count"] == age
    assert age <= 4


def test_the_mask_says_which_actions_are_legal(snakes):
    legal = snakes.obs.legal
    assert legal.shape[2:] == (4,)
    assert legal.any(-1).all()
    assert not legal.all()


def test_a_mask_over_pairs_of_choices_makes_one_choice_of_them():
    env, _ = make("jumanji:Minesweeper-v0")
    assert env.action_space(()) == Discrete(100)
    assert isinstance(env.observation_space(()), Masked)
    np.testing.assert_array_equal(env._action(np.int32(23)), [2, 3])


def test_a_mask_of_several_players_is_shown_beside_the_board():
    env, _ = make("jumanji:Cleaner-v0")
    assert env.action_space(()) == MultiDiscrete((4, 4, 4))
    assert "action_mask" in dict(env.observation_space(()).items)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("Game2049-v1", {}, r"unknown environment of jumanji 'Game2049-v1': .*Game2048-v1"),
        ("Sokoban-v0", {}, r"Sokoban-v0 fetches its levels .*: pass download=True"),
        ("Connector-v3", {}, r"rewards its 10 agents apart: choose"),
        ("Snake-v1", {"colour": 3}, r"jumanji:Snake-v1 cannot be made .*colour.*: check its arg"),
        ("Snake-v1", {"num_rows": {}}, r"num_rows is a dict: give a number"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(name, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make(f"jumanji:{name}", **kwargs)
