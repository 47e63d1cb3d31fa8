"""Pictures of environments: shapes with the right area, states in the right place, all layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Counter
from vibe_rl.env import (
    AutoResetWrapper,
    CartPole,
    CartPoleState,
    EpisodeStatisticsWrapper,
    FiveValuedAdapter,
    FrameStackWrapper,
    GridWorld,
    GridWorldState,
    ImageNormWrapper,
    MountainCar,
    MountainCarState,
    ObsNormWrapper,
    Pendulum,
    PendulumState,
    PixelGridWorld,
    RewardScaleWrapper,
    TimeLimitWrapper,
    make,
    names,
)
from vibe_rl.env.pictures.canvas import PAPER, Canvas
from vibe_rl.env.pictures.drawing import can_draw, draw
from vibe_rl.env.precision import SinglePrecisionWrapper
from vibe_rl.errors import ConfigError

BLACK = (0, 0, 0)


def covered(canvas):
    """How much a black shape covers, in units of the scene squared."""
    share = 1 - canvas.pixels[..., 0] / PAPER[0]
    return share.sum() / canvas.scale**2


def middle_of(image, colour):
    """Row and column of the pixels of a colour, on average."""
    return np.argwhere((image == colour).all(-1)).mean(0)


def test_a_circle_covers_pi_r_squared():
    canvas = Canvas(-1, 1, -1, 1, width=200)
    canvas.circle((0.1, -0.2), 0.5, BLACK)
    assert covered(canvas) == pytest.approx(np.pi * 0.25, rel=2e-3)


def test_a_polygon_covers_its_area_however_it_is_turned():
    canvas = Canvas(-1, 1, -1, 1, width=200)
    canvas.polygon([(-0.6, 0), (0, -0.6), (0.6, 0), (0, 0.6)], BLACK)
    assert covered(canvas) == pytest.approx(0.72, rel=2e-3)


def test_a_polygon_that_is_not_convex_leaves_out_its_notch():
    canvas = Canvas(0, 2, 0, 2, width=200)
    canvas.polygon([(0.2, 0.2), (1.8, 0.2), (1.8, 1.8), (1.0, 0.6), (0.2, 1.8)], BLACK)
    assert covered(canvas) == pytest.approx(1.6 * 1.6 - 1.6 * 1.2 / 2, rel=3e-3)


def test_a_line_is_as_wide_as_it_is_said_to_be_with_round_ends():
    canvas = Canvas(-1, 1, -1, 1, width=200)
    canvas.line([(-0.5, -0.3), (0.5, 0.3)], 0.1, BLACK)
    area = 0.1 * np.hypot(1.0, 0.6) + np.pi * 0.05**2
    assert covered(canvas) == pytest.approx(area, rel=5e-3)


def test_what_lies_outside_of_the_picture_is_not_drawn():
    canvas = Canvas(0, 1, 0, 1, width=20)
    canvas.circle((5.0, 0.5), 0.3, BLACK)
    canvas.line([(-3.0, -3.0), (-2.0, -1.0)], 0.1, BLACK)
    assert covered(canvas) == 0


def test_the_upper_left_corner_of_the_scene_is_the_first_pixel():
    canvas = Canvas(0, 2, 0, 1, width=20)
    canvas.box((0, 0.9), (0.1, 1), BLACK)
    assert canvas.image().shape == (10, 20, 3)
    assert canvas.image()[0, 0].tolist() == [0, 0, 0]
    assert canvas.image()[0, 1].tolist() == list(PAPER)


@pytest.mark.parametrize("name", names())
def test_every_built_in_environment_can_be_drawn_and_moves(name):
    env, params = make(name)
    _, first = jax.jit(env.reset)(jax.random.key(0), params)
    picture = draw(env, first, params)
    state, step = first, jax.jit(env.step)
    sample = env.action_space(params).sample
    for action in jax.vmap(sample)(jax.random.split(jax.random.key(1), 9)):
        state = step(jax.random.key(0), state, action, params).state
    assert picture.dtype == np.uint8
    background = picture[0, 0]
    if hasattr(env, "draw"):  # else it is a board of text, on a ground of its own
        assert picture.shape[1] == 300
        background = PAPER
    assert 0.001 < (picture != background).any(-1).mean() < 0.9
    assert (picture != draw(env, state, params)).any()


def test_a_cart_further_right_is_drawn_further_right_to_scale():
    env = CartPole()
    params = env.default_params()
    axle = [
        middle_of(
            draw(env, CartPoleState(np.float32([x, 0, 0, 0]), np.int32(0)), params), (59, 110, 176)
        )
        for x in (-1.2, 1.2)
    ]
    row, column = axle[1] - axle[0]
    assert row == 0
    assert column == pytest.approx(2.4 * 300 / (2 * 1.15 * 2.4), abs=0.6)


def test_a_pole_that_leans_right_and_a_pendulum_that_leans_left_are_drawn_so():
    leaning = CartPoleState(np.float32([0, 0, 0.2, 0]), np.int32(0))
    pole = draw(CartPole(), leaning, CartPole().default_params())
    turned = PendulumState(np.float32(0.5), np.float32(0), np.int32(0))
    rod = draw(Pendulum(), turned, Pendulum().default_params())
    assert middle_of(pole, (222, 130, 60))[1] > 150
    assert middle_of(rod, (222, 130, 60))[1] < 150


def test_a_car_that_is_at_the_flag_stands_higher_than_one_in_the_valley():
    env = MountainCar()
    rows = [
        middle_of(
            draw(
                env,
                MountainCarState(np.float32(x), np.float32(0), np.int32(0)),
                env.default_params(),
            ),
            (222, 130, 60),
        )[0]
        for x in (-0.52, 0.5)
    ]
    assert rows[1] < rows[0] - 100


def test_an_agent_in_a_row_and_a_column_is_drawn_there():
    env = GridWorld(size=3)
    state = GridWorldState(np.int32([1, 2]), np.int32(0))
    middle = middle_of(draw(env, state, env.default_params()), (59, 110, 176))
    np.testing.assert_allclose(middle, [149.5, 249.5], atol=1)


def piles():
    """Layers of every kind around environments that can be drawn."""
    yield EpisodeStatisticsWrapper(AutoResetWrapper(TimeLimitWrapper(CartPole(), 9)))
    yield FrameStackWrapper(AutoResetWrapper(ObsNormWrapper(CartPole())), 2)
    yield SinglePrecisionWrapper(RewardScaleWrapper(CartPole(), 2.0))
    yield FrameStackWrapper(ImageNormWrapper(PixelGridWorld()), 3)
    yield AutoResetWrapper(FiveValuedAdapter(CartPole()))


@pytest.mark.parametrize("env", list(piles()))
def test_layers_show_what_the_environment_below_draws(env):
    params = env.default_params()
    _, state = env.reset(jax.random.key(0), params)
    layer, inner, inner_params = env, state, params
    while hasattr(layer, "env"):
        inner, inner_params = layer.inner_state(inner), layer.inner_params(inner_params)
        layer = layer.env
    picture = layer.draw(inner, inner_params)
    assert can_draw(env)
    np.testing.assert_array_equal(draw(env, state, params), picture)


class Wrong(CartPole):
    """Draws numbers that are no picture."""

    def draw(self, state, params):
        return jnp.zeros((3, 3))


def test_an_environment_without_a_picture_says_what_to_add():
    env = AutoResetWrapper(Counter())
    assert not can_draw(env)
    with pytest.raises(ConfigError, match="Counter has no picture: give its class a method draw"):
        draw(env, None, env.default_params())


def test_a_drawing_that_is_no_picture_is_refused():
    with pytest.raises(ConfigError, match=r"draw of Wrong returns float32\[3, 3\]: return uint8"):
        draw(Wrong(), None, None)
