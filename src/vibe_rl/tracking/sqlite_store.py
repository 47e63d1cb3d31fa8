"""The SQLite file of a history of trainings: its tables, its version, and how it is opened."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vibe_rl.errors import ConfigError, shown, writing

APPLICATION = 0x76725F68
"""By which SQLite's header says whose file it is."""
MIGRATIONS = (
    (
        """CREATE TABLE runs (
            id INTEGER PRIMARY KEY,  -- later ones are higher
            name TEXT NOT NULL,
            config TEXT,  -- JSON
            state TEXT,  -- running, finished, failed or interrupted
            started TEXT,  -- of the first process that was seen training it; UTC
            ended TEXT
        )""",
        """CREATE TABLE metrics (
            run_id INTEGER NOT NULL REFERENCES runs(id),
            name TEXT NOT NULL,
            step INTEGER NOT NULL,  -- env steps
            value REAL NOT NULL,
            PRIMARY KEY (run_id, name, step)
        ) WITHOUT ROWID""",
        """CREATE TABLE episodes (
            run_id INTEGER NOT NULL REFERENCES runs(id),
            step INTEGER NOT NULL,  -- env steps when it ended
            nth INTEGER NOT NULL,  -- among those that ended with this step
            episode_return REAL NOT NULL,
            episode_length INTEGER NOT NULL,
            wall_time REAL,  -- seconds of training
            metrics TEXT NOT NULL,  -- JSON: what the env says of it
            PRIMARY KEY (run_id, step, nth)
        ) WITHOUT ROWID""",
    ),
)
"""What makes a file of version n one of version n + 1; an empty file has version 0."""
PATIENCE = 2.0  # seconds in which another writer has to be done


def open_history(path: Path) -> sqlite3.Connection:
    """A connection to a file, which is made, or brought to the present version.

    Raises:
        ConfigError: the file is of another program, or of a later version of this one, or cannot be
            written.
    """
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            migrate(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait
            connection.execute("PRAGMA synchronous = NORMAL")  # a commit does not wait for the disk
        except BaseException:
            connection.close()
            raise
    return connection


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings a file to the present version, whole or not at all.

    Raises:
        ConfigError: the file is of another program, or of a later version of this one.
    """
    check_history(connection, path)
    if _version_of(connection) == len(MIGRATIONS):
        return
    with transaction(connection):
        for statements in MIGRATIONS[_version_of(connection) :]:  # another may just have been here
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def check_history(connection: sqlite3.Connection, path: Path) -> None:
    """Raises ConfigError if a file is of another program, or of a later version of this one."""
    try:
        is_new = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, or cannot be read
            raise
        is_new = None
    if is_new is None or not (is_new or _value_of(connection, "application_id") == APPLICATION):
        raise ConfigError(f"{shown(path)} is no training history: name another file.")
    if _version_of(connection) > len(MIGRATIONS):
        raise ConfigError(
            f"{shown(path)} has version {_version_of(connection)} of training histories, of which "
            f"this vibe_rl knows {len(MIGRATIONS)}: update it, or name another file."
        )


def _version_of(connection: sqlite3.Connection) -> int:
    """How many migrations a file has seen."""
    return _value_of(connection, "user_version")


def _value_of(connection: sqlite3.Connection, pragma: str) -> int:
    """A number of the file's header."""
    return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """In its block, changes are one, which is undone if the block fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Raises UnwritableError about `path` where SQLite or the file system refuses to write."""
    with writing(path):
        try:
            yield
        except sqlite3.Error as error:
            raise OSError(str(error)) from error


def make_single_file(connection: sqlite3.Connection) -> None:
    """Leaves one file, which can be copied and read anywhere, unless somebody has it open."""
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA journal_mode = DELETE")
