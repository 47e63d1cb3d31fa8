"""Scenarios as five tables, which people and other programs can write: columns and their rows.

Tracks, maps, lights and paths are in them. Directions, arc lengths and routes are not: reading
computes them anew.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.env.driving.scenarios.codes import FAMILIES
from vibe_rl.env.driving.scenarios.scenario import Scenario
from vibe_rl.errors import ConfigError, unknown

Table = Mapping[str, np.ndarray]
"""Columns of the same length."""
Tables = Mapping[str, Table]


class _Column(NamedTuple):
    """What is in a column."""

    kind: type  # int, float or str
    default: Any = ...  # where the column is not there; `...`: it has to be


_UID = _Column(int)
_WHOLE, _REAL = _Column(int), _Column(float)
COLUMNS: Mapping[str, Mapping[str, _Column]] = {
    "scenario": {
        "uid": _UID,
        "group": _Column(str, ""),
        "family": _Column(str, "imported"),
        "split": _Column(str, ""),  # for the reader: it follows from the group
        "speed_limit": _Column(float, 13.9),
        "has_edges": _Column(int, -1),  # -1: whether the map has some
    },
    "tracks": {
        "uid": _UID,
        "obj": _WHOLE,  # 0 is the ego
        "t": _WHOLE,  # the frame
        "x": _REAL,
        "y": _REAL,
        "yaw": _REAL,
        "vx": _REAL,
        "vy": _REAL,
        "valid": _Column(int, 1),
        "length": _REAL,
        "width": _REAL,
        "height": _Column(float, 1.6),
        "type": _Column(int, 1),
        "reactive": _Column(int, 0),
    },
    "map": {
        "uid": _UID,
        "id": _WHOLE,
        "type": _WHOLE,
        "seq": _WHOLE,  # of a point along its line
        "x": _REAL,
        "y": _REAL,
        "speed": _Column(float, -1.0),
        "width": _Column(float, 3.7),
    },
    "lights": {
        "uid": _UID,
        "light": _WHOLE,
        "lane": _WHOLE,
        "t": _WHOLE,  # the frame from which on it has the state
        "x": _REAL,
        "y": _REAL,
        "state": _WHOLE,
    },
    "paths": {
        "uid": _UID,
        "path": _WHOLE,  # 0 is the logged one
        "seq": _WHOLE,
        "x": _REAL,
        "y": _REAL,
        "lane": _Column(int, -1),  # -1: the nearest
        "on_route": _Column(int, -1),  # -1: whether it comes by where the log ends
    },
}
"""The columns of each table, see `codes` for types, states and families; m, rad, s."""
OPTIONAL = ("lights", "paths")


def checked_table(file: str, name: str, table: Table) -> Table:
    """The table with all its columns, those that may be missing filled, of their types.

    Args:
        file: what messages call it.
        name: of the table, such as "tracks".
        table: as it was read.

    Raises:
        ConfigError: a column is missing, unknown, or not of its type.
    """
    columns = COLUMNS[name]
    for column in table:
        if column not in columns:
            raise unknown(f"column of {file}", column, columns)
    missing = [name for name, c in columns.items() if name not in table and c.default is ...]
    if missing:
        raise ConfigError(f"{file} has no column {missing[0]}: give {', '.join(columns)}.")
    rows = len(table["uid"])
    return {
        name: _typed(file, name, table[name], column)
        if name in table
        else np.full(rows, column.default)
        for name, column in columns.items()
    }


def _typed(file: str, name: str, values: np.ndarray, column: _Column) -> np.ndarray:
    """The values of a column as numbers, or as text."""
    try:
        return _converted(values, column.kind)
    except (ValueError, TypeError):
        row = next(i for i in range(len(values)) if not _fits(values[i : i + 1], column.kind))
    wanted = "a whole number" if column.kind is int else "a number"
    raise ConfigError(f"{file} has {name} {str(values[row])!r} in row {row + 1}: give {wanted}.")


def _fits(values: np.ndarray, kind: type) -> bool:
    try:
        _converted(values, kind)
    except (ValueError, TypeError):
        return False
    return True


def _converted(values: np.ndarray, kind: type) -> np.ndarray:
    if kind is str:
        return np.asarray(values).astype(np.str_)
    numbers = np.asarray(values).astype(np.float64)
    if not np.isfinite(numbers).all() or (kind is int and (numbers % 1).any()):
        raise ValueError
    return numbers.astype(kind)


def to_tables(scenario: Scenario, group: str, split: str) -> Tables:
    """The rows of one scenario in each table."""
    rows = {
        "scenario": _scenario_rows(scenario, group, split),
        "tracks": _track_rows(scenario),
        "map": _map_rows(scenario),
        "lights": _light_rows(scenario),
        "paths": _path_rows(scenario),
    }
    for name, table in rows.items():
        count = len(next(iter(table.values())))
        rows[name] = {"uid": np.full(count, int(scenario.scenario_uid)), **table}
    return rows


def _scenario_rows(s: Scenario, group: str, split: str) -> Table:
    return {
        "group": np.array([group]),
        "family": np.array([FAMILIES[s.family]]),
        "split": np.array([split]),
        "speed_limit": np.array([s.speed_limit_default]),
        "has_edges": np.array([int(s.has_edges)]),
    }


def _track_rows(s: Scenario) -> Table:
    user, t = np.nonzero(s.log_valid)
    return {
        "obj": user,
        "t": t,
        **_columns(("x", "y"), s.log_xy[user, t]),
        "yaw": s.log_yaw[user, t],
        **_columns(("vx", "vy"), s.log_vel[user, t]),
        "valid": np.ones(len(user), np.int64),
        **_columns(("length", "width", "height"), s.size[user]),
        "type": s.obj_type[user],
        "reactive": s.reactive[user].astype(np.int64),
    }


def _map_rows(s: Scenario) -> Table:
    there = np.flatnonzero(s.map_valid)
    begins = np.flatnonzero(np.diff(s.map_id[there], prepend=-2))
    lengths = np.diff(np.append(begins, len(there)))
    return {
        "id": s.map_id[there],
        "type": s.map_type[there],
        "seq": np.arange(len(there)) - np.repeat(begins, lengths),
        **_columns(("x", "y"), s.map_xy[there]),
        "speed": s.map_speed[there],
        "width": s.map_width[there],
    }


def _light_rows(s: Scenario) -> Table:
    frames = s.light_state.shape[1]
    light = np.repeat(np.flatnonzero(s.light_valid), frames)
    t = np.tile(np.arange(frames), int(s.light_valid.sum()))
    return {
        "light": light,
        "lane": s.light_lane[light],
        "t": t,
        **_columns(("x", "y"), s.light_xy[light]),
        "state": s.light_state[light, t],
    }


def _path_rows(s: Scenario) -> Table:
    path, point = np.nonzero(s.path_valid)
    return {
        "path": path,
        "seq": point,
        **_columns(("x", "y"), s.path_xy[path, point]),
        "lane": s.path_lane[path, point],
        "on_route": s.path_on_route[path].astype(np.int64),
    }


def _columns(names: Iterable[str], array: np.ndarray) -> Table:
    return {name: array[:, i] for i, name in enumerate(names)}
