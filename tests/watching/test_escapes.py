"""Cells as text: exact escape codes, fewer colours, none at all."""

import pytest

from vibe_rl.env.pictures.cells import Span, cells
from vibe_rl.watching.escapes import PLAIN, Look, encoded, lines, look_of, nearest_color, to_ascii

TRUE = Look(2**24, unicode=True)
ROW = cells([[("a", (1, 2, 3)), ("▀", None, (255, 0, 0), True), "b"]])[0]


def test_each_span_sets_its_whole_look_and_the_row_ends_with_none():
    expected = "\x1b[0;38;2;1;2;3ma\x1b[0;1;48;2;255;0;0m▀\x1b[0mb\x1b[0m"
    assert encoded(ROW, TRUE) == expected
    assert encoded((), TRUE) == ""


def test_with_256_colours_the_nearest_is_named():
    assert (
        encoded(ROW, Look(256, unicode=True))
        == "\x1b[0;38;5;16ma\x1b[0;1;48;5;196m▀\x1b[0mb\x1b[0m"
    )


def test_without_colours_there_are_letters_only():
    assert lines((ROW, (Span("x  "),))) == ["a#b", "x"]
    assert lines((ROW,), Look(0, unicode=True)) == ["a▀b"]


@pytest.mark.parametrize(
    ("colour", "number"),
    [((0, 0, 0), 16), ((255, 255, 255), 231), ((128, 128, 128), 244), ((0, 95, 255), 27)],
)
def test_the_nearest_of_256_colours_is_in_the_cube_or_a_gray(colour, number):
    assert nearest_color(colour) == number


@pytest.mark.parametrize(
    ("variables", "look"),
    [
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, TRUE),
        ({"TERM": "xterm-direct"}, TRUE),
        ({"TERM": "screen"}, Look(256, unicode=True)),
        ({"TERM": "xterm", "COLORTERM": "truecolor", "NO_COLOR": "1"}, PLAIN),
        ({"TERM": "xterm", "NO_COLOR": ""}, Look(256, unicode=True)),
        ({"TERM": "dumb"}, PLAIN),
        ({}, PLAIN),
    ],
)
def test_a_terminal_says_what_it_can_show(variables, look):
    assert look_of(variables, "utf-8") == look


def test_letters_that_an_encoding_lacks_are_replaced():
    assert look_of({"TERM": "xterm"}, "ascii") == Look(256, unicode=False)
    assert to_ascii("┌─┐ → ★") == "+-+ > ?"
