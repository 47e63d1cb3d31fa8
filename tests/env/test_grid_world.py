"""GridWorld and its picture: walls, goal, rewards, pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.env import GridWorld, GridWorldParams, PixelGridWorld
from vibe_rl.errors import ConfigError

PARAMS = GridWorldParams()
KEY = jax.random.key(0)
UP, RIGHT, DOWN, LEFT = range(4)


def play(env, actions):
    """The steps of an episode, as a list."""
    _, state = env.reset(KEY, PARAMS)
    step, steps = jax.jit(env.step), []
    for action in actions:
        steps.append(step(KEY, state, jnp.int32(action), PARAMS))
        state = steps[-1].state
    return steps


@pytest.mark.parametrize(
    ("action", "cell"), [(UP, [1, 2]), (RIGHT, [2, 3]), (DOWN, [3, 2]), (LEFT, [2, 1])]
)
def test_actions_move_one_cell(action, cell):
    steps = play(GridWorld(), [RIGHT, RIGHT, DOWN, DOWN, action])
    np.testing.assert_array_equal(steps[-1].state.position, cell)
    np.testing.assert_allclose(steps[-1].obs, np.array(cell) / 4)


def test_walls_stop_the_agent():
    steps = play(GridWorld(3), [UP, LEFT, DOWN, DOWN, DOWN, DOWN])
    positions = [step.state.position.tolist() for step in steps]
    assert positions == [[0, 0], [0, 0], [1, 0], [2, 0], [2, 0], [2, 0]]


def test_the_shortest_way_returns_0_93_and_terminates_at_the_goal_only():
    steps = play(GridWorld(), [RIGHT] * 4 + [DOWN] * 4)
    assert [bool(step.terminated) for step in steps] == [False] * 7 + [True]
    np.testing.assert_allclose(sum(step.reward for step in steps), 0.93, rtol=1e-6)
    assert not any(step.truncated for step in steps)


def test_the_100th_step_truncates():
    _, state = GridWorld().reset(KEY, PARAMS)
    step = GridWorld().step(KEY, state._replace(time=jnp.int32(99)), jnp.int32(UP), PARAMS)
    assert step.truncated
    assert not step.terminated


def test_the_picture_shows_a_white_agent_and_a_green_goal_on_black():
    image, _ = PixelGridWorld().reset(KEY, PARAMS)
    expected = np.zeros((40, 40, 3), np.uint8)
    expected[32:, 32:] = (0, 255, 0)
    expected[:8, :8] = 255
    assert image.dtype == jnp.uint8
    np.testing.assert_array_equal(image, expected)


def test_the_agent_is_drawn_over_the_goal_and_by_row_and_column():
    steps = play(PixelGridWorld(2, cell_px=1), [RIGHT, DOWN])
    np.testing.assert_array_equal(steps[0].obs[..., 0], [[0, 255], [0, 0]])
    np.testing.assert_array_equal(steps[1].obs[..., 0], [[0, 0], [0, 255]])


@pytest.mark.parametrize("fields", [{"size": 1}, {"cell_px": 0}])
def test_a_room_without_a_way_is_refused(fields):
    with pytest.raises(ConfigError, match=r": give at least"):
        PixelGridWorld(**fields)
