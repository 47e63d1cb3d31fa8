"""What earlier calls of a resumed run logged, so that results are of the whole run."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vibe_rl.runner.session import Session
from vibe_rl.tracking.jsonl import read_metrics


def earlier_rows(session: Session) -> list[dict[str, Any]]:
    """The rows up to the checkpoint where the run resumed; none without a log or a checkpoint."""
    if session.found is None or session.run_dir is None:
        return []
    step = session.found.update * session.run.steps_per_update
    return [row for row in read_metrics(session.run_dir) if row.get("step", np.inf) <= step]


def earlier_updates(session: Session, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Metrics of every update before the run resumed, each `[n_updates]`.

    An update has the mean of its row in the log; those after the last row have their own values,
    which the checkpoint holds. NaN where there is neither.
    """
    found = session.found
    n_updates = 0 if found is None else found.update
    rows = [row for row in earlier_rows(session) if "update" in row]
    begins = [first_update(session, row["update"]) for row in rows[:1]]
    begins += [row["update"] for row in rows[:-1]]
    columns = {name: np.full(n_updates, np.nan, np.float32) for name in names}
    for name, column in columns.items():
        for begin, row in zip(begins, rows, strict=True):
            if row.get(name) is not None:
                column[begin : row["update"]] = row[name]
        parts = [part[name] for part in found.unfinished if name in part] if found else []
        if parts:
            own = np.concatenate(parts)
            column[n_updates - len(own) :] = own
    return columns


def first_update(session: Session, end: int) -> int:
    """The update that a row begins with which ends with `end`, where no row precedes it."""
    begin = end - 1
    while begin > 0 and session.run.due.next_row(begin - 1) == end:
        begin -= 1
    return begin
