"""Cells as text for a terminal: escape codes in as many colours as it has, or plain ASCII."""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from vibe_rl.env.pictures.canvas import Colour
from vibe_rl.env.pictures.cells import Cells, Row, Span

RESET = "\x1b[0m"
ASCII = str.maketrans(
    "─│┌┐└┘├┤┬┴┼═║╔╗╚╝╠╣╦╩╬▀▄█▌▐▓▒░▉▊▋▍▎▏·•…←→↑↓",
    "-|+++++++++-|+++++++++######++##+   ...<>^v",
)
"""Letters that have a likeness."""
CUBE = (0, 95, 135, 175, 215, 255)
"""The steps of red, green and blue among xterm's 256 colours."""


class Look(NamedTuple):
    """What a terminal can show."""

    colours: int  # 0, 256 or 2**24
    unicode: bool


PLAIN = Look(0, unicode=False)


def look_of(variables: Mapping[str, str], encoding: str | None) -> Look:
    """What a terminal says of itself in the environment's variables.

    Args:
        variables: `TERM`, `COLORTERM` and `NO_COLOR` (https://no-color.org) are read.
        encoding: of the stream.
    """
    term = variables.get("TERM", "")
    if variables.get("NO_COLOR") or term in ("", "dumb"):
        return PLAIN
    true = variables.get("COLORTERM", "") in ("truecolor", "24bit") or "direct" in term
    return Look(2**24 if true else 256, (encoding or "").lower().replace("-", "") == "utf8")


def encoded(row: Row, look: Look) -> str:
    """A row as text, without a line break."""
    text = "".join(_encoded(span, look) for span in row)
    return text + RESET if look.colours and text else text


def lines(rows: Cells, look: Look = PLAIN) -> list[str]:
    """Each row as text; without colours no spaces stand at their ends."""
    texts = [encoded(row, look) for row in rows]
    return texts if look.colours else [text.rstrip() for text in texts]


def _encoded(span: Span, look: Look) -> str:
    text = span.text if look.unicode else to_ascii(span.text)
    return codes(span.fg, span.bg, span.bold, look.colours) + text if look.colours else text


def to_ascii(text: str) -> str:
    """The text with every letter that is not ASCII replaced by one that is like it, or by `?`."""
    return text.translate(ASCII).encode("ascii", "replace").decode()


@cache
def codes(fg: Colour | None, bg: Colour | None, bold: bool, colours: int) -> str:
    """The escape code that sets a look, whatever was set before."""
    parts = ["0", *(["1"] if bold else [])]
    for colour, first in ((fg, 38), (bg, 48)):
        if colour is not None:
            parts.append(f"{first};{_number(colour, colours)}")
    return f"\x1b[{';'.join(parts)}m"


def _number(colour: Colour, colours: int) -> str:
    if colours > 256:
        return "2;" + ";".join(map(str, colour))
    return f"5;{nearest_color(colour)}"


def nearest_color(colour: Colour) -> int:
    """The number of the most similar of xterm's colours 16 to 255: its cube, and 24 grays."""
    steps = [min(range(6), key=lambda i, x=x: abs(CUBE[i] - x)) for x in colour]
    gray = min(max(round((sum(colour) / 3 - 8) / 10), 0), 23)
    as_gray = (8 + 10 * gray,) * 3
    if _distance(as_gray, colour) < _distance([CUBE[i] for i in steps], colour):
        return 232 + gray
    red, green, blue = steps
    return 16 + 36 * red + 6 * green + blue


def _distance(one: "tuple[int, ...] | list[int]", other: "tuple[int, ...]") -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
