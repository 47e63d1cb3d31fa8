"""The five tables as CSV files, which people can write by hand."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vibe_rl.env.driving.io.tables.columns import COLUMNS, Table, Tables
from vibe_rl.errors import ConfigError, reason, shown

SUFFIX = ".csv"


def read_csv(path: Path) -> Table:
    """The columns of a file as text."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row]
    except (ValueError, csv.Error) as error:
        raise ConfigError(
            f"{shown(path)} is no CSV table ({reason(error)}): write it anew."
        ) from None
    wrong = next((i for i, row in enumerate(rows, 1) if len(row) != len(header)), None)
    if wrong is not None:
        raise ConfigError(
            f"{shown(path)} has {len(rows[wrong - 1])} values in row {wrong}: give "
            f"{len(header)}, as there are columns."
        )
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    return {
        name.strip(): np.array(values, np.str_)
        for name, values in zip(header, columns, strict=True)
    }


@contextmanager
def csv_writer(directory: Path) -> Iterator[Any]:
    """A function that appends rows to the files of a directory."""
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(
                (directory / f"{name}{SUFFIX}").open("w", newline="", encoding="utf-8")
            )
            for name in COLUMNS
        }
        writers = {name: csv.writer(file, lineterminator="\n") for name, file in files.items()}
        for name, writer in writers.items():
            writer.writerow(COLUMNS[name])

        def append(tables: Tables) -> None:
            for name, table in tables.items():
                writers[name].writerows(_lines(table, COLUMNS[name]))

        yield append


def _lines(table: Table, order: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
    """Rows; float32 in the fewest digits that give the same number."""
    return zip(*(table[name].astype(np.str_) for name in order), strict=True)
