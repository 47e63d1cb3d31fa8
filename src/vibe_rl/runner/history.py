"""What earlier calls of a resumed run logged, so that results are of the whole run."""

from typing import Any

import numpy as np

from vibe_rl.runner.session import Session
from vibe_rl.tracking.jsonl import read_metrics


def logged_rows(session: Session) -> list[dict[str, Any]]:
    """The rows in the log of a run that resumed; none without a log, or if it began anew."""
    if session.found is None or session.run_dir is None:
        return []
    return read_metrics(session.run_dir)


def earlier_rows(session: Session) -> list[dict[str, Any]]:
    """The rows up to the checkpoint where the run resumed."""
    resumed_at = 0 if session.found is None else session.found.update
    step = resumed_at * session.run.steps_per_update
    return [row for row in logged_rows(session) if row.get("step", np.inf) <= step]


def earlier_updates(session: Session, name: str) -> np.ndarray:
    """A metric of every update before the run resumed, `[n_updates]`.

    Each is the mean of its row in the log, or NaN where there is none.
    """
    n_updates = 0 if session.found is None else session.found.update
    column, begin = np.full(n_updates, np.nan, np.float32), 0
    for row in logged_rows(session):
        end = row.get("update", begin)
        if row.get(name) is not None:
            column[begin:end] = row[name]
        begin = end
    return column
