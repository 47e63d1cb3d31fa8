"""A history of trainings as an SQLite file: rows are committed about once a second, all at once.

While a run is trained anybody may read the file, be it with `sqlite3 training_history.db`. A metric
is a row of its own, so that a curve is one line of SQL; an episode is a row where single episodes
are reported, and what an env says of it is JSON:

    SELECT step, value FROM metrics WHERE name = 'policy_loss' ORDER BY step;
    SELECT step, episode_return, json_extract(metrics, '$.highest_stage') FROM episodes;
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typing_extensions import override

from vibe_rl.run_dir.directory import RunDir
from vibe_rl.tracking.base import Status, Tracker, is_finite
from vibe_rl.tracking.sqlite_store import (
    make_single_file,
    open_history,
    transaction,
    writing_to,
)

FILE = "training_history.db"
INTERVAL = 1.0  # seconds in which rows gather
OF_EPISODES = ("episode_return", "episode_length")
"""What a row has that is of a single episode."""
PREFIX = "episode/"
"""Left out of the names of an episode's metrics."""
NOT_SHOWN = ("step",)


class SQLiteTracker(Tracker):
    """A run in an SQLite file, new or continued; several runs may share the file.

    Rows that it is told again, it has once.

    Args:
        path: the file; it is made, with its folders.
        run: what the run is called there.
        new: begins a run though there is one of this name.
        live: whether the run is being trained.

    Raises:
        ConfigError: the file is of another program, or of a later version of this one, or cannot be
            written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        run: str = "run",
        *,
        new: bool = False,
        live: bool = True,
    ):
        self.path = Path(path).absolute()
        self._metrics = dict[tuple[str, int], float]()
        self._episodes = list[tuple[Any, ...]]()
        self._step, self._nth = -1, 0  # of the last episode
        self._due = time.monotonic() + INTERVAL  # when rows that have gathered are committed
        self._live = live
        self._connection: sqlite3.Connection | None = open_history(self.path)
        with self._changing() as connection:
            found = None if new else latest_run(connection, run)
            self.run_id = insert_run(connection, run) if found is None else found
            if live:
                connection.execute(BEGIN_RUN, (now(), self.run_id))

    @override
    def rewind(self, step: int) -> None:
        self.flush()
        with self._changing() as connection:
            for table in ("metrics", "episodes"):
                where = "WHERE run_id = ? AND step > ?"
                connection.execute(f"DELETE FROM {table} {where}", (self.run_id, step))

    @override
    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        step = int(metrics.get("step", 0) if step is None else step)
        row = {n: x for n, x in metrics.items() if is_finite(x) and n not in NOT_SHOWN}
        if all(name in row for name in OF_EPISODES):
            self._add_episode(row, step)
        else:
            self._metrics |= {(name, step): float(value) for name, value in row.items()}
        if time.monotonic() > self._due:
            self.flush()

    def _add_episode(self, row: dict[str, Any], step: int) -> None:
        self._step, self._nth = step, self._nth + 1 if step == self._step else 0
        episode_return, length = (row.pop(name) for name in OF_EPISODES)
        wall_time = row.pop("wall_time", None)
        metrics = json.dumps({name.removeprefix(PREFIX): x for name, x in row.items()})
        episode = self.run_id, step, self._nth, episode_return, length, wall_time, metrics
        self._episodes.append(episode)

    @override
    def log_config(self, config: Mapping[str, Any]) -> None:
        text = json.dumps(config, default=str)
        with self._changing() as connection:
            connection.execute("UPDATE runs SET config = ? WHERE id = ?", (text, self.run_id))

    def flush(self) -> None:
        """Commits what has gathered."""
        self._due = time.monotonic() + INTERVAL
        if not (self._metrics or self._episodes):
            return
        metrics = [(self.run_id, *key, value) for key, value in self._metrics.items()]
        with self._changing() as connection:
            connection.executemany("INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?)", metrics)
            values = "VALUES (?, ?, ?, ?, ?, ?, ?)"
            connection.executemany(f"INSERT OR REPLACE INTO episodes {values}", self._episodes)
        self._metrics.clear()
        self._episodes.clear()

    @override
    def close(self, status: Status = "finished") -> None:
        if self._connection is None:
            return
        try:
            self.flush()
            with self._changing() as connection:
                ended = now() if self._live else None
                connection.execute(END_RUN, (status, ended, self.run_id))
            make_single_file(self._connection)
        finally:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, which is undone if it fails."""
        assert self._connection is not None, "the tracker is closed"
        with writing_to(self.path), transaction(self._connection):
            yield self._connection


BEGIN_RUN = """UPDATE runs SET state = 'running', started = coalesce(started, ?), ended = NULL
WHERE id = ?"""
END_RUN = "UPDATE runs SET state = ?, ended = coalesce(ended, ?) WHERE id = ?"


def latest_run(connection: sqlite3.Connection, name: str) -> int | None:
    """The id of the last run of a name, if there is one."""
    return connection.execute("SELECT max(id) FROM runs WHERE name = ?", (name,)).fetchone()[0]


def insert_run(connection: sqlite3.Connection, name: str) -> int:
    """The id of a new run."""
    run_id = connection.execute("INSERT INTO runs (name) VALUES (?)", (name,)).lastrowid
    assert run_id is not None
    return run_id


def now() -> str:
    """The time in UTC, as ISO 8601 writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def open_for(run_dir: RunDir, new: bool, live: bool) -> SQLiteTracker:
    """The tracker of a run, whose file is beside its log."""
    return SQLiteTracker(run_dir.log_path(FILE), run_dir.root.name, new=new, live=live)
