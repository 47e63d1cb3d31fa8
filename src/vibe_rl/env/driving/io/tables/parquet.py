"""The five tables as Parquet files, for programs that read columns; needs pyarrow."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vibe_rl.env.driving.io.tables.columns import COLUMNS, Table, Tables
from vibe_rl.errors import ConfigError, reason, shown
from vibe_rl.extras import require

SUFFIX = ".parquet"
_TYPES = {int: "int64", float: "float32", str: "string"}


def read_parquet(path: Path) -> Table:
    """The columns of a file."""
    arrow, parquet = _modules()
    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise ConfigError(
            f"{shown(path)} is no Parquet table ({reason(error)}): write it anew."
        ) from None
    return {name: _array(table[name]) for name in table.column_names}


def _array(column: Any) -> np.ndarray:
    return np.asarray(column.to_numpy())


@contextmanager
def parquet_writer(directory: Path) -> Iterator[Any]:
    """A function that appends rows to the files of a directory."""
    arrow, parquet = _modules()
    with ExitStack() as stack:
        schemas = {
            name: arrow.schema(
                [(c, getattr(arrow, _TYPES[kind.kind])()) for c, kind in columns.items()]
            )
            for name, columns in COLUMNS.items()
        }
        writers = {
            name: stack.enter_context(parquet.ParquetWriter(directory / f"{name}{SUFFIX}", schema))
            for name, schema in schemas.items()
        }

        def append(tables: Tables) -> None:
            for name, table in tables.items():
                columns = {c: table[c] for c in schemas[name].names}
                writers[name].write_table(arrow.table(columns, schema=schemas[name]))

        yield append


def _modules() -> tuple[ModuleType, ModuleType]:
    how = "scenarios", "Parquet tables"
    return require("pyarrow", *how), require("pyarrow.parquet", *how)
