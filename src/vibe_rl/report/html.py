"""Text as HTML: whatever comes from files is escaped, here and nowhere else."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def safe(value: Any) -> str:
    """The value as HTML, escaped unless it is that already."""
    return value if isinstance(value, Html) else escape(str(value))


def join(parts: Iterable[Any]) -> Html:
    """Several values as HTML, one after another."""
    return Html("".join(map(safe, parts)))


def tag(name: str, *children: Any, **attributes: Any) -> Html:
    """An element; `class_` stands for `class`, underscores for hyphens, None for no attribute."""
    words = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    ]
    return Html(f"<{name}{''.join(words)}>{join(children)}</{name}>")


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]], caption: str) -> Html:
    """A table that scrolls within itself where it is too wide; numbers stand to the right."""
    rows = [list(row) for row in rows]
    right = [any(_is_number(row[i]) for row in rows) for i in range(len(header))]
    classes = ["number" if each else None for each in right]
    columns = zip(header, classes, strict=True)
    head = tag("tr", *(tag("th", cell, scope="col", class_=kind) for cell, kind in columns))
    body = [_row(row, classes) for row in rows]
    whole = tag(
        "table",
        tag("caption", caption, class_="unseen"),
        tag("thead", head),
        tag("tbody", *body),
    )
    return tag("div", whole, class_="wide", tabindex="0", role="region", aria_label=caption)


def _row(row: Sequence[Any], classes: Sequence[str | None]) -> Html:
    cells = [format_number(value) if _is_number(value) else value for value in row]
    first, *others = zip(cells, classes, strict=True)
    name = tag("th", first[0], scope="row", class_=first[1])
    return tag("tr", name, *(tag("td", cell, class_=kind) for cell, kind in others))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def format_number(value: float | int | None) -> str:
    """A number for people: four digits, or all of a whole one."""
    if value is None or not math.isfinite(value):
        return "none" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def duration(seconds: float | int) -> str:
    """A time for people."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def section(title: str, *children: Any, level: int = 2) -> Html:
    """A part of the page with a heading."""
    return tag("section", tag(f"h{level}", title), *children)


def note(text: Any) -> Html:
    """A sentence beside the figures."""
    return tag("p", text, class_="note")
