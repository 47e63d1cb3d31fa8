"""What an SQLite history of trainings tells: a run in a few numbers, and its last episodes."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from vibe_rl.errors import ConfigError, shown, unknown
from vibe_rl.tracking.sqlite import FILE, latest_run
from vibe_rl.tracking.sqlite_store import PATIENCE, check_history

VICTORY = "victory"
"""The metric of an episode that was won, unless another is named."""


class RunSummary(NamedTuple):
    """A run in a few numbers; None where it has no episodes, or they do not say."""

    run: str
    state: str | None  # running, finished, failed or interrupted
    episodes: int
    mean_return: float | None
    max_return: float | None
    mean_length: float | None  # env steps
    victories: int | None  # episodes, not points
    means: dict[str, float]  # of what the env says of episodes
    maxima: dict[str, float]


def summarize_run(
    path: str | os.PathLike[str], run: str | None = None, *, victory: str = VICTORY
) -> RunSummary:
    """A run in a few numbers, of all its episodes up to now.

    Where single episodes are not reported, the numbers are those of the rows of metrics.

    Args:
        path: an SQLite file, or a run directory with one.
        run: its name; None takes the last that began.
        victory: an episode's metric that is above 0 where it was won.

    Raises:
        ConfigError: there is no such file or run.
    """
    with reading(path) as connection:
        run_id = find_run(connection, run)
        name, state = connection.execute(
            "SELECT name, state FROM runs WHERE id = ?", (run_id,)
        ).fetchone()
        numbers = connection.execute(OF_EPISODES, (run_id,)).fetchone()
        if not numbers[0]:
            numbers = connection.execute(OF_ROWS, {"run": run_id}).fetchone()
        table = connection.execute(OF_METRICS, (run_id,)).fetchall()
    return RunSummary(
        name,
        state,
        *numbers,
        victories=next((row[3] for row in table if row[0] == victory), None),
        means={row[0]: row[1] for row in table},
        maxima={row[0]: row[2] for row in table},
    )


OF_EPISODES = """SELECT count(*), avg(episode_return), max(episode_return), avg(episode_length)
FROM episodes WHERE run_id = ?"""
OF_ROWS = """WITH finished AS (SELECT step, value FROM metrics
    WHERE run_id = :run AND name = 'episodes' AND value > 0)
SELECT CAST(total(finished.value) AS INTEGER),
    sum(finished.value * mean.value) / sum(finished.value), max(best.value),
    sum(finished.value * length.value) / sum(finished.value)
FROM finished
LEFT JOIN metrics mean ON mean.run_id = :run AND mean.step = finished.step
    AND mean.name = 'episode_return_mean'
LEFT JOIN metrics best ON best.run_id = :run AND best.step = finished.step
    AND best.name = 'episode_return_max'
LEFT JOIN metrics length ON length.run_id = :run AND length.step = finished.step
    AND length.name = 'episode_length_mean'"""
OF_METRICS = """SELECT key, avg(value), max(value), sum(value > 0)
FROM episodes, json_each(episodes.metrics) WHERE run_id = ? GROUP BY key ORDER BY key"""


def recent_episodes(
    path: str | os.PathLike[str], n: int = 10, run: str | None = None
) -> list[dict[str, Any]]:
    """The last episodes of a run, the last one first: step, return, length, time and metrics.

    Args:
        path: an SQLite file, or a run directory with one.
        n: how many at most.
        run: its name; None takes the last that began.

    Raises:
        ConfigError: there is no such file or run.
    """
    with reading(path) as connection:
        rows = connection.execute(LAST_EPISODES, (find_run(connection, run), n))
        names = [column[0] for column in rows.description]
        episodes = [dict(zip(names, row, strict=True)) for row in rows]
    return [episode | json.loads(episode.pop("metrics")) for episode in episodes]


LAST_EPISODES = """SELECT step, episode_return, episode_length, wall_time, metrics
FROM episodes WHERE run_id = ? ORDER BY step DESC, nth DESC LIMIT ?"""


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[sqlite3.Connection]:
    """A connection to a file, or to that of a run directory, which changes nothing.

    Raises:
        ConfigError: there is none, or it is no training history.
    """
    path = Path(path).absolute()
    path = path / "logs" / FILE if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(f"{shown(path)} does not exist: train with --track sqlite.")
    address = f"{path.as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE)) as connection:
        check_history(connection, path)
        yield connection


def find_run(connection: sqlite3.Connection, name: str | None) -> int:
    """The id of the last run, or of the last of a name; ConfigError if there is none."""
    if name is None:
        run_id = connection.execute("SELECT max(id) FROM runs").fetchone()[0]
    else:
        run_id = latest_run(connection, name)
    if run_id is None:
        names = [row[0] for row in connection.execute("SELECT DISTINCT name FROM runs")]
        raise unknown("run", str(name), names)
    return run_id
