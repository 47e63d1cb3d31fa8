"""Scenarios from records of WOMD or ScenarioMax: tf.Examples in TFRecord files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vibe_rl.env.driving.io.loading import Folder
from vibe_rl.env.driving.io.polylines import nearest_on_line
from vibe_rl.env.driving.io.recordings.from_recordings import scenarios_of_recordings
from vibe_rl.env.driving.io.recordings.recording import MPH, NO_LANE, Light, Line, Recording, Way
from vibe_rl.env.driving.io.scenarionet.reading import USUAL_SIZE
from vibe_rl.env.driving.io.womd.tfexample import Features, features
from vibe_rl.env.driving.io.womd.tfrecord import read_records
from vibe_rl.env.driving.io.womd.wire import WireError
from vibe_rl.env.driving.scenarios.codes import LANES, OTHER, SPEED_BUMP
from vibe_rl.env.driving.scenarios.scenario import Dims, Scenario
from vibe_rl.errors import ConfigError, shown

TIMES = {"past": 10, "current": 1, "future": 80}
"""Frames of each part of a record."""
LAST_LIGHT = 8
BESIDE = 2.5
"""Metres from a lane within which a point that names it lies on it."""


def read_womd(path: Folder, dims: Dims) -> Iterator[tuple[str, Scenario]]:
    """The scenarios of a file, of all in a directory or of shards, each after its group.

    Args:
        path: a file, a directory, or `name@1000` for `name-00000-of-01000` and so on.
        dims: the slots of the scenarios.

    Raises:
        ConfigError: there is none, or a record is damaged or lacks something.
    """
    files = _files(Path(path))
    if not files:
        raise ConfigError(f"{shown(path)} has no records: name a folder of .tfrecord files.")
    return scenarios_of_recordings((x for file in files for x in read_recordings(file)), dims)


def _files(path: Path) -> list[Path]:
    name, _, count = path.name.rpartition("@")
    if name and count.isdecimal():
        return sorted(path.parent.glob(f"{name}-?????-of-{int(count):05d}"))
    return [path] if path.is_file() else sorted(x for x in path.rglob("*tfrecord*") if x.is_file())


def read_recordings(path: Path) -> Iterator[Recording]:
    """What each record of a file holds; ConfigError names the file and the byte."""
    for offset, content in read_records(path):
        place = f"{path.name}@{offset}"
        try:
            yield _recording(features(content), place)
        except ConfigError as error:
            raise ConfigError(f"{shown(path)} at byte {offset}: {error}") from None
        except WireError as error:
            raise ConfigError(
                f"{shown(path)} at byte {offset} is no record of WOMD ({error}): get it anew."
            ) from None


def _recording(found: Features, place: str) -> Recording:
    """A recording from the features of a record.

    Args:
        found: see `features`.
        place: what messages call it, and its group where it has no id.

    Raises:
        ConfigError: the message names the key, and neither file nor place.
    """
    users = len(_numbers(found, "state/id"))
    state = {
        key: over_time(found, f"state/{{}}/{key}", users)
        for key in ("x", "y", "bbox_yaw", "velocity_x", "velocity_y", "valid")
    }
    sizes = [over_time(found, f"state/{{}}/{key}", users) for key in ("length", "width", "height")]
    finite = np.isfinite(np.stack([*state.values()])).all(0)
    valid = (state["valid"] > 0) & finite
    lines = _lines(found)
    return Recording(
        *(_name(found) or place, place, _ego(found, users)),
        *(np.stack([state["x"], state["y"]], -1), state["bbox_yaw"]),
        np.stack([state["velocity_x"], state["velocity_y"]], -1),
        *(valid, _sizes(sizes, valid), _kinds(_numbers(found, "state/type", users))),
        *(lines, _lights(found), _ways(found, lines)),
    )


def _name(found: Features) -> str:
    """The id of the scenario; empty if it has none."""
    names = found.get("scenario/id")
    return names[0].decode(errors="replace") if isinstance(names, list) and names else ""


def _numbers(found: Features, key: str, *shape: int) -> np.ndarray:
    """A feature as float64, or as int64; ConfigError if it is missing or of another size."""
    values = found.get(key)
    if values is None or isinstance(values, list):
        what = "is missing" if values is None else "has no numbers"
        raise ConfigError(f"{key} {what}: convert the records anew.")
    if shape and values.size != np.prod(shape):
        wanted = " x ".join(map(str, shape))
        raise ConfigError(f"{key} has {values.size} values: give {wanted}.")
    exact = values if values.dtype == np.int64 else values.astype(np.float64)
    return exact.reshape(shape) if shape else exact


def over_time(found: Features, key: str, users: int) -> np.ndarray:
    """A feature of all road users and frames `[users, 91]`."""
    parts = [_numbers(found, key.format(time), users, n) for time, n in TIMES.items()]
    return np.concatenate(parts, 1)


def _ego(found: Features, users: int) -> int:
    egos = np.flatnonzero(_numbers(found, "state/is_sdc", users) == 1)
    if len(egos) != 1:
        raise ConfigError(f"state/is_sdc is 1 for {len(egos)} road users: mark one.")
    return int(egos[0])


def _sizes(sizes: list[np.ndarray], valid: np.ndarray) -> np.ndarray:
    """[N, 3] the median of what is known."""
    result = np.tile(USUAL_SIZE, (len(valid), 1))
    for axis, values in enumerate(sizes):
        known = valid & np.isfinite(values) & (values > 0)
        for user in np.flatnonzero(known.any(1)):
            result[user, axis] = np.median(values[user, known[user]])
    return result


def _kinds(kinds: np.ndarray) -> np.ndarray:
    """Codes, which the files have as floats."""
    known = np.isfinite(kinds) & (kinds >= 0) & (kinds <= OTHER)
    return np.where(known, kinds, OTHER).astype(int)


def _lines(found: Features) -> tuple[Line, ...]:
    ids = _numbers(found, "roadgraph_samples/id")
    count = len(ids)
    xyz = _numbers(found, "roadgraph_samples/xyz", count, 3)
    kinds = _numbers(found, "roadgraph_samples/type", count)
    valid = _numbers(found, "roadgraph_samples/valid", count) > 0
    limits = np.full(count, -1.0)
    if "roadgraph_samples/speed_limit" in found:
        limits = _numbers(found, "roadgraph_samples/speed_limit", count)
    valid &= np.isfinite(xyz).all(1) & (kinds >= 0) & (kinds <= SPEED_BUMP)
    points = np.flatnonzero(valid)
    pairs = np.stack([ids[points], kinds[points]], 1)
    order = np.lexsort((points, kinds[points], ids[points]))
    pairs, points = pairs[order], points[order]
    cuts = np.flatnonzero((np.diff(pairs, axis=0) != 0).any(1)) + 1
    lines, taken = [], set[int]()
    for piece in np.split(points, cuts):
        if piece.size:
            number = _number(int(ids[piece[0]]), taken)
            limit = float(limits[piece[0]])
            speed = limit * MPH if np.isfinite(limit) and limit > 0 else -1.0
            lines.append(Line(number, int(kinds[piece[0]]), xyz[piece, :2], xyz[piece, 2], speed))
    return tuple(lines)


def _number(wanted: int, taken: set[int]) -> int:
    """The id itself, or another one where a line of another kind has it, or none can have it."""
    fits = 0 <= wanted < 2**30 and wanted not in taken
    number = wanted if fits else max(taken, default=0) + 1
    taken.add(number)
    return number


def _lights(found: Features) -> tuple[Light, ...]:
    """The lights, by the lanes that they are of."""
    total = _numbers(found, "traffic_light_state/current/id").size
    parts = {
        key: np.concatenate(
            [_numbers(found, f"traffic_light_state/{t}/{key}", n, total) for t, n in TIMES.items()]
        )
        for key in ("state", "valid", "id", "x", "y")
    }
    there = (parts["valid"] > 0) & np.isfinite(parts["x"]) & np.isfinite(parts["y"])
    lights = []
    for lane in np.unique(parts["id"][there]).tolist():
        time, slot = np.nonzero(there & (parts["id"] == lane))
        state = np.zeros(len(there), int)
        state[time] = np.clip(parts["state"][time, slot], 0, LAST_LIGHT)
        xy = np.array([parts["x"][time[0], slot[0]], parts["y"][time[0], slot[0]]])
        lights.append(Light(int(lane), xy, state))
    return tuple(lights)


def _ways(found: Features, lines: tuple[Line, ...]) -> tuple[Way, ...]:
    """Paths of ScenarioMax; WOMD itself has none."""
    if "path_samples/on_route" not in found:
        return ()
    on_route = _numbers(found, "path_samples/on_route") > 0
    count = len(on_route)
    valid = _numbers(found, "path_samples/valid")
    if not count or len(valid) % count:
        raise ConfigError(
            f"path_samples/valid has {len(valid)} values: give as many for each of {count} paths."
        )
    valid = valid.reshape(count, -1) > 0
    xyz = _numbers(found, "path_samples/xyz", *valid.shape, 3)
    valid &= np.isfinite(xyz).all(-1)
    ids = np.full(valid.shape, NO_LANE)
    if "path_samples/id" in found:
        ids = _numbers(found, "path_samples/id", *valid.shape).astype(int)
    ways = (Way(xyz[i, valid[i], :2], bool(on_route[i]), ids[i, valid[i]]) for i in range(count))
    return tuple(_on_lanes(way, lines) for way in ways if len(way.xy) > 1)


def _on_lanes(way: Way, lines: tuple[Line, ...]) -> Way:
    """The way with the lanes that it says and lies on; an id may be that of something else."""
    lane = np.full(len(way.xy), NO_LANE)
    for line in lines:
        there = np.flatnonzero(way.lane == line.id)
        if line.kind in LANES and there.size:
            lane[there[nearest_on_line(way.xy[there], line.xy)[1] < BESIDE]] = line.id
    return way._replace(lane=lane)
