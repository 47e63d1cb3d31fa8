"""One process for one directory of checkpoints."""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from vibe_rl.errors import ConfigError, shown, writing
from vibe_rl.system.folders import missing_folders, remove_empty

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    warnings.warn(
        "this system has no fcntl, so runs are not locked: training works, but see that no two "
        "processes train in the same directory.",
        RuntimeWarning,
        stacklevel=2,
    )

LOCK = ".lock"
"""The file in a directory while a process trains there; one that a killed process left is free."""
ASKING = 0.05  # seconds, more than it takes to ask whether a directory is locked


@contextmanager
def lock_directory(directory: Path) -> Iterator[None]:
    """Keeps other processes from training in `directory`; the lock ends with this process.

    The directory is made if it is missing, and removed again if nothing is in it at the end.

    Raises:
        ConfigError: another process trains there.
    """
    path, made = directory.absolute(), missing_folders(directory)
    try:
        with writing(directory):
            file = _acquire(path)
        try:
            yield
        finally:
            _release(file, path)
    finally:
        remove_empty(made)


def _acquire(path: Path) -> IO[bytes]:
    """The file of the lock, which this process holds."""
    while True:
        path.mkdir(parents=True, exist_ok=True)
        file = (path / LOCK).open("ab")
        try:
            _take(file)
        except BlockingIOError:
            file.close()
            raise ConfigError(
                f"another process trains in {shown(path)}: wait for it, or stop it."
            ) from None
        if _is_at(file, path / LOCK):
            return file
        file.close()  # its last owner removed it after this process had opened it


def _take(file: IO[bytes]) -> None:
    """Locks a file; tries again, for who only asks whether it is locked holds it for a moment."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(ASKING)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(directory: Path) -> bool:
    """Whether a process trains in the directory; always false where the system has no locks."""
    if fcntl is None:
        return False
    try:
        with (directory / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is no lock, or none that this user may see
        return False
    return False


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _release(file: IO[bytes], path: Path) -> None:
    """Removes the file while it is held, so that it is never another process's."""
    with file:
        if _is_at(file, path / LOCK):
            with suppress(OSError):
                (path / LOCK).unlink()


@contextmanager
def wait_for_lock(path: Path) -> Iterator[None]:
    """Lets one process at a time into the block; others wait. The file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
