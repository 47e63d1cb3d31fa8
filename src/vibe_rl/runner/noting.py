"""What a session writes into its run's directory beside rows: its end, and what was unhealthy."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vibe_rl.errors import ConfigError, NonFiniteLossError, reason
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import group_of
from vibe_rl.run_dir.notes import HEALTH, SessionNote, note_end
from vibe_rl.runner.fit import FitResult
from vibe_rl.runner.health import Health, HealthTracker, largest_entropy, note_non_finite
from vibe_rl.runner.resuming import Found
from vibe_rl.runner.run import Run
from vibe_rl.spaces import Masked
from vibe_rl.system.processes import is_first
from vibe_rl.tracking.base import Status
from vibe_rl.tracking.jsonl import read_metrics, rewind


def found_step(run: Run, found: Found | None) -> int:
    """The env step where a run begins or resumes."""
    return 0 if found is None else found.update * run.steps_per_update


def note_session(run_dir: RunDir | None, began: int, result: FitResult, members: int = 1) -> None:
    """Writes down in a run's directory how its session ended, and where the time went.

    Args:
        run_dir: of the run; nothing is written where there is none.
        began: the env step where the session began.
        result: of the run.
        members: how many runs were trained side by side.
    """
    if run_dir is not None and is_first():
        how = how_ended(result), result.seconds, members, result.diverged
        note_end(run_dir, SessionNote(began, result.step, *how))


@contextmanager
def noted_failure(run_dir: RunDir | None, began: int) -> Iterator[None]:
    """Writes down what ended its block, if rows were logged before; see `note_session`."""
    try:
        yield
    except Exception as error:
        rows = logged_rows(run_dir)
        if run_dir is not None and rows:
            note_end(run_dir, SessionNote(began, None, "failed", None, reason=reason(error)))
            if isinstance(error, NonFiniteLossError):
                note_non_finite(run_dir, int(rows[-1].get("step", 0)) + 1, str(error))
        raise


def logged_rows(run_dir: RunDir | None) -> list[dict[str, Any]]:
    """The rows in a run's log, for the process that writes there; none if they cannot be read."""
    with suppress(ConfigError):
        return [] if run_dir is None or not is_first() else read_metrics(run_dir)
    return []


def how_ended(result: FitResult) -> Status:
    """How a run ended, as trackers call it."""
    if result.diverged is not None:
        return "failed"
    return "interrupted" if result.interrupted else "finished"


def watch_health(run: Run, run_dir: RunDir | None) -> HealthTracker:
    """What says once what is unhealthy; it has seen the rows that the run's log has already."""
    algorithm = run.algorithm
    masked = isinstance(algorithm.obs_space, Masked)
    largest = None if masked else largest_entropy(algorithm.action_space)
    health = Health(run.config, largest, masked)
    if run_dir is None:
        return HealthTracker(health)
    rows = [row for row in read_metrics(run_dir.log_path()) if "update" in row]
    rewind(run_dir.log_path(HEALTH), max((row["step"] for row in rows), default=0))
    for row in rows:
        health(row)
    name = "" if group_of(run_dir) is None else run_dir.root.name
    return HealthTracker(health, run_dir, name)
