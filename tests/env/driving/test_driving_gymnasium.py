"""Driving as Gymnasium's environment, and as a picture."""

import gymnasium
import jax
import numpy as np
import pytest
from driving_scenes import moved
from gymnasium.utils.env_checker import check_env

from straight_roads import bank
from vibe_rl.env import driving_params
from vibe_rl.env.driving.gymnasium_env import ID, DrivingEnv
from vibe_rl.env.driving.params import with_scenario
from vibe_rl.env.pictures.canvas import BLUE, ORANGE
from vibe_rl.env.pictures.drawing import draw
from vibe_rl.errors import ConfigError

NAME = f"{DrivingEnv.__module__}:{ID}"


@pytest.fixture(scope="module")
def env():
    made = gymnasium.make(NAME, params=driving_params(bank()))
    yield made
    made.close()


def test_gymnasiums_checker_finds_nothing(env):
    check_env(env.unwrapped, skip_render_check=True)


def test_a_seed_draws_the_same_scenario_and_options_name_one(env):
    assert env.reset(seed=3)[1] == env.reset(seed=3)[1]
    assert env.reset(options={"scenario": 2})[1] == {"scenario": 2}
    with pytest.raises(ConfigError, match="from 0 to 3"):
        env.reset(options={"scenario": 9})


def test_an_episode_ends_with_what_it_adds_up_to(env):
    env.reset(options={"scenario": 3})
    count, terminated, truncated, info = 0, False, False, {}
    while not (terminated or truncated):
        *_, terminated, truncated, info = env.step(np.zeros(2, np.float32))
        count += 1
    assert (count, terminated, truncated) == (80, False, True)
    assert info["episode"]["success"] == 1


def test_the_picture_shows_the_ego_in_its_middle_and_others_where_they_are(env):
    env.reset(options={"scenario": 0})
    inner = env.unwrapped
    image = draw(inner.env, inner._state, inner.params)
    assert image.shape == (180, 300, 3)
    assert tuple(image[90, 150]) == ORANGE
    assert tuple(image[90, 150 + 25 * 3]) == BLUE  # 25 m ahead, 3 pixels a metre


def test_in_its_own_frame_the_ego_looks_upwards_wherever_it_looks(env):
    env.reset(options={"scenario": 0})
    inner = env.unwrapped
    images = []
    for angle in (0.0, 2.0):
        params = driving_params(moved(inner.params.scenarios, angle, 30.0, -5.0))
        _, state = inner._reset(jax.random.key(0), with_scenario(params, 0))
        images.append(inner.env.draw(state, params, pov=True).astype(int))
    assert images[0].shape == (300, 180, 3)
    assert tuple(images[0][240, 90]) == ORANGE
    assert tuple(images[0][240 - 25 * 3, 90]) == BLUE
    assert (np.abs(images[0] - images[1]) > 60).mean() < 0.03
