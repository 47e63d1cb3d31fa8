"""Pictures made of a terminal's cells: rows of coloured text, which need no display.

An environment whose picture is text has a method `draw_cells(state, params)` beside `draw` or
instead of it; every other picture becomes cells by half blocks, two pixels in each.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from vibe_rl.env.pictures.canvas import Colour
from vibe_rl.errors import ConfigError
from vibe_rl.extras import require

UPPER_HALF = "\u2580"
BLOCKS = {UPPER_HALF: (0.0, 0.5), "\u2584": (0.5, 1.0), "\u2588": (0.0, 1.0)}
"""Glyphs that fill a part of their cell, from the top: painted rather than set in a font."""
SHADES = " .:-=+*#%@"
"""From what is like the corner of a picture to what is least like it."""
ON_DARK, DARK = (222, 222, 222), (24, 26, 30)
"""Of text without colours in an image."""
FONT_SIZE = 18  # pixels


class Span(NamedTuple):
    """Text of one look, without line breaks."""

    text: str
    fg: Colour | None = None  # red, green, blue, 0 to 255; None is the terminal's own
    bg: Colour | None = None
    bold: bool = False


Row = tuple[Span, ...]
Cells = tuple[Row, ...]
"""Rows from the top; they may differ in length."""
Picture = Cells | np.ndarray
"""Cells, or an image uint8 `[height, width, 3]`."""


def cells(rows: Iterable[Any]) -> Cells:
    """Rows in any of the forms in which an environment may return them.

    Args:
        rows: each a string, or a sequence of strings, of `Span`s and of tuples with their fields.

    Raises:
        ConfigError: a row is something else, or its text has control characters.
    """
    return tuple(_row(row) for row in rows)


def _row(row: Any) -> Row:
    parts: Any = [row] if isinstance(row, str | Span) else row
    try:
        spans: Row = tuple(Span(x) if isinstance(x, str) else Span(*x) for x in parts)
        sound = all(character.isprintable() for span in spans for character in span.text)
    except (TypeError, AttributeError):
        raise ConfigError(
            f"a row of cells is {row!r}: make it of strings and of (text, fg, bg)."
        ) from None
    if not sound:
        raise ConfigError(f"a row of cells has control characters, {row!r}: one row is one line.")
    return spans


@cache
def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def columns_of(row: Iterable[Span]) -> int:
    """How many columns of a terminal a row takes; wide letters take two."""
    return sum(_columns(character) for span in row for character in span.text)


def width_of(rows: Iterable[Row]) -> int:
    """The columns of the longest row."""
    return max(map(columns_of, rows), default=0)


def cut(row: Iterable[Span], columns: int) -> Row:
    """The beginning of a row that fits into so many columns."""
    kept, left = [], columns
    for span in row:
        text = ""
        for character in span.text:
            left -= _columns(character)
            if left < 0:
                return (*kept, span._replace(text=text)) if text else tuple(kept)
            text += character
        kept.append(span)
    return tuple(kept)


def padded(row: Iterable[Span], columns: int) -> Row:
    """A row of exactly so many columns: cut, or with spaces after it."""
    row = cut(row, columns)
    missing = columns - columns_of(row)
    return (*row, Span(" " * missing)) if missing else row


def fitted(picture: Picture, columns: int, lines: int, colour: bool = True) -> Cells:
    """A picture in cells that has room in so many: an image is scaled, rows are cut.

    Args:
        picture: see `Picture`.
        columns: at most so many, at least one.
        lines: at most so many, at least one.
        colour: whether images are coloured half blocks instead of letters of several darknesses.
    """
    if isinstance(picture, tuple):
        return tuple(cut(row, columns) for row in picture[:lines])
    height, width, _ = picture.shape
    scale = min(columns / width, 2 * lines / height)
    size = max(int(height * scale / 2), 1) * 2, max(int(width * scale), 1)
    image = np.round(resized(picture, size)).astype(np.uint8)
    return half_blocks(image) if colour else shaded(image)


def resized(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> Float[np.ndarray, "H W 3"]:
    """The image with so many rows and columns, each the mean of what it covers."""
    for axis, n in enumerate(size):
        sums = np.cumsum(np.moveaxis(image, axis, 0), 0, dtype=np.float64)
        sums = np.concatenate([np.zeros_like(sums[:1]), sums])
        edges = np.linspace(0, len(sums) - 1, n + 1)
        low = np.minimum(edges.astype(int), len(sums) - 2)
        part = (edges - low)[:, None, None]
        at_edges = sums[low] * (1 - part) + sums[low + 1] * part
        image = np.moveaxis(np.diff(at_edges, axis=0) * n / (len(sums) - 1), 0, axis)
    return image


def half_blocks(image: UInt8[np.ndarray, "h w 3"]) -> Cells:
    """Two pixels in each cell, one above the other; `h` is even."""
    pairs = np.concatenate([image[::2], image[1::2]], -1).tolist()
    return tuple(
        tuple(
            Span(UPPER_HALF * len(list(same)), tuple(pair[:3]), tuple(pair[3:]))
            for pair, same in groupby(line)
        )
        for line in pairs
    )


def shaded(image: UInt8[np.ndarray, "h w 3"]) -> Cells:
    """Letters that are the denser the less a place is like the corner of the image; `h` is even."""
    pairs = (image[::2].astype(float) + image[1::2]) / 2
    difference = np.abs(pairs - image[0, 0]).max(-1)
    shades = np.round(difference / max(difference.max(), 1.0) * (len(SHADES) - 1)).astype(int)
    return tuple((Span("".join(SHADES[shade] for shade in line)),) for line in shades.tolist())


def to_image(rows: Cells) -> UInt8[np.ndarray, "h w 3"]:
    """Cells as an image, light on dark where they have no colours.

    Raises:
        ConfigError: matplotlib, which brings the letters, or Pillow is missing.
    """
    pillow: Any = require("PIL.Image", "plot", "pictures of cells")
    drawing: Any = require("PIL.ImageDraw", "plot", "pictures of cells")
    width, height = _font(bold=False)[1]
    size = max(width_of(rows), 1) * width, max(len(rows), 1) * height
    image = pillow.new("RGB", size, DARK)
    pen = drawing.Draw(image)
    for line, row in enumerate(rows):
        for column, character, span in _placed(row):
            box = (column * width, line * height, _columns(character) * width, height)
            _paint(pen, character, span, box)
    return np.asarray(image)


def _placed(row: Sequence[Span]) -> Iterator[tuple[int, str, Span]]:
    column = 0
    for span in row:
        for character in span.text:
            yield column, character, span
            column += _columns(character)


def _paint(pen: Any, character: str, span: Span, box: tuple[int, int, int, int]) -> None:
    """One cell: its ground, then its glyph."""
    left, top, width, height = box
    if span.bg is not None and width:
        pen.rectangle((left, top, left + width - 1, top + height - 1), fill=span.bg)
    colour = ON_DARK if span.fg is None else span.fg
    if character in BLOCKS:
        begin, end = (top + round(part * height) for part in BLOCKS[character])
        pen.rectangle((left, begin, left + width - 1, end - 1), fill=colour)
    elif not character.isspace():
        pen.text((left, top), character, font=_font(span.bold)[0], fill=colour)


@cache
def _font(bold: bool) -> tuple[Any, tuple[int, int]]:
    """Matplotlib's own font of one width, and the size of its cells in pixels."""
    fonts: Any = require("PIL.ImageFont", "plot", "pictures of cells")
    folder = require("matplotlib", "plot", "pictures of cells").get_data_path()  # type: ignore[attr-defined]
    name = "DejaVuSansMono-Bold.ttf" if bold else "DejaVuSansMono.ttf"
    font = fonts.truetype(str(Path(folder, "fonts", "ttf", name)), FONT_SIZE)
    return font, (round(font.getlength("M")), sum(font.getmetrics()))
