"""Pictures of terminal cells: what environments may return, images as half blocks, and back."""

from dataclasses import dataclass

import jax
import numpy as np
import pytest

from probes import Counter
from vibe_rl.env import AutoResetWrapper, TimeLimitWrapper, can_draw, draw, make, names
from vibe_rl.env.pictures.cells import (
    UPPER_HALF,
    Span,
    cells,
    columns_of,
    cut,
    fitted,
    half_blocks,
    padded,
    resized,
    shaded,
    to_image,
    width_of,
)
from vibe_rl.env.pictures.drawing import picture
from vibe_rl.errors import ConfigError

RED, BLUE = (255, 0, 0), (0, 0, 255)


@dataclass(frozen=True)
class Written(Counter):
    """What is drawn as text only."""

    def draw_cells(self, state, params):
        return [[("time ", RED), str(state.time)], "ab"]


def first_state(env):
    return env.reset(jax.random.key(0), env.default_params())[1]


def test_rows_may_be_strings_spans_and_tuples():
    rows = cells(["a", [("b", RED), Span("c", None, BLUE, True), "d"]])
    expected = (Span("b", RED), Span("c", None, BLUE, True), Span("d"))
    assert rows == ((Span("a"),), expected)


@pytest.mark.parametrize(
    "rows", [["a\nb"], [["\x1b[0m"]], [[("a", RED, BLUE, True, 1)]], [7], [[7]]]
)
def test_what_is_no_row_is_refused(rows):
    with pytest.raises(ConfigError, match="a row of cells"):
        cells(rows)


def test_wide_letters_take_two_columns_and_marks_none():
    row = (Span("a漢e\u0301"),)
    assert columns_of(row) == 4
    assert cut(row, 2) == (Span("a"),)
    assert cut(row, 3) == (Span("a漢"),)
    assert padded(row, 6) == (*row, Span("  "))
    assert columns_of(padded(row, 2)) == 2


def test_an_image_is_two_pixels_to_a_cell_and_equal_ones_share_a_span():
    image = np.array([[RED, RED, BLUE], [BLUE, BLUE, BLUE]], np.uint8)
    assert half_blocks(image) == ((Span(UPPER_HALF * 2, RED, BLUE), Span(UPPER_HALF, BLUE, BLUE)),)


def test_a_resized_image_has_the_means_of_what_each_pixel_covers():
    column = np.array([0, 3, 6, 9], np.uint8)[:, None, None] * np.ones((1, 1, 3), np.uint8)
    assert resized(column, (2, 1))[:, 0, 0] == pytest.approx([1.5, 7.5])
    assert resized(column, (8, 2))[:, 1, 2] == pytest.approx([0, 0, 3, 3, 6, 6, 9, 9])
    # of 4 pixels on 3: a pixel and a third of the next, over 4 / 3
    assert resized(column, (3, 1))[:, 0, 0] == pytest.approx([0.75, 4.5, 8.25])


def test_without_colours_a_place_is_the_denser_the_less_it_is_like_the_corner():
    image = np.array([[250, 250, 130, 10]] * 2, np.uint8)[..., None] * np.ones(3, np.uint8)
    # 120 of 240 levels is the middle of ten shades, 4.5, of which the even one is 4
    assert shaded(image) == ((Span("  =@"),),)


@pytest.mark.parametrize(("columns", "lines", "size"), [(60, 60, (60, 20)), (60, 10, (30, 10))])
def test_an_image_fills_the_room_that_there_is_and_keeps_its_shape(columns, lines, size):
    image = np.zeros((200, 300, 3), np.uint8)
    seen = fitted(image, columns, lines)
    assert (width_of(seen), len(seen)) == size


def test_rows_that_have_no_room_are_cut():
    assert fitted(cells(["abc", "d", "e"]), 2, 2) == cells(["ab", "d"])


def test_cells_as_an_image_have_their_colours_where_they_stand():
    image = to_image(cells([[("  ", None, RED), (UPPER_HALF, BLUE, RED)], "   "]))
    height, width = image.shape[0] // 2, image.shape[1] // 3
    assert (image[:height, : 2 * width] == RED).all()
    assert (image[: height // 2, 2 * width :] == BLUE).all()
    assert (image[height // 2 + 1 : height, 2 * width :] == RED).all()
    assert len(np.unique(image[height:].reshape(-1, 3), axis=0)) == 1


def test_letters_of_an_image_differ_and_are_within_their_cells():
    a, b = (to_image(cells([f" {letter} "])) for letter in "ag")
    third = a.shape[1] // 3
    assert (a != b).any()
    assert (a[:, :third] == a[0, 0]).all()


def test_an_env_that_draws_cells_only_has_them_through_layers_and_an_image_of_them():
    env = AutoResetWrapper(TimeLimitWrapper(Written(), 5))
    state = first_state(env)
    assert can_draw(env)
    seen = picture(env, state, env.default_params())
    assert seen == ((Span("time ", RED), Span("0")), (Span("ab"),))
    assert np.array_equal(draw(env, state, env.default_params()), to_image(seen))


@pytest.mark.parametrize("name", names())
def test_every_env_that_is_drawn_fits_a_terminal(name):
    env, params = make(name)
    assert can_draw(env)
    _, state = jax.jit(env.reset)(jax.random.key(0), params)
    for colour in (True, False):
        rows = fitted(picture(env, state, params), 40, 12, colour)
        assert 0 < width_of(rows) <= 40
        assert 0 < len(rows) <= 12
        assert len({span for row in rows for span in row}) > 1
