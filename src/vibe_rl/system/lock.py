"""One process for one directory of checkpoints."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vibe_rl.errors import ConfigError, writing


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keeps other processes from training in `directory`; the system lets go when this one ends.

    The lock is a hidden file beside the directory, which may not exist yet and may be emptied.

    Raises:
        ConfigError: another process is at it.
    """
    path = directory.absolute()
    with writing(directory):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(f".{path.name}.lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{directory} is being written by another process that trains: wait for it, or "
                "stop it."
            ) from None
        yield
