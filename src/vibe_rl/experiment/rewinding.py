"""Going back to an earlier checkpoint of a run: what came after it is moved aside, never deleted.

    RUN/set_aside_after_step_N/   checkpoints/step_M  params_K.npz  metrics.jsonl  wandb_id.txt ...

A kill at any moment leaves a run that resumes: at its latest checkpoint that is still in place.
"""

import os
import re
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from vibe_rl.checkpoint import load_metadata, saved_steps
from vibe_rl.errors import ConfigError, shown, writing
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import first_free, numbered_names
from vibe_rl.run_dir.group import AnyPath
from vibe_rl.run_dir.notes import HEALTH, rewind_sessions
from vibe_rl.runner.resuming import read
from vibe_rl.runner.run import Run
from vibe_rl.runner.session import check_not_past, checkpoints_of
from vibe_rl.system.lock import lock_directory
from vibe_rl.system.processes import run_on_first
from vibe_rl.tracking.jsonl import rewind as rewind_rows
from vibe_rl.tracking.named import branch

CHECKPOINT = re.compile(r"step_(\d+)")
FILES = {
    ".pkl": "is a pickle, which runs code when it is loaded",
    ".npz": "holds what an agent acts with, not what training needs",
    ".zip": "is no run of this library",
}
"""Why a file of a kind cannot be resumed."""


class _Place(NamedTuple):
    """Where to resume: a run, and one of its checkpoints or the latest."""

    run: Path
    step: int | None = None  # env steps; None for the latest


def locate(path: AnyPath) -> _Place:
    """The run, and the checkpoint if `path` is one: RUN or RUN/checkpoints/step_N.

    Raises:
        ConfigError: it is a file, or in a folder of checkpoints and none.
    """
    place = Path(path)
    if place.suffix in FILES:
        raise ConfigError(
            f"{shown(place)} {FILES[place.suffix]}: give RUN or RUN/checkpoints/step_N."
        )
    if place.parent.name != "checkpoints" or (place / "logs").is_dir():  # a folder of runs
        return _Place(place)
    match = CHECKPOINT.fullmatch(place.resolve().name)  # of the link to the best, its target
    if match is None or not place.is_dir():
        raise ConfigError(
            f"{shown(place)} is no checkpoint: give one of {shown(place.parent)}/step_N."
        )
    return _Place(place.parent.parent, int(match[1]))


def go_back(run: Run, run_dir: RunDir, step: int, rewind: bool) -> None:
    """Makes the checkpoint of a step the latest, if it is not.

    Args:
        run: what is to be resumed.
        run_dir: its directory.
        step: of the checkpoint.
        rewind: whether what came after it may be set aside.

    Raises:
        ConfigError: there is no such checkpoint, it cannot be read or resumed, or it is not the
            latest and `rewind` is not given.
    """
    directory = run_dir.checkpoints
    if checkpoints_of(run.config, run_dir) != directory:
        raise ConfigError(
            f"runner.checkpoint_dir {run.config.checkpoint_dir}: a run can go back only among "
            f"checkpoints of its own directory, resume {run_dir}."
        )
    load_metadata(directory, step=step)
    later = [saved for saved in saved_steps(directory) if saved > step]
    if not later:
        return
    if not rewind:
        raise ConfigError(
            f"step_{step} is not the latest checkpoint, which is step_{later[-1]}: add --rewind to "
            f"set what came after it aside, or resume {run_dir}."
        )
    check_not_past(run, step)
    _, error = read(run, directory, step)
    if error is not None:
        raise error
    run_on_first(partial(set_aside_after, run_dir, step))


def set_aside_after(run_dir: RunDir, step: int) -> Path:
    """Moves everything that a run made after an env step into a folder of its directory; that."""
    with ExitStack() as stack, writing(run_dir.root):
        stack.enter_context(lock_directory(run_dir.checkpoints))
        names = numbered_names(f"set_aside_after_step_{step}")
        folder = first_free(run_dir.root, names)
        (folder / "checkpoints").mkdir(parents=True)
        branch(run_dir, step, folder)
        move_params(run_dir, step, folder)
        move_checkpoints(run_dir, step, folder / "checkpoints")
        rewind_sessions(run_dir, step, folder)  # before the rows: a kill between them says "died"
        for name in (run_dir.log_path().name, HEALTH):
            rewind_rows(run_dir.log_path(name), step, folder)
        return folder


def move_checkpoints(run_dir: RunDir, step: int, folder: Path) -> None:
    """Moves the later checkpoints, the latest first: those that stay are what a run had once."""
    for later in reversed(saved_steps(run_dir.checkpoints)):
        if later > step:
            name = f"step_{later}"
            (run_dir.checkpoints / name).rename(folder / name)


def move_params(run_dir: RunDir, step: int, folder: Path) -> None:
    """Moves the files of parameters that belong to later checkpoints."""
    notes = load_metadata(run_dir.checkpoints, step=step)
    for path in run_dir.root.glob("params_*.npz"):
        update = path.stem.removeprefix("params_")
        if update.isdecimal() and int(update) > notes["update"]:
            os.rename(path, folder / path.name)
