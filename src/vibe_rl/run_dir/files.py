"""Files that are written whole or not at all, and names that are taken or free."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count, takewhile
from pathlib import Path
from typing import Any, BinaryIO

from vibe_rl.errors import ConfigError, shown, writing


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path from the root on: it stays the same when the working directory changes.

    Raises:
        ConfigError: it has bytes that are no letters, which checkpoints and JSON cannot name.
    """
    whole = Path(path).absolute()
    try:
        str(whole).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"{os.fspath(path)!a} is not text in this locale: name another place, or set "
            "PYTHONUTF8=1."
        ) from None
    return whole


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Opens a hidden file that becomes `path` when the block ends, and is removed if it fails.

    Raises:
        ConfigError: the file system refuses to write there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        try:
            with draft.open("wb") as file:
                yield file
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """What a file of JSON says; ConfigError if it is damaged, or holds no names."""
    return record_of(path.read_bytes(), shown(path))


def record_of(text: bytes, what: str) -> dict[str, Any]:
    """The names and values of JSON; ConfigError if `what` has been damaged, or holds none."""
    try:
        found = json.loads(text)
    except ValueError as error:  # of JSON, or of bytes that are no text
        lines = isinstance(error, json.JSONDecodeError) and b"\n" in text.strip()
        where = f" at line {error.lineno}" if lines else ""  # type: ignore[attr-defined]
        raise ConfigError(f"{what} is not valid JSON{where}: repair or remove it.") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{what} holds no names and values: repair or remove it.")
    return found


def numbered_names(stem: str, suffix: str = "", *, first: str = "") -> Iterator[str]:
    """The names `stem`, `stem_2`, `stem_3` and so on, or from `stem_1` on with `first="_1"`."""
    return (f"{stem}{first if n == 1 else f'_{n}'}{suffix}" for n in count(1))


def numbered_files(folder: Path, stem: str, suffix: str = "") -> list[Path]:
    """The paths of these names that are in the folder, up to the first that is not."""
    return list(takewhile(Path.exists, map(folder.joinpath, numbered_names(stem, suffix))))


def first_free(folder: Path, names: Iterable[str]) -> Path:
    """The path of the first of these names that is not in the folder."""
    return next(path for path in map(folder.joinpath, names) if not path.exists())
