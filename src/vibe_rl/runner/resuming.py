"""Finding the checkpoint from which a run resumes, and renaming those that it cannot use."""

import base64
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vibe_rl.checkpoint import check_fits, check_free, load_checkpoint, load_metadata, saved_steps
from vibe_rl.errors import ConfigError, DamagedCheckpointError
from vibe_rl.run_dir.files import first_free, numbered_names
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.loop import TrainState
from vibe_rl.runner.rows import Row
from vibe_rl.runner.run import Run
from vibe_rl.system.processes import greatest, run_on_first
from vibe_rl.types import PyTree, static_fields

RUN = "run"
"""What the notes of a run's checkpoint say that it holds."""
CUT = "evaluation_is_cut"
"""The note of whether the evaluation that belongs to a checkpoint is still to be made."""
NO_LONGER_KEPT = (".agent_state.memory.check", ".memory.check")
"""Leaves in checkpoints of version 0.1, of runs and of agents alone, that are not read."""


class Found:
    """A checkpoint to resume from: what its notes say, and its state until that is taken."""

    def __init__(self, state: TrainState, notes: Mapping[str, Any]):
        self._state: TrainState | None = state
        self._holds_replay: bool = notes["replay"]
        self.update: int = notes["update"]
        self.unfinished: list[Row] = [unpack(texts) for texts in notes["unfinished"]]
        self.evaluation_is_cut: bool = notes.get(CUT, False)
        self.diverged: str | None = notes.get("diverged")  # what was not finite, if that was kept

    def take(self, run: Run) -> TrainState:
        """The state, whose memory is the caller's from now on; a replay not saved is empty."""
        state, self._state = self._state, None
        assert state is not None
        if self._holds_replay:
            return state
        return state._replace(agent_state=with_empty_replay(run, state.agent_state))


def with_empty_replay(run: Run, agent_state: PyTree) -> PyTree:
    """The agent with a replay that holds nothing; each device makes the part that it is to hold."""
    fill = run.algorithm.from_portable
    if run.executor.n_devices > 1:
        placed = jax.tree.map(lambda x: x.sharding, run.shapes().agent_state)
        fill = jax.jit(fill, out_shardings=placed)
    return fill(agent_state)


def latest(run: Run, directory: Path, among: Collection[int] | None = None) -> Found | None:
    """Where the run resumes as its config asks; None if it begins anew.

    Args:
        run: see `prepare`.
        directory: of the checkpoints.
        among: the steps from which it may resume; None: all.
    """
    if not run.config.resume or run.config.overwrite:
        return None
    return latest_whole(run, directory, among)


def check_checkpoints(run: Run, directory: str | Path) -> None:
    """Raises ConfigError, before anything is compiled or written, if what is there is in the way.

    Raises:
        CheckpointExistsError: there is something, and neither resume nor overwrite is asked for.
    """
    check_free(directory, run.config.resume, run.config.overwrite)
    if run.config.overwrite or not run.config.resume:
        return
    for step in reversed(saved_steps(directory)):
        with suppress(DamagedCheckpointError):
            notes = check_notes(run, directory, step)
            like = saved_part(run, run.shapes(), notes["replay"])
            with naming_settings(run, notes):
                check_fits(directory, like, step=step, ignore=NO_LONGER_KEPT, notes=notes)
            return


@contextmanager
def naming_settings(run: Run, notes: Mapping[str, Any]) -> Iterator[None]:
    """Names the settings that changed where a checkpoint does not fit, if any did."""
    try:
        yield
    except DamagedCheckpointError:
        raise
    except ConfigError as error:
        saved = notes.get("settings", {}).get("algo", {})
        changes = [
            f"{name} ({saved[name]} saved, {given} expected)"
            for name, given in plain(static_fields(run.algorithm.config)).items()
            if name in saved and saved[name] != given
        ]
        if not changes:
            raise
        changed = ", ".join(changes)
        raise ConfigError(
            f"the checkpoint does not fit, and the config changed at {changed}: resume with what "
            "was saved."
        ) from error


