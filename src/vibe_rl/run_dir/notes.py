"""Small logs of a run beside its metrics: how each of its sessions ended, and what was unhealthy.

A line of JSON each. A run that is resumed adds lines; one that is killed leaves no line of how.
"""

import json
import warnings
from typing import Any, Literal, NamedTuple

from vibe_rl.errors import UnwritableError
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.run_dir.plain import plain

SESSIONS, HEALTH = "sessions.jsonl", "health.jsonl"
"""The names of the two in the folder `logs`."""


class SessionNote(NamedTuple):
    """From one beginning of a run to its next end."""

    from_step: int  # env step where it began
    step: int | None  # env step where it ended; None if it failed
    status: Literal["finished", "interrupted", "failed"]
    seconds: dict[str, float] | None  # by phases, see `vibe_rl.runner.timing`
    members: int = 1  # runs that were trained side by side in this time
    reason: str | None = None  # why it failed


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
            file.writelines([*whole, json.dumps(plain(note)).encode() + b"\n"])
    except UnwritableError as error:
        warnings.warn(str(error), RuntimeWarning, stacklevel=2)


def _read(run_dir: RunDir, name: str) -> list[dict[str, Any]]:
    path = run_dir.log_path(name)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.strip()]


def sessions_of(run_dir: RunDir) -> list[SessionNote]:
    """The sessions of a run that came to an end, the first one first."""
    return [SessionNote(**line) for line in _read(run_dir, SESSIONS)]


def last_status(run_dir: RunDir, step: int) -> Literal["finished", "interrupted", "failed"] | None:
    """How a run's last session ended, whose last row is of this env step; None: it was killed."""
    sessions = sessions_of(run_dir)
    if not sessions or (sessions[-1].step is not None and sessions[-1].step < step):
        return None
    return sessions[-1].status


def health_of(run_dir: RunDir) -> list[HealthNote]:
    """What was unhealthy in a run, in the order in which it was noticed."""
    return [HealthNote(**line) for line in _read(run_dir, HEALTH)]
