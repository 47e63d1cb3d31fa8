"""What is wrong with a built site: dead links, missing files, and what other hosts would serve.

A link of a reader's (`<a href>`) may leave the site; nothing that a browser loads by itself may.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from typing_extensions import override

LOADED = {("link", "href"), ("object", "data"), ("use", "href"), ("use", "xlink:href")}
CSS = re.compile(r"url\(\s*['\"]?(?P<url>[^'\")]+)|@import\s+['\"](?P<imported>[^'\"]+)")
OUTBOUND = ("http", "https", "mailto")


class Reference(NamedTuple):
    """What a page or a style sheet points to."""

    target: str
    loaded: bool  # by the browser, without a click


class Page(HTMLParser):
    """The references of an HTML page, and the anchors one can link to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[Reference] = []
        self._in_style = False
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        for name, value in attrs:
            self._attribute(tag, name, value or "")

    @override
    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    @override
    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.references += styled(data)

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name in ("id", "name"):
            self.anchors.add(value)
        elif name in ("src", "poster") or (tag, name) in LOADED:
            self.references.append(Reference(value, loaded=True))
        elif name == "srcset":
            parts = (part.split()[0] for part in value.split(",") if part.strip())
            self.references += [Reference(part, loaded=True) for part in parts]
        elif name == "style":
            self.references += styled(value)
        elif name == "href":
            self.references.append(Reference(value, loaded=False))


def styled(css: str) -> list[Reference]:
    """The files that a style asks for."""
    return [
        Reference(found["url"] or found["imported"], loaded=True) for found in CSS.finditer(css)
    ]


def problems(site: Path) -> list[str]:
    """One line for everything that is wrong with the site in this folder."""
    pages = {page: Page(page.read_text("utf-8")) for page in sorted(site.rglob("*.html"))}
    found = {page: read.references for page, read in pages.items()}
    found |= {sheet: styled(sheet.read_text("utf-8")) for sheet in site.rglob("*.css")}
    anchors = {page: read.anchors for page, read in pages.items()}
    return [
        f"{file.relative_to(site)}: {problem}"
        for file, references in found.items()
        for reference in dict.fromkeys(references)
        for problem in _problems_of(reference, file, site, anchors)
    ]


def _problems_of(
    reference: Reference, file: Path, site: Path, anchors: dict[Path, set[str]]
) -> Iterator[str]:
    url = urlsplit(reference.target)
    if url.netloc or url.scheme:
        yield from _problems_outside(reference, url.scheme)
        return
    target = _target(unquote(url.path), file, site)
    if not target.is_file() or not target.is_relative_to(site):
        yield f"{reference.target} leads nowhere"
    elif target in anchors and url.fragment and unquote(url.fragment) not in anchors[target]:
        yield f"{reference.target} has no such anchor"


def _problems_outside(reference: Reference, scheme: str) -> Iterator[str]:
    if reference.loaded and scheme != "data":
        yield f"{reference.target} would be loaded from another host"
    elif not reference.loaded and scheme not in OUTBOUND:
        yield f"{reference.target} is not a link for other people"


def _target(path: str, file: Path, site: Path) -> Path:
    if not path:
        return file
    target = (site / path.lstrip("/") if path.startswith("/") else file.parent / path).resolve()
    return target / "index.html" if target.is_dir() else target
