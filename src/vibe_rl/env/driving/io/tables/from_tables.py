"""Scenarios from tables: rows sorted into slots; directions, arc lengths and routes computed."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np

from vibe_rl.env.driving.io.polylines import (
    a_metre_apart,
    about_a_metre,
    arc_lengths,
    directions,
    nearest_on_line,
)
from vibe_rl.env.driving.io.recordings.own_routes import fill_routes, logged_way
from vibe_rl.env.driving.io.tables.columns import Table, Tables
from vibe_rl.env.driving.scenarios.codes import EDGES, FAMILIES, LANES
from vibe_rl.env.driving.scenarios.scenario import EGO, Dims, Scenario, empty_scenario
from vibe_rl.errors import ConfigError, unknown

NEAR_LANE = 5.0
"""Metres within which a point of a path belongs to a lane."""
MOST_UID = 2**32 - 1
PASSES = 2.05
"""Metres from where the log ends within which a path leads there."""


def from_tables(tables: Tables, dims: Dims = Dims()) -> Iterator[tuple[str, Scenario]]:  # noqa: B008
    """The group and the scenario of each row of the table "scenario", in its order.

    Args:
        tables: all five, `checked_table`; rows in any order.
        dims: the slots of the scenarios.

    Raises:
        ConfigError: rows contradict each other, or do not fit into the slots.
    """
    uids = tables["scenario"]["uid"]
    _check_uids(uids, tables)
    parts = {name: _by_uid(table) for name, table in tables.items()}
    nothing = {name: _rows(table, slice(0, 0)) for name, table in tables.items()}
    for uid in uids.tolist():
        rows = {name: part.get(uid, nothing[name]) for name, part in parts.items()}
        group = str(rows["scenario"]["group"][0])
        try:
            scenario = _scenario(rows, dims)
        except ConfigError as error:
            raise ConfigError(f"scenario {uid}: {error}") from None
        yield group or f"{FAMILIES[scenario.family]}/{uid}", scenario


def _check_uids(uids: np.ndarray, tables: Tables) -> None:
    if len(np.unique(uids)) < len(uids) or (uids < 0).any() or (uids > MOST_UID).any():
        raise ConfigError(
            f"the table scenario has uids twice, or below 0 or above {MOST_UID}: give each its own."
        )
    for name, table in tables.items():
        strange = np.setdiff1d(table["uid"], uids)
        if strange.size:
            raise ConfigError(
                f"the table {name} has rows of uid {strange[0]}: add it to the table scenario."
            )


def _by_uid(table: Table) -> Mapping[int, Table]:
    order = np.argsort(table["uid"], kind="stable")
    uids, begins = np.unique(table["uid"][order], return_index=True)
    pieces = zip(uids.tolist(), pairwise([*begins, len(order)]), strict=True)
    return {uid: _rows(table, order[slice(*piece)]) for uid, piece in pieces}


def _rows(table: Table, rows: np.ndarray | slice) -> Table:
    return {name: values[rows] for name, values in table.items()}


def _scenario(rows: Tables, dims: Dims) -> Scenario:
    s = empty_scenario(dims)
    facts = {name: values[0] for name, values in rows["scenario"].items()}
    _fill_tracks(s, rows["tracks"])
    _fill_map(s, rows["map"])
    _fill_lights(s, rows["lights"])
    s = s._replace(
        speed_limit_default=np.float32(facts["speed_limit"]),
        family=np.int32(_family(str(facts["family"]))),
        scenario_uid=np.uint32(facts["uid"]),
        has_edges=np.bool_(_has_edges(s) if facts["has_edges"] < 0 else facts["has_edges"]),
    )
    _fill_paths(s, rows["paths"])
    fill_routes(s)
    return s


def _family(name: str) -> int:
    if name not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    return FAMILIES.index(name)


def _has_edges(s: Scenario) -> bool:
    return bool((s.map_valid & np.isin(s.map_type, EDGES)).any())


def _check_slots(what: str, count: int, axis: str, slots: int) -> None:
    if count > slots:
        raise ConfigError(
            f"it has {count} {what} where {axis} is {slots}: leave some away, or give more slots."
        )


def _check_once(table: str, *keys: np.ndarray) -> None:
    rows = np.stack(keys, 1)
    found, counts = np.unique(rows, axis=0, return_counts=True)
    if (counts > 1).any():
        first = found[np.argmax(counts > 1)].tolist()
        raise ConfigError(f"the table {table} has {first} twice: leave one of the rows out.")


def _check_frames(table: str, t: np.ndarray, frames: int) -> None:
    outside = t[(t < 0) | (t >= frames)]
    if outside.size:
        raise ConfigError(
            f"the table {table} has t {outside[0]}: give frames from 0 to {frames - 1}."
        )


def _fill_tracks(s: Scenario, rows: Table) -> None:
    rows = _rows(rows, rows["valid"] != 0)
    objects, user = np.unique(rows["obj"], return_inverse=True)
    if not objects.size or objects[0] != 0:
        raise ConfigError("the table tracks has no rows of obj 0, the ego: add them.")
    users, frames = s.log_yaw.shape
    _check_slots("objects", len(objects), "N", users)
    _check_frames("tracks", rows["t"], frames)
    _check_once("tracks", rows["obj"], rows["t"])
    place = user, rows["t"]
    s.log_xy[place] = np.stack([rows["x"], rows["y"]], 1)
    s.log_vel[place] = np.stack([rows["vx"], rows["vy"]], 1)
    s.log_yaw[place] = -np.remainder(np.pi - rows["yaw"], 2 * np.pi) + np.pi
    s.log_valid[place] = True
    s.size[user] = np.stack([rows["length"], rows["width"], rows["height"]], 1)
    s.obj_type[user] = rows["type"]
    s.reactive[user] = rows["reactive"] != 0


def _lines(table: str, rows: Table, key: str) -> Iterator[tuple[int, Table, np.ndarray]]:
    """Each polyline of a table, the first to appear first: its id, its rows, its points."""
    _check_once(table, rows[key], rows["seq"])
    ids, first = np.unique(rows[key], return_index=True)
    for line in ids[np.argsort(first)].tolist():
        along = _rows(rows, np.flatnonzero(rows[key] == line))
        along = _rows(along, np.argsort(along["seq"]))
        yield line, along, np.stack([along["x"], along["y"]], 1)


def _fill_map(s: Scenario, rows: Table) -> None:
    end = 0
    for line, along, xy in _lines("map", rows, "id"):
        points = about_a_metre(xy)
        begin, end = end, end + len(points)
        _check_slots("map points", end, "P", len(s.map_id))
        kind = along["type"][0]
        s.map_xy[begin:end] = points
        s.map_dir[begin:end] = directions(points)
        s.map_type[begin:end] = kind
        s.map_id[begin:end] = line
        s.map_speed[begin:end] = along["speed"][0]
        s.map_width[begin:end] = along["width"][0] if kind in LANES else 0.0
        s.map_valid[begin:end] = True


def _fill_lights(s: Scenario, rows: Table) -> None:
    lights, light = np.unique(rows["light"], return_inverse=True)
    slots, frames = s.light_state.shape
    _check_slots("lights", len(lights), "L", slots)
    _check_frames("lights", rows["t"], frames)
    _check_once("lights", rows["light"], rows["t"])
    for i in range(len(lights)):
        of_it = _rows(rows, light == i)
        of_it = _rows(of_it, np.argsort(of_it["t"]))
        since = np.searchsorted(of_it["t"], np.arange(frames), "right") - 1
        s.light_state[i] = np.where(since < 0, 0, of_it["state"][since])
        s.light_xy[i] = of_it["x"][0], of_it["y"][0]
        s.light_lane[i], s.light_valid[i] = of_it["lane"][0], True


def _fill_paths(s: Scenario, rows: Table) -> None:
    paths, points = s.path_s.shape
    logged = s.log_xy[EGO, s.log_valid[EGO]]
    if not len(rows["path"]):
        way = logged_way(logged, float(s.log_yaw[EGO, 0]), points)
        _fill_path(s, 0, way, np.full(len(way), -1), True)
        return
    outside = rows["path"][(rows["path"] < 0) | (rows["path"] >= paths)]
    if outside.size:
        raise ConfigError(f"the table paths has path {outside[0]}: number them 0 to {paths - 1}.")
    for path, along, xy in _lines("paths", rows, "path"):
        way = a_metre_apart(xy)
        lanes = along["lane"] if way is xy else along["lane"][nearest_on_line(way, xy)[0]]
        on_route = along["on_route"][0]
        _fill_path(s, path, way, lanes, bool(_leads(way, logged) if on_route < 0 else on_route))


def _leads(way: np.ndarray, logged: np.ndarray) -> bool:
    """Whether a path comes by where the log ends."""
    return bool(np.linalg.norm(way - logged[-1], axis=1).min() < PASSES)


def _fill_path(s: Scenario, path: int, way: np.ndarray, lanes: np.ndarray, on_route: bool) -> None:
    _check_slots(f"points of path {path}", len(way), "Q", s.path_s.shape[1])
    there = slice(0, len(way))
    s.path_xy[path, there] = way
    s.path_s[path, there] = arc_lengths(way)
    s.path_lane[path, there] = np.where(lanes < 0, _lanes_at(s, way), lanes)
    s.path_valid[path, there] = True
    s.path_on_route[path] = on_route


def _lanes_at(s: Scenario, way: np.ndarray) -> np.ndarray:
    """The id of the nearest lane at each point, -1 where none is near."""
    lanes = np.flatnonzero(s.map_valid & np.isin(s.map_type, LANES))
    if not lanes.size:
        return np.full(len(way), -1)
    index, distance = nearest_on_line(way, s.map_xy[lanes])
    return np.where(distance < NEAR_LANE, s.map_id[lanes][index], -1)
