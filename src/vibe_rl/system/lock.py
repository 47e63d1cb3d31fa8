"""One process for one directory of checkpoints."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vibe_rl.errors import ConfigError, writing

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


@contextmanager
def lock_directory(directory: Path) -> Iterator[None]:
    """Keeps other processes from training in `directory`; the lock ends with this process.

    The lock is a hidden file beside the directory, which may not exist yet and may be emptied.

    Raises:
        ConfigError: another process trains there.
    """
    path = directory.absolute()
    with writing(directory):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(f".{path.name}.lock").open("w")
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another process trains in {directory}: wait for it, or stop it."
            ) from None
        yield
