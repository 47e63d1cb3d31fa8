"""The reading order is true: what it sends a reader to look for is in the file it names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGE, README = DOCS / "reading-order.md", DOCS.parent / "README.md"

NAME_OR_FILE = re.compile(r"`(?P<name>[A-Za-z_][\w.]*)`|\]\((?P<file>\.\./src/\S+\.py)\)")
SIX = re.compile(r"^## \d\. .*\]\((\.\./src/\S+\.py)\)", re.MULTILINE)

SIX_FILES = [DOCS / file for file in SIX.findall(PAGE.read_text("utf-8"))]
ALL_FILES = [*(DOCS.parent / "src").rglob("*.py")]


def named(page: str) -> Iterator[tuple[str, str]]:
    """Every name that a page tells to look for, and its file.

    A name belongs to the next file that its paragraph, or its item of a list, links to. Where there
    is none, it belongs to the file of the heading.
    """
    of_heading = ""
    for part in re.split(r"\n\n|\n(?=[*|] )", page):
        names, file = [], ""
        for found in NAME_OR_FILE.finditer(part):
            if found["name"]:
                names.append(found["name"])
            else:
                yield from ((name, found["file"]) for name in names)
                names, file = [], found["file"]
        if part.startswith("#"):
            of_heading = file
        yield from ((name, of_heading) for name in names if of_heading)


def defined(tree: ast.AST, within: str = "") -> Iterator[str]:
    """The names that a file gives to something: also arguments, attributes and keys."""
    for node in ast.iter_child_nodes(tree):
        inside = within
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from {node.name, within + node.name}
            inside = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        elif isinstance(node, ast.arg | ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.Dict | ast.Subscript):
            keys = node.keys if isinstance(node, ast.Dict) else [node.slice]
            yield from (key.value for key in keys if isinstance(key, ast.Constant))
        yield from defined(node, inside)


@pytest.mark.parametrize(("name", "file"), sorted(set(named(PAGE.read_text("utf-8")))))
def test_a_reader_finds_the_name_in_the_file(name, file):
    assert name in set(defined(ast.parse((DOCS / file).read_text("utf-8"))))


def test_names_belong_to_the_next_file_or_to_the_heading():
    page = "# 1. [a](../src/a.py)\n\nSee:\n\n* `One.step`;\n* `Two` in [b](../src/b.py).\n\n`Three`"
    a, b = "../src/a.py", "../src/b.py"
    assert list(named(page)) == [("One.step", a), ("Two", b), ("Three", a)]


def test_a_name_that_a_file_only_uses_is_not_defined_there():
    code = "from b import Two\nclass One:\n    def step(self, x=Two()):\n        return f(x)['key']"
    assert set(defined(ast.parse(code))) == {"One", "One.step", "step", "self", "x", "key"}


@pytest.mark.parametrize(
    ("said", "files"),
    [("six files, about {} lines", SIX_FILES), ("whole library, about {} lines", ALL_FILES)],
)
def test_the_readme_says_how_much_there_is_to_read(said, files):
    text = " ".join(README.read_text("utf-8").split())
    (lines,) = re.findall(said.format(r"([\d,]+)"), text)
    measured = sum(len(file.read_text("utf-8").splitlines()) for file in files)
    assert int(lines.replace(",", "")) == pytest.approx(measured, rel=0.1)


def test_the_afternoon_is_six_files():
    assert len(SIX_FILES) == 6
