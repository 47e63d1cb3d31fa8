"""Directories of the five tables, as CSV or as Parquet: to scenarios and back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.env.driving.io.loading import Folder, iterate
from vibe_rl.env.driving.io.manifest import read_manifest
from vibe_rl.env.driving.io.split import is_held_out
from vibe_rl.env.driving.io.tables import csv_tables, parquet
from vibe_rl.env.driving.io.tables.columns import COLUMNS, OPTIONAL, Table, checked_table, to_tables
from vibe_rl.env.driving.io.tables.from_tables import from_tables
from vibe_rl.env.driving.io.writing import appearing, check_no_set
from vibe_rl.env.driving.scenarios.scenario import Dims, Scenario
from vibe_rl.env.driving.scenarios.validate import check
from vibe_rl.errors import ConfigError, shown, unknown, writing
from vibe_rl.run_dir.files import absolute


class _Kind(NamedTuple):
    """How tables are read and written."""

    suffix: str
    read: Callable[[Path], Table]
    writer: Callable[[Path], AbstractContextManager[Any]]


KINDS = {
    "csv": _Kind(csv_tables.SUFFIX, csv_tables.read_csv, csv_tables.csv_writer),
    "parquet": _Kind(parquet.SUFFIX, parquet.read_parquet, parquet.parquet_writer),
}


def read_tables(
    kind: str,
    path: Folder,
    dims: Dims = Dims(),  # noqa: B008 - immutable
) -> Iterator[tuple[str, Scenario]]:
    """The scenarios that a directory of tables holds, each after its group.

    Args:
        kind: "csv" or "parquet".
        path: has `scenario`, `tracks` and `map`, and may have `lights` and `paths`, with the suffix
            of their kind.
        dims: the slots of the scenarios.

    Raises:
        ConfigError: a table is missing or wrong, or rows contradict each other.
    """
    how = _kind(kind)
    tables = {name: _table(Path(path) / f"{name}{how.suffix}", name, how) for name in COLUMNS}
    return from_tables(tables, dims)


def write_tables(kind: str, path: Folder, directory: Folder) -> None:
    """Writes a set of scenarios as tables; routes, conflicts and who yields are not in them.

    Args:
        kind: "csv" or "parquet".
        path: a directory that `write_scenarios` wrote.
        directory: must be empty or not there; it appears when all is written.

    Raises:
        ConfigError: the set cannot be read, `validate` refuses a scenario of it, or the directory
            is not empty.
    """
    how, manifest = _kind(kind), read_manifest(Path(path))
    check_no_set(directory)
    with appearing(absolute(directory)) as draft, writing(draft), how.writer(draft) as append:
        for place, scenario in enumerate(iterate(path)):
            check(place, scenario)
            group = manifest.groups[place]
            side = "valid" if is_held_out(group, manifest.split) else "train"
            append(to_tables(scenario, group, side))


def _kind(name: str) -> _Kind:
    if name not in KINDS:
        raise unknown("kind of tables", name, KINDS)
    return KINDS[name]


def _table(path: Path, name: str, how: _Kind) -> Table:
    if path.exists():
        return checked_table(shown(path), name, how.read(path))
    if name in OPTIONAL:
        return checked_table(shown(path), name, {column: np.array([]) for column in COLUMNS[name]})
    raise ConfigError(f"there is no {shown(path)}: give the tables {', '.join(COLUMNS)}.")
