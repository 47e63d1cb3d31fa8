"""Small logs of a run beside its metrics: how each of its sessions ended, and what was unhealthy.

A line of JSON each. A run that is resumed adds lines; one that is killed leaves no line of how.
"""

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from vibe_rl.errors import UnwritableError, shown
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import numbered_files, record_of, write_atomically
from vibe_rl.run_dir.plain import plain

SESSIONS, HEALTH = "sessions.jsonl", "health.jsonl"
"""The names of the two in the folder `logs`."""
Status = Literal["finished", "interrupted", "failed"]
"""How a run, or a session of it, ended."""


class SessionNote(NamedTuple):
    """From one beginning of a run to its next end."""

    from_step: int  # env step where it began
    step: int | None  # env step where it ended; None if it failed
    status: Status
    seconds: dict[str, float] | None  # by phases, see `vibe_rl.runner.timing`
    members: int = 1  # runs that were trained side by side in this time
    reason: str | None = None  # why it failed
    manifest: int | None = None  # the number of that which says with what it began


class HealthNote(NamedTuple):
    """Something that a healthy run does not show, and what to try."""

    step: int  # env step
    rule: str  # its name, such as `kl`
    text: str  # one sentence for people


def add_note(run_dir: RunDir, name: str, note: SessionNote | HealthNote) -> None:
    """Adds a line, whole or not at all; warns where the file system refuses."""
    path = run_dir.log_path(name)
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith(b"\n")]
    try:
        with write_atomically(path) as file:
            file.writelines([*whole, _line(note)])
    except UnwritableError as error:
        warnings.warn(str(error), RuntimeWarning, stacklevel=2)


def note_end(run_dir: RunDir, note: SessionNote) -> None:
    """Adds how the session that began last has ended; see `add_note`."""
    number = len(numbered_files(run_dir.root, "manifest", ".json")) or None
    add_note(run_dir, SESSIONS, note._replace(manifest=number))


def _line(note: SessionNote | HealthNote) -> bytes:
    return json.dumps(plain(note)).encode() + b"\n"


def _read(run_dir: RunDir, name: str) -> list[dict[str, Any]]:
    path = run_dir.log_path(name)
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [record_of(line, f"a line of {shown(path)}") for line in lines if line.strip()]


def sessions_of(run_dir: RunDir) -> list[SessionNote]:
    """The sessions of a run that came to an end, the first one first."""
    return [SessionNote(**line) for line in _read(run_dir, SESSIONS)]


def last_session(sessions: Sequence[SessionNote], step: int) -> SessionNote | None:
    """The last session of a run whose last row is of this env step; None: that one was killed."""
    if not sessions or (sessions[-1].step is not None and sessions[-1].step < step):
        return None
    return sessions[-1]


def rewind_sessions(run_dir: RunDir, step: int, folder: Path) -> None:
    """Sessions that went past an env step end there, interrupted; as they were, in a folder."""
    path = run_dir.log_path(SESSIONS)
    if not path.exists():
        return
    shutil.copy2(path, folder / path.name)
    cut = [_line(_until(step, note)) for note in sessions_of(run_dir)]
    with write_atomically(path) as file:
        file.writelines(cut)


def _until(step: int, note: SessionNote) -> SessionNote:
    if note.step is None or note.step <= step:
        return note
    return note._replace(from_step=min(note.from_step, step), step=step, status="interrupted")


def health_of(run_dir: RunDir) -> list[HealthNote]:
    """What was unhealthy in a run, in the order in which it was noticed."""
    return [HealthNote(**line) for line in _read(run_dir, HEALTH)]