def latest_whole(run: Run, directory: Path, among: Collection[int] | None = None) -> Found | None:
    """The newest checkpoint that is what was saved; None if there is none.

    Damaged ones are renamed, so that the run can save at their steps again.

    Raises:
        DamagedCheckpointError: all are damaged; they are left as they are.
    """
    steps, damaged = saved_steps(directory), []
    for step in reversed(steps if among is None else [step for step in steps if step in among]):
        found, error = read(run, directory, step)
        if greatest(error is not None):
            damaged.append((step, error or unreadable_elsewhere(step)))
            continue
        run_on_first(lambda: set_damaged_aside(directory, damaged))
        return found
    if damaged:
        raise damaged[0][1]
    return None


def unreadable_elsewhere(step: int) -> DamagedCheckpointError:
    """What a process raises that could read a checkpoint which another could not."""
    return DamagedCheckpointError(f"step_{step} cannot be read by all: take an earlier one.")


def read(
    run: Run, directory: Path, step: int
) -> tuple[Found | None, DamagedCheckpointError | None]:
    """A checkpoint, or why it cannot be read."""
    try:
        notes = check_notes(run, directory, step)
        like = saved_part(run, run.shapes(), notes["replay"])
        how = {"ignore": NO_LONGER_KEPT, "notes": notes}
        state = load_checkpoint(directory, like, step=step, **how)
        return Found(state, notes), None
    except DamagedCheckpointError as error:
        return None, error


def set_damaged_aside(directory: Path, damaged: Iterable[tuple[int, Exception]]) -> None:
    """Renames these checkpoints, with a warning for each."""
    for step, error in damaged:
        name = set_aside(directory, step, "damaged")
        warnings.warn(f"{error} It is kept as {name}.", RuntimeWarning, stacklevel=2)


def set_aside(directory: Path, step: int, why: str) -> str:
    """Renames a checkpoint, so that it does not count as one; its new name."""
    path = first_free(directory, numbered_names(f"{why}_step_{step}"))
    (directory / f"step_{step}").rename(path)
    return path.name


def set_later_aside(directory: Path, last: int) -> None:
    """Sets checkpoints later than a step aside: the run that resumes there makes its own."""
    for step in saved_steps(directory):
        if step > last:
            set_aside(directory, step, "later")


def check_notes(run: Run, directory: str | Path, step: int) -> dict[str, Any]:
    """The notes of a checkpoint; ConfigError if it is not of such a run."""
    notes, name = load_metadata(directory, step=step), type(run.algorithm).__name__
    if notes.get("holds") != RUN:
        raise ConfigError(f"checkpoint of step {step} holds no run to resume: start another run.")
    if notes["algorithm"] != name:
        raise ConfigError(
            f"checkpoint of step {step} is of {notes['algorithm']} and the run of "
            f"{name}: give the same algorithm."
        )
    if step != notes["update"] * run.steps_per_update:
        raise ConfigError(
            f"checkpoint of step {step} has updates of {step // notes['update']} env steps and the "
            f"run of {run.steps_per_update}: give the same number of envs and steps."
        )
    return notes


def is_evaluated(directory: Path, step: int) -> bool:
    """Whether a checkpoint can be read, and its evaluation, if it has one, has been made."""
    try:
        return not load_metadata(directory, step=step).get(CUT, False)
    except DamagedCheckpointError:
        return False


def saved_part(run: Run, state: TrainState, replay: bool) -> TrainState:
    """The part of the state that is saved, with or without the replay."""
    state = run.executor.savable(state)
    if replay:
        return state
    return state._replace(agent_state=run.algorithm.portable(state.agent_state))


def agent_part(directory: str | Path, like: PyTree, step: int | None = None) -> PyTree:
    """The agent of a run's checkpoint, without its replay."""
    holds_run = load_metadata(directory, step=step).get("holds") == RUN
    part = ".agent_state" if holds_run else ""
    return load_checkpoint(directory, like, step=step, part=part, ignore=NO_LONGER_KEPT)


def columns_as_text(columns: Row) -> dict[str, str]:
    """Columns of float32 as text that loses no bit."""
    encode = base64.b64encode
    return {name: encode(x.astype("<f4").tobytes()).decode() for name, x in columns.items()}


def unpack(texts: Mapping[str, str]) -> Row:
    """The columns again."""
    return {name: np.frombuffer(base64.b64decode(text), "<f4") for name, text in texts.items()}
