"""Writing a report: one HTML file that needs no server, no network and no other file."""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from vibe_rl.errors import ConfigError, writing
from vibe_rl.report.html import Html, join, tag
from vibe_rl.report.pages import Detail, Page, comparison_page, page_of, read_subject
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.run_dir.group import AnyPath

MOST_BYTES = 5_000_000
DETAILS = (Detail(), Detail(episodes=False), Detail(episodes=False, metrics=False))
"""From all to the least, for runs of which all would be too much."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load for the page: nothing but what is in it."""


def write_report(paths: Sequence[AnyPath], out: AnyPath | None = None) -> Path:
    """Writes the report of a run, of a group, or of several of them compared.

    Args:
        paths: their directories.
        out: the file; None takes `report.html` in the directory of the only one.

    Returns:
        The file.

    Raises:
        ConfigError: a directory is none of a run, there are several and no `out`, or the file
            cannot be written.
    """
    paths = [RunDir.open(path) for path in paths]
    if not paths:
        raise ConfigError("vibe-rl report needs at least one run: vibe-rl report RUN.")
    if out is None and len(paths) > 1:
        raise ConfigError("several runs have no directory in common: give --out FILE.")
    target = paths[0].root / "report.html" if out is None else Path(out)
    if target.is_dir():
        raise ConfigError(f"out {os.fspath(target)!r} is a directory: name a file in it.")
    content = make_report(paths)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(target) as file:
        file.write(content)
    return target


def make_report(paths: Sequence[AnyPath]) -> bytes:
    """The whole file, with as much detail as is not too much."""
    content, subjects = b"", [read_subject(path) for path in paths]
    for detail in DETAILS:
        one = len(subjects) == 1
        page = page_of(subjects[0], detail) if one else comparison_page(subjects, detail)
        content = document(page).encode(errors="backslashreplace")
        if len(content) <= MOST_BYTES:
            return content
    raise ConfigError(
        f"the report of {len(paths)} runs would take {len(content):,} bytes: name fewer at once."
    )


def document(page: Page) -> Html:
    """The page as a document."""
    style = (files("vibe_rl.report") / "style.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<link rel="icon" href="data:,">',
        tag("title", page.title),
        f"<style>{style}</style>",
    )
    body = tag("main", tag("h1", page.title), tag("p", page.under, class_="under"), *page.parts)
    whole = tag("html", tag("head", *map(Html, head)), tag("body", body), lang="en")
    return join([Html("<!doctype html>\n"), whole, Html("\n")])
