"""The directory of a run's checkpoints: free, or resumed from, or emptied."""

import os
import shutil
from functools import partial
from pathlib import Path

from vibe_rl.checkpoint.format import saved_steps
from vibe_rl.checkpoint.manager import CheckpointManager, Merit
from vibe_rl.errors import CheckpointExistsError, ConfigError, shown, writing
from vibe_rl.system.lock import LOCK
from vibe_rl.system.processes import run_on_first


def initialize_checkpoint_dir(  # noqa: PLR0913 - keyword arguments of a public function
    directory: str | Path,
    *,
    keep_period: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    max_to_keep: int | None = 1,
    save_interval_steps: int = 1,
    async_timeout_secs: int | None = 7200,
    best_fn: Merit | None = None,
    best_mode: str = "min",
) -> tuple[CheckpointManager, bool]:
    """A manager for a directory, and whether there is a checkpoint in it to resume from.

    | in the directory | neither | `resume` | `overwrite`, or both |
    | --- | --- | --- | --- |
    | nothing | new | new | new |
    | files, no checkpoint | refused | new | emptied |
    | checkpoints | refused | resumed | emptied |

    Raises:
        CheckpointExistsError: something is there, and neither `resume` nor `overwrite` is given.
        ConfigError: to empty it would delete more than checkpoints; see `check_may_be_emptied`.
    """
    path = Path(directory).absolute()
    check_free(path, resume, overwrite)
    run_on_first(partial(make_directory, path, overwrite))
    manager = CheckpointManager(
        path,
        max_to_keep=max_to_keep,
        keep_period=keep_period,
        save_interval_steps=save_interval_steps,
        async_timeout_secs=async_timeout_secs,
        best_fn=best_fn,
        best_mode=best_mode,
    )
    return manager, resume and bool(saved_steps(path))


def make_directory(path: Path, overwrite: bool) -> None:
    """Creates the directory, and empties it first if it may be overwritten."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        for each in contents(path) if overwrite else []:
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()


def contents(path: Path) -> list[Path]:
    """What is in a directory, but for the lock of the process that trains there."""
    return [each for each in path.iterdir() if each.name != LOCK]


def check_free(directory: str | Path, resume: bool, overwrite: bool) -> None:
    """Raises an error if the directory is not empty and neither `resume` nor `overwrite` is set.

    Raises:
        CheckpointExistsError: there is something.
        ConfigError: it is a file, or more than checkpoints is in it and is to be deleted.
    """
    path = Path(directory)
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{shown(path)} is a file: name a directory for checkpoints.")
    if path.exists() and overwrite:
        check_may_be_emptied(path)
    if path.exists() and contents(path) and not (resume or overwrite):
        raise CheckpointExistsError(
            f"{shown(path)} is not empty: pass resume=True to resume from it, or overwrite=True to "
            "delete what is there."
        )


def check_may_be_emptied(path: Path) -> None:
    """Raises ConfigError for a directory in which one works or lives, or that holds runs."""
    whole, home = path.resolve(), Path(os.path.expanduser("~"))
    holds_runs = any((folder / "logs").is_dir() for folder in (path, *path.iterdir()))
    if holds_runs or any(place.is_relative_to(whole) for place in (Path.cwd(), home.resolve())):
        raise ConfigError(
            f"overwrite would delete all of {shown(path)}, which holds more than checkpoints: name "
            "a directory of checkpoints alone."
        )
