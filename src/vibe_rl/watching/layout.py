"""A picture, a panel and a line of keys in a terminal of any size."""

from collections.abc import Sequence
from itertools import zip_longest

from vibe_rl.env.pictures.cells import Cells, Picture, Row, Span, cut, fitted, padded, width_of

PANEL = 40
"""Columns that a panel beside a picture has."""
GAP = 2
NARROWEST = 24
"""Columns of a picture beside a panel."""
LEAST = 4
"""Lines of a picture above a panel."""


def screen(
    picture: Picture | None,
    panel: Sequence[Row],
    foot: str,
    size: tuple[int, int],
    colour: bool = True,
) -> Cells:
    """As many rows as the terminal has lines, none longer than a line.

    Where a panel has no room beside the picture it stands below, and in the smallest terminals the
    picture is left out.

    Args:
        picture: None where there is none.
        panel: the most important rows first.
        foot: the last line.
        size: columns and lines.
        colour: see `fitted`.
    """
    columns, lines = max(size[0], 1), max(size[1], 1)
    body = lines - 1
    if picture is None:
        rows = list(panel)
    elif _fits_beside(picture, columns):
        seen = fitted(picture, columns - PANEL - GAP, max(body, 1), colour)
        rows = _beside(seen, panel)
    else:
        room = body - min(len(panel), body // 2)
        seen = fitted(picture, columns, room, colour) if room >= LEAST else ()
        rows = [*seen, *panel]
    rows = [cut(row, columns) for row in rows[:body]]
    return (*rows, *[()] * (body - len(rows)), cut([Span(foot, bold=True)], columns))


def _fits_beside(picture: Picture, columns: int) -> bool:
    """Images can be as narrow as one likes, rows of text cannot."""
    width = width_of(picture) if isinstance(picture, tuple) else NARROWEST
    return width + GAP + PANEL <= columns


def _beside(left: Cells, right: Sequence[Row]) -> list[Row]:
    """Two blocks of rows next to each other."""
    width = width_of(left) + GAP
    return [(*padded(a, width), *b) for a, b in zip_longest(left, right, fillvalue=())]
