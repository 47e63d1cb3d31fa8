"""Schedules of env_params by name."""

import jax
import numpy as np
import pytest

from vibe_rl.configs.env_schedules import ENV_SCHEDULES, scheduled_params
from vibe_rl.env import make
from vibe_rl.env.hackmatrix.curriculum import phase_at
from vibe_rl.env.hackmatrix.env import HackMatrixParams
from vibe_rl.errors import ConfigError
from vibe_rl.runner.env_params import check_same_shapes, params_at

FULL = HackMatrixParams(kills=np.float32(0.5))


def test_phases_last_three_hundred_updates_and_the_last_is_the_full_game():
    schedule = scheduled_params("hackmatrix_1", FULL)
    assert [phase_at(update) for update in (0, 299, 300, 599, 600, 10_000)] == [1, 1, 2, 2, 3, 3]
    first, second, third = (params_at(schedule, update) for update in (299, 300, 600))
    assert (first.starting_siphons, first.starting_credits, first.transmission_scale) == (
        2,
        3,
        0.375,
    )
    assert second.siphon_death_penalty == -5.0
    assert third == FULL
    assert {first.kills, second.kills} == {np.float32(0.5)}
    assert params_at(scheduled_params("hackmatrix_2", FULL), 300) == FULL
    assert params_at(scheduled_params("hackmatrix_3", FULL), 0) == FULL


def test_schedules_of_one_name_are_equal_so_that_seeds_train_side_by_side():
    assert scheduled_params("hackmatrix_1", FULL) == scheduled_params(
        "hackmatrix_1", FULL._replace()
    )
    assert scheduled_params("hackmatrix_1", FULL) != scheduled_params("hackmatrix_2", FULL)


@pytest.mark.parametrize("name", ENV_SCHEDULES)
def test_params_keep_their_shapes_and_types(name):
    for update in (0, 300, 600):
        check_same_shapes(params_at(scheduled_params(name, FULL), update), FULL, update)


def test_without_a_name_params_stay_and_other_names_and_envs_are_refused():
    _, params = make("CartPole-v1")
    assert scheduled_params(None, params) is params
    with pytest.raises(ConfigError, match="unknown env_schedule 'hackmatrix_4'"):
        scheduled_params("hackmatrix_4", FULL)
    with pytest.raises(ConfigError, match="env_schedule hackmatrix_1 is of another environment"):
        scheduled_params("hackmatrix_1", params)
    assert jax.tree.leaves(params)
