"""The site is whole: what `make site` refuses, and that every page can be found in it."""

import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import build_site
import pytest
from site_links import problems

NAV = tomllib.loads((build_site.ROOT / "docs" / "zensical.toml").read_text())["project"]["nav"]
PACKAGES = [
    build_site.PACKAGE,
    *(module for module in build_site.documented_modules() if module.is_dir()),
]

WHOLE = """
<head><link rel="stylesheet" href="style.css"><style>b { color: red }</style></head>
<h1 id="top">A site</h1>
<a href="inner/page.html#there">a page</a> <a href="#top">up</a> <a href="inner/">a folder</a>
<a href="https://example.com/elsewhere">another site</a>
<img src="curve.png"> <img src="data:image/png;base64,AA">
"""
FILES = {
    "index.html": WHOLE,
    "404.html": '<a href="/index.html">start</a>',
    "inner/index.html": "",
    "inner/page.html": '<p id="there">Here. <a href="../index.html">Back</a></p>',
    "style.css": "body { background: url('curve.png') }",
    "curve.png": "",
}


@pytest.fixture
def site(tmp_path) -> Path:
    for name, text in FILES.items():
        build_site.write(tmp_path / name, text)
    return tmp_path


def test_a_whole_site_has_no_problems(site):
    assert problems(site) == []


@pytest.mark.parametrize(
    ("planted", "problem"),
    [
        ('<a href="gone.html">', "gone.html leads nowhere"),
        ('<a href="inner/page.html#gone">', "inner/page.html#gone has no such anchor"),
        ('<a href="#gone">', "#gone has no such anchor"),
        ('<a href="../outside.html">', "../outside.html leads nowhere"),
        ('<a href="file:///home/me/notes.html">', "is not a link for other people"),
        ('<img src="gone.png">', "gone.png leads nowhere"),
        ('<img srcset="curve.png 1x, gone.png 2x">', "gone.png leads nowhere"),
        ('<script src="gone.js"></script>', "gone.js leads nowhere"),
        ('<link rel="stylesheet" href="gone.css">', "gone.css leads nowhere"),
        ('<script src="https://cdn.example.com/x.js"></script>', "loaded from another host"),
        ('<script src="//cdn.example.com/x.js"></script>', "loaded from another host"),
        ('<img src="http://example.com/x.png">', "loaded from another host"),
        ('<iframe src="https://example.com/"></iframe>', "loaded from another host"),
        ('<link rel="preconnect" href="https://fonts.example.com">', "loaded from another host"),
        ("<style>@import 'https://example.com/x.css';</style>", "loaded from another host"),
        ('<p style="background: url(//example.com/x.png)">', "loaded from another host"),
    ],
)
def test_what_is_planted_in_a_page_is_found(site, planted, problem):
    build_site.write(site / "index.html", WHOLE + planted)
    (found,) = problems(site)
    assert found.startswith("index.html: ")
    assert problem in found


@pytest.mark.parametrize(
    ("planted", "problem"),
    [
        ("@font-face { src: url(gone.woff2) }", "gone.woff2 leads nowhere"),
        ('@import "https://example.com/x.css";', "loaded from another host"),
    ],
)
def test_what_is_planted_in_a_style_sheet_is_found(site, planted, problem):
    build_site.write(site / "style.css", planted)
    (found,) = problems(site)
    assert found.startswith("style.css: ")
    assert problem in found


def test_every_page_can_be_reached_by_the_navigation():
    written = {
        page.relative_to(build_site.ROOT).as_posix() for page in build_site.repository_pages()
    }
    generated = {f"api/{module.stem}.md" for module in build_site.documented_modules()}
    listed = list(leaves(NAV))
    assert len(listed) == len(set(listed))
    assert set(listed) == written | generated | {"api/README.md"}


@pytest.mark.parametrize("package", PACKAGES, ids=build_site.dotted)
def test_the_reference_lists_what_a_package_exports(package):
    module = import_module(build_site.dotted(package))
    homes = build_site.exported(package)
    assert sorted(homes) == sorted(getattr(module, "__all__", []))
    for name, home in homes.items():
        where = home.removesuffix(f".{name}")
        assert getattr(import_module(where), name) is getattr(module, name)


def leaves(nav: Any) -> Iterator[str]:
    """The pages of a navigation, at any depth."""
    if isinstance(nav, str):
        yield nav
    else:
        for inner in nav.values() if isinstance(nav, dict) else nav:
            yield from leaves(inner)


def test_a_link_to_a_source_file_leads_to_a_page_that_shows_it(tmp_path, monkeypatch):
    monkeypatch.setattr(build_site, "ROOT", tmp_path)
    monkeypatch.setattr(build_site, "PACKAGE", tmp_path / "src" / "vibe_rl")
    text = "[code](../src/vibe_rl/a.py), [page](b.md#c), [far](https://example.com/d.py)"
    build_site.write(tmp_path / "docs" / "page.md", text)
    build_site.write(tmp_path / "src" / "vibe_rl" / "a.py", "A = 1\n")
    build_site.copy_page(tmp_path / "docs" / "page.md", tmp_path / "pages")
    copied = (tmp_path / "pages" / "docs" / "page.md").read_text()
    assert copied == text.replace("a.py", "a.py.md")
    assert "A = 1" in (tmp_path / "pages" / "src" / "vibe_rl" / "a.py.md").read_text()
