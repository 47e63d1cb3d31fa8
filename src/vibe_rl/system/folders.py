"""The working directory, and folders that are removed again where nothing came into them."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def missing_folders(path: str | os.PathLike[str]) -> list[Path]:
    """The folder and those around it, as far as they do not exist; the innermost first."""
    folder = Path(path).absolute()
    return [each for each in (folder, *folder.parents) if not each.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes those of the folders that hold nothing."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def same_directory() -> Iterator[None]:
    """Ends in the working directory in which it began, though an env may have left it."""
    began = os.getcwd()
    try:
        yield
    finally:
        os.chdir(began)
