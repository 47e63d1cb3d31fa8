"""Picture layers and frame stacks, by pixels and frames one can count."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.env import (
    AutoResetWrapper,
    Box,
    CartPole,
    Dict,
    Discrete,
    FrameStackWrapper,
    GrayscaleWrapper,
    GridWorld,
    Image,
    ImageNormWrapper,
    ImageResizeWrapper,
    Masked,
    MultiBinary,
    MultiDiscrete,
    PixelGridWorld,
    TimeLimitWrapper,
    problems,
)
from vibe_rl.env.wrappers import ObservationWrapper
from vibe_rl.errors import ConfigError
from vibe_rl.types import MaskedObs

KEY = jax.random.key(0)
ROOM = PixelGridWorld(2, cell_px=1)
PARAMS = ROOM.default_params()


@dataclass(frozen=True)
class Mixed(ObservationWrapper):
    """A picture beside a number that tells the position."""

    def observation(self, obs, params):
        return {"picture": obs, "number": obs[:1, :1, 0].astype(jnp.float32).ravel()}

    def observation_space(self, params):
        return Dict({"picture": super().observation_space(params), "number": Box(0, 255, (1,))})


@dataclass(frozen=True)
class Guarded(ObservationWrapper):
    """The observation with a mask of legal actions."""

    def observation(self, obs, params):
        return MaskedObs(obs, jnp.ones(4, bool))

    def observation_space(self, params):
        return Masked(super().observation_space(params), 4)


@partial(jax.jit, static_argnums=0)
def play(env, key=KEY, n_steps=7):
    """Random actions; the first obs, and the steps `[T, ...]`."""
    params = env.default_params()
    reset_key, action_key, key = jax.random.split(key, 3)
    obs, state = env.reset(reset_key, params)
    actions = jax.random.randint(action_key, (7,), 0, env.action_space(params).n)

    def body(state, inputs):
        step = env.step(inputs[0], state, inputs[1], params)
        return step.state, step

    return obs, jax.lax.scan(body, state, (jax.random.split(key, 7), actions))[1]


def test_resizing_doubles_each_pixel_of_a_flat_picture():
    image = jnp.full((2, 2, 3), 200, jnp.uint8)
    resized = ImageResizeWrapper(ROOM, 4, 4).image(image)
    assert resized.dtype == jnp.uint8
    np.testing.assert_array_equal(resized, np.full((4, 4, 3), 200))


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [((2, 4), slice(2, 6), slice(0, 8)), ((4, 2), slice(0, 8), slice(2, 6))],
)
def test_resizing_keeps_the_aspect_ratio_between_black_bars(shape, rows, columns):
    resized = ImageResizeWrapper(ROOM, 8, 8).image(jnp.full((*shape, 1), 255, jnp.uint8))
    expected = np.zeros((8, 8, 1), np.uint8)
    expected[rows, columns] = 255
    np.testing.assert_array_equal(resized, expected)


def test_resizing_interpolates_between_neighbours():
    row = ImageResizeWrapper(ROOM, 1, 4).image(jnp.array([[[0], [100]]], jnp.uint8).repeat(1, 0))
    # 1 x 2 into 1 x 4 keeps its height of 1, so nothing grows: centred with a pixel on each side
    np.testing.assert_array_equal(row[..., 0], [[0, 0, 100, 0]])
    square = ImageResizeWrapper(ROOM, 4, 4).image(jnp.array([[[0], [100]]] * 2, jnp.uint8))
    np.testing.assert_array_equal(square[0, :, 0], [0, 25, 75, 100])


def test_gray_is_the_weighted_sum_of_the_colours():
    colours = jnp.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], jnp.uint8)
    gray = GrayscaleWrapper(ROOM).image(colours)
    assert gray.dtype == jnp.uint8
    np.testing.assert_array_equal(gray[0, :, 0], [76, 150, 29, 255])  # 255 * weight, rounded


def test_normed_pictures_lie_between_minus_one_and_one():
    normed = ImageNormWrapper(ROOM).image(jnp.array([[[0], [51], [255]]], jnp.uint8))
    assert normed.dtype == jnp.float32
    np.testing.assert_allclose(normed[0, :, 0], [-1.0, -0.6, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("env", "space"),
    [
        (ImageResizeWrapper(ROOM, 5, 7), Image(5, 7, 3)),
        (GrayscaleWrapper(ROOM), Image(2, 2, 1)),
        (ImageNormWrapper(ROOM), Box(-1.0, 1.0, (2, 2, 3))),
        (FrameStackWrapper(GrayscaleWrapper(ROOM), 4), Image(2, 2, 4)),
        (FrameStackWrapper(ImageNormWrapper(ROOM), 2), Box(-1.0, 1.0, (2, 2, 6))),
        (FrameStackWrapper(GridWorld(), 3), Box(0.0, 1.0, (3, 2))),
        (GrayscaleWrapper(Guarded(ROOM)), Masked(Image(2, 2, 1), 4)),
        (FrameStackWrapper(Guarded(GridWorld()), 3), Masked(Box(0.0, 1.0, (3, 2)), 4)),
        (
            FrameStackWrapper(ImageNormWrapper(Mixed(ROOM)), 2),
            Dict({"picture": Box(-1.0, 1.0, (2, 2, 6)), "number": Box(0, 255, (2, 1))}),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_spaces_follow_the_observations(env, space):
    params = env.default_params()
    assert env.observation_space(params) == space
    obs, state = env.reset(KEY, params)
    assert space.contains(obs)
    assert space.contains(env.step(KEY, state, jnp.int32(1), params).obs)


def test_the_usual_order_of_layers_is_a_sound_environment():
    env = ImageResizeWrapper(AutoResetWrapper(PixelGridWorld(2, cell_px=4)), 9, 9)
    env = ImageNormWrapper(FrameStackWrapper(GrayscaleWrapper(env), 4))
    assert problems(env) == []


@pytest.mark.parametrize("wrap", [GrayscaleWrapper, ImageNormWrapper])
def test_an_observation_without_pictures_is_refused(wrap):
    with pytest.raises(ConfigError, match="needs pictures"):
        wrap(CartPole()).observation_space(CartPole().default_params())


def test_gray_pictures_cannot_be_made_gray():
    with pytest.raises(ConfigError, match="channels: give GrayscaleWrapper pictures of 3"):
        GrayscaleWrapper(GrayscaleWrapper(ROOM)).observation_space(PARAMS)


def test_a_reset_repeats_its_observation_and_steps_push_the_oldest_out():
    env = FrameStackWrapper(GridWorld(), 3)
    obs, state = env.reset(KEY, PARAMS)
    np.testing.assert_array_equal(obs, np.zeros((3, 2)))
    for action, column in ((1, 0.25), (1, 0.5)):
        step = env.step(KEY, state, jnp.int32(action), PARAMS)
        state = step.state
        assert step.obs[-1, 1] == column
    np.testing.assert_array_equal(step.obs[:, 1], [0, 0.25, 0.5])


def test_channels_of_pictures_are_joined_oldest_first():
    env = FrameStackWrapper(ROOM, 2)
    first, state = env.reset(KEY, PARAMS)
    obs = env.step(KEY, state, jnp.int32(1), PARAMS).obs
    np.testing.assert_array_equal(obs[..., :3], first[..., 3:])
    np.testing.assert_array_equal(obs[0, :, 3], [0, 255])  # red of the newest: agent on the right


@pytest.mark.parametrize("env", [CartPole(), ROOM, Mixed(ROOM)], ids=lambda e: type(e).__name__)
def test_frames_agree_inside_and_outside_auto_reset(env):
    short = TimeLimitWrapper(env, 3)
    inside = play(AutoResetWrapper(FrameStackWrapper(short, 2)))
    outside = play(FrameStackWrapper(AutoResetWrapper(short), 2))
    assert inside[1].truncated.any()
    for seen in (lambda run: run[0], lambda run: run[1].obs, lambda run: run[1].info["final_obs"]):
        jax.tree.map(assert_close, seen(inside), seen(outside))


def assert_close(a, b):
    """Equal but for the rounding of two programs."""
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_no_frame_of_an_episode_is_shown_in_the_next():
    _, steps = play(FrameStackWrapper(AutoResetWrapper(TimeLimitWrapper(CartPole(), 3)), 2))
    np.testing.assert_array_equal(steps.obs[2, 0], steps.obs[2, 1])  # step 3 ended an episode
    np.testing.assert_array_equal(steps.info["final_obs"][2, 0], steps.obs[1, 1])


def test_the_last_stack_of_an_episode_without_auto_reset_is_its_own():
    _, steps = play(FrameStackWrapper(TimeLimitWrapper(CartPole(), 3), 2))
    np.testing.assert_array_equal(steps.obs[2, 0], steps.obs[1, 1])


def test_discrete_observations_stack_to_several_choices():
    stacked = FrameStackWrapper(ROOM, 3)._stacked_space(Discrete(5))
    assert stacked == MultiDiscrete((5, 5, 5))


def test_what_cannot_be_stacked_is_refused():
    with pytest.raises(ConfigError, match="cannot stack MultiBinary"):
        FrameStackWrapper(ROOM, 3)._stacked_space(MultiBinary(2))
    with pytest.raises(ConfigError, match="n_frames 0"):
        FrameStackWrapper(ROOM, 0)
