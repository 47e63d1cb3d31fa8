"""Builds the documentation as a site: the pages, an API reference, and the source they link to.

`python docs/build_site.py [FOLDER]` writes FOLDER/html (build/site/html by default).

The site has the layout of the repository, so that a relative link means the same file in both. A
file that is linked to and is not a page gets a page that shows it.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from site_links import problems

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "vibe_rl"

LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[)#])")
LANGUAGES = {".py": "python", ".toml": "toml", ".sh": "bash"}
SHOWN = """\
---
search:
  exclude: true
---

# {name}

~~~~~{language} linenums="1"
{text}
~~~~~
"""
EXPORTS = "`from {package} import` gives {names}.\n"
SOURCE = "[Source](../src/{file}.md)\n"
MODULE = """\
## {name}

{source}
::: {path}
    options:
      heading_level: 3
"""


def main(folder: Path) -> None:
    """Collects all pages below `folder` and has Zensical build them."""
    pages = folder / "pages"
    shutil.rmtree(folder, ignore_errors=True)
    pages.mkdir(parents=True)
    for page in repository_pages():
        copy_page(page, pages)
    for package in documented_modules():
        write(pages / "api" / f"{package.stem}.md", reference(package))
    write(pages / "api" / "README.md", reference_index())
    for module in below(PACKAGE):
        copy_file(module, pages)
    for name in ("zensical.toml", "griffe_fields.py"):
        shutil.copy(ROOT / "docs" / name, folder)
    (folder / "src").symlink_to(ROOT / "src")  # where mkdocstrings looks for docstrings
    subprocess.run([zensical(), "build", "--clean", "--strict"], cwd=folder, check=True)
    found = problems(folder / "html")
    if found:
        sys.exit("\n".join(found))
    print(f"The site begins at {folder / 'html' / 'index.html'}")


def zensical() -> str:
    """The program that belongs to the Python that runs this."""
    return shutil.which("zensical", path=str(Path(sys.executable).parent)) or "zensical"


def repository_pages() -> Iterator[Path]:
    """Every Markdown file that a person reads."""
    for folder in ("", "docs", "bench", "examples"):
        yield from sorted((ROOT / folder).glob("*.md"))


def copy_page(page: Path, pages: Path) -> None:
    """Copies a page with its pictures, and shows the other files that it links to."""

    def linked(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(page.parent / match[1]))
        if "://" in match[1] or target.suffix == ".md" or not target.is_file():
            return match[1]
        return match[1] + copy_file(target, pages)

    write(pages / page.relative_to(ROOT), LINK.sub(linked, page.read_text("utf-8")))


def copy_file(file: Path, pages: Path) -> str:
    """Copies a picture or writes a page that shows a file; returns what its link lacks."""
    copy = pages / file.relative_to(ROOT)
    if file.suffix in (".png", ".svg"):
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
        return ""
    language = LANGUAGES.get(file.suffix, "text")
    name = file.relative_to(PACKAGE if file.is_relative_to(PACKAGE) else ROOT)
    shown = SHOWN.format(name=name, language=language, text=file.read_text("utf-8").rstrip())
    write(copy.with_name(f"{file.name}.md"), shown)
    return ".md"


def write(page: Path, text: str) -> None:
    """Writes a page, and the folders above it."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")


def public_modules(package: Path) -> list[Path]:
    """The modules and packages in a package, by name, that do not begin with an underscore."""
    found = [
        *package.glob("[!_]*.py"),
        *(init.parent for init in package.glob("[!_]*/__init__.py")),
    ]
    return sorted(found, key=lambda path: path.stem)


def documented_modules() -> list[Path]:
    """What the reference has a page for: all but the command line, which has `--help`."""
    return [module for module in public_modules(PACKAGE) if module.stem not in ("cli",)]


def reference(module: Path) -> str:
    """The API page of a module, or of a package and everything below it."""
    if not module.is_dir():
        return f"# {dotted(module)}\n\n{source(module)}\n::: {dotted(module)}\n"
    sections = [section(inner, module) for inner in below(module) if documented(inner)]
    return "\n".join([introduction(module), *sections])


def introduction(package: Path) -> str:
    """A package's docstring, and a link to each name that its `__init__.py` imports for its users.

    There is none where the name is a constant without a docstring.
    """
    docstring = ast.get_docstring(tree(package / "__init__.py"))
    links = [
        f'<autoref optional identifier="{path}">`{name}`</autoref>'
        for name, path in exported(package).items()
    ]
    exports = EXPORTS.format(package=dotted(package), names=", ".join(links)) if links else ""
    return f"# {dotted(package)}\n\n{docstring}\n\n{exports}"


def exported(package: Path) -> dict[str, str]:
    """The names that a package imports for its users, each with where it is defined."""
    return imported(package / "__init__.py")


def imported(file: Path) -> dict[str, str]:
    """The names that a module imports from this library, each with where it is defined."""
    found = {}
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
            module = PACKAGE.parent.joinpath(*str(node.module).split("."))
            homes = exported(module) if module.is_dir() else {}
            if node.names[0].name == "*":
                return imported(module.with_suffix(".py"))
            for name in node.names:
                found[name.name] = homes.get(name.name, f"{node.module}.{name.name}")
    return found


def below(package: Path) -> Iterator[Path]:
    """All modules of a package and of its inner packages."""
    for module in public_modules(package):
        yield from below(module) if module.is_dir() else [module]


def section(module: Path, package: Path) -> str:
    """The part of a package's page that documents one of its modules."""
    name = module.relative_to(package).as_posix()
    return MODULE.format(name=name, source=source(module), path=dotted(module))


def source(module: Path) -> str:
    """A link to the page that shows a module."""
    return SOURCE.format(file=module.relative_to(PACKAGE.parent).as_posix())


def documented(module: Path) -> bool:
    """Whether a module defines anything public."""
    return any(
        not node.name.startswith("_")
        for node in tree(module).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    )


def tree(module: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(module.read_text("utf-8"))


def dotted(module: Path) -> str:
    """The name by which a module is imported."""
    return ".".join(module.relative_to(PACKAGE.parent).with_suffix("").parts)


def reference_index() -> str:
    """What the package itself exports, and a table of all API pages."""
    rows = [introduction(PACKAGE).replace("vibe_rl", "API reference", 1), "| module | holds |"]
    rows.append("| --- | --- |")
    for module in documented_modules():
        file = module / "__init__.py" if module.is_dir() else module
        first_line = (ast.get_docstring(tree(file)) or "").partition("\n")[0]
        rows.append(f"| [{dotted(module)}]({module.stem}.md) | {first_line} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve())
