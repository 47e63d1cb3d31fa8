"""One process for one run directory."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vibe_rl.errors import ConfigError


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keeps other processes from training in `root`; the system lets go when this one ends.

    Raises:
        ConfigError: another process is at it.
    """
    try:
        file = (root / ".lock").open("w")
    except OSError as error:
        raise ConfigError(f"run {root.name} cannot be written to ({error}): mend that.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"run {root.name} is being trained by another process: wait for it, or stop it."
            ) from None
        yield
