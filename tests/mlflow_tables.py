"""New databases of MLflow as copies of the first, which takes a second for all its versions."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def made_once(folder: Path) -> Iterator[None]:
    """The tables of the first database that this process makes are kept in the folder."""
    from mlflow.store.db import utils  # noqa: PLC0415 - slow to import

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_upgrade_db", upgrading_once(utils._upgrade_db, folder / "made.db"))
        yield


def upgrading_once(upgrade: Callable[[Any], None], made: Path) -> Callable[[Any], None]:
    """The same, but for later databases, which become copies."""

    def upgraded(engine: Any) -> None:
        if engine.dialect.name != "sqlite" or not engine.url.database:
            upgrade(engine)
        elif made.exists():
            copy(made, engine.url.database)
        else:
            upgrade(engine)
            copy(engine.url.database, made.with_suffix(".part"))
            made.with_suffix(".part").rename(made)

    return upgraded


def copy(source: str | Path, target: str | Path) -> None:
    """The target becomes the source's database, whatever it holds."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
