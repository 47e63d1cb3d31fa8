"""Scenarios from the pickles of ScenarioNet, which are read without running anything of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vibe_rl.env.driving.io.loading import Folder
from vibe_rl.env.driving.io.recordings.from_recordings import scenarios_of_recordings
from vibe_rl.env.driving.io.recordings.recording import KMH, MPH, Light, Line, Recording
from vibe_rl.env.driving.io.scenarionet.names import LIGHTS, PARTS, USERS
from vibe_rl.env.driving.io.scenarionet.restricted_pickle import read_pickle
from vibe_rl.env.driving.io.untrusted import array, names_in, text_of
from vibe_rl.env.driving.scenarios.codes import CROSSWALK, OTHER, UNKNOWN_LIGHT
from vibe_rl.env.driving.scenarios.scenario import DT, Dims, Scenario
from vibe_rl.errors import ConfigError, shown, unknown

USUAL_SIZE = (4.5, 1.9, 1.6)
"""Metres, where the file has no size above 0."""
USUAL_WIDTH = 3.7
"""Metres of a lane."""
MOST = 5_000_000
"""Points of a map, and frames of all road users together: lists in a pickle may be shared."""
_NO_SCENARIOS = ("dataset_summary.pkl", "dataset_mapping.pkl")


def read_scenarionet(path: Folder, dims: Dims) -> Iterator[tuple[str, Scenario]]:
    """The scenarios of a pickle or of all in a directory, each after its group.

    Raises:
        ConfigError: there is none, a pickle asks for more than plain data, or lacks something.
    """
    whole = Path(path)
    found = [whole] if whole.is_file() else sorted(whole.rglob("*.pkl"))
    files = [file for file in found if file.name not in _NO_SCENARIOS]
    if not files:
        raise ConfigError(f"{shown(path)} has no scenario of ScenarioNet: name a folder of .pkl.")
    return scenarios_of_recordings(map(read_recording, files), dims)


def read_recording(path: Path) -> Recording:
    """What one pickle holds; ConfigError if it is none of ScenarioNet."""
    content = read_pickle(path)
    try:
        return _recording(content, path)
    except ConfigError as error:
        raise ConfigError(f"{shown(path)}: {error}") from None
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ConfigError(
            f"{shown(path)} is not laid out as ScenarioNet does it ({error}): export it anew."
        ) from None


def _recording(content: Any, path: Path) -> Recording:
    """A recording from the dicts of ScenarioNet.

    Raises:
        ConfigError: the message names the key, and not the file.
    """
    metadata, tracks = _dict(content, "metadata"), _dict(content, "tracks")
    frames = _length(content, metadata)
    _check_most("frames of road users", len(tracks) * frames)
    ids = [text_of(x) for x in tracks]
    ego = text_of(_get(metadata, "sdc_id"))
    if ego not in ids:
        raise ConfigError(f"metadata sdc_id {ego!r} is none of the tracks: export the ego too.")
    users = [_track(f"tracks {i}", track, frames) for i, track in tracks.items()]
    xy, yaw, vel, valid, size, kind = (np.array(x) for x in zip(*users, strict=True))
    lines, lanes = _lines(_dict(content, "map_features"))
    lights = _lights(content.get("dynamic_map_states") or {}, lanes, lines, frames)
    name = metadata.get("log_name") or metadata.get("scenario_id") or content.get("id")
    return Recording(
        *(text_of(name or path.stem), path.name, ids.index(ego)),
        *(xy, yaw, vel, valid, size, kind, lines, lights),
    )


def _check_most(what: str, count: int) -> None:
    if count > MOST:
        raise ConfigError(f"it has {count} {what}, more than {MOST}: cut the scene smaller.")


def _get(data: Mapping[Any, Any], key: str) -> Any:
    if key not in data:
        others = ", ".join(map(text_of, [*data][:9])) or "nothing"
        raise ConfigError(f"it has no {key}, only {others}: add it.")
    return data[key]


def _dict(data: Any, key: str) -> Mapping[Any, Any]:
    if not isinstance(data, dict):
        raise ConfigError(f"where {key} should be is a {type(data).__name__}: give a dict.")
    found = _get(data, key)
    if not isinstance(found, dict):
        raise ConfigError(f"{key} is a {type(found).__name__}: give a dict.")
    return found


def _length(content: Mapping[Any, Any], metadata: Mapping[Any, Any]) -> int:
    """How many frames there are, which have to be 0.1 s apart."""
    length = _get(content, "length")
    if type(length) is not int or length < 1:
        raise ConfigError(f"length is {text_of(length)!r}: give the number of frames.")
    times = metadata.get("ts", metadata.get("timestep"))
    steps = np.diff(array("metadata ts", [] if times is None else times).ravel())
    units = np.array([1.0, 1e3, 1e6])  # seconds, milliseconds, microseconds
    if steps.size and not (np.abs(np.median(steps) / units - DT) < DT / 10).any():
        raise ConfigError(f"metadata ts has steps of {np.median(steps):g}: resample it to 0.1 s.")
    return int(length)


def _numbers(what: str, value: Any, frames: int, width: int) -> np.ndarray:
    """Numbers of all frames `[frames, width]`; more columns are left out."""
    rows = array(what, value)
    if rows.ndim == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or len(rows) != frames or rows.shape[1] < width:
        raise ConfigError(
            f"{what} has the shape {rows.shape}: give ({frames}, {width}), a row for each frame."
        )
    return rows[:, :width]


def _track(what: str, track: Any, frames: int) -> tuple[Any, ...]:
    """Position, heading, velocity, validity, size and kind of a road user."""
    state = _dict(track, "state")

    def column(key: str, width: int) -> np.ndarray:
        return _numbers(f"{what} {key}", _get(state, key), frames, width)

    xy, vel, yaw = column("position", 2), column("velocity", 2), column("heading", 1)[:, 0]
    there = np.isfinite(np.column_stack([xy, vel, yaw])).all(1)
    valid = (column("valid", 1)[:, 0] > 0.5) & there
    sizes = [
        _size(column(key, 1)[valid, 0] if key in state else np.zeros(0), usual)
        for key, usual in zip(("length", "width", "height"), USUAL_SIZE, strict=True)
    ]
    return xy, yaw, vel, valid, sizes, USERS.get(text_of(track.get("type")), OTHER)


def _size(values: np.ndarray, usual: float) -> float:
    known = values[np.isfinite(values) & (values > 0)]
    return float(np.median(known)) if known.size else usual


def _lines(features: Mapping[Any, Any]) -> tuple[tuple[Line, ...], Mapping[str, int]]:
    """The parts of the map that are known, and the number of each by its name."""
    known = {text_of(name): x for name, x in features.items() if _kind(x) is not None}
    _check_most("map points", sum(_points_of(x) for x in known.values()))
    numbers = {name: i for i, name in enumerate(known)}
    lines = (_line(name, numbers, x) for name, x in known.items())
    return tuple(line for line in lines if line is not None), numbers


def _points_of(feature: Mapping[str, Any]) -> int:
    points = feature.get("polyline", feature.get("polygon"))
    return len(points) if isinstance(points, (list, tuple)) else np.size(points)


def _kind(feature: Any) -> int | None:
    return PARTS.get(text_of(feature.get("type"))) if isinstance(feature, dict) else None


def _line(name: str, numbers: Mapping[str, int], feature: Mapping[str, Any]) -> Line | None:
    """None where a part has no points; a third column is a height, or of nuScenes a heading."""
    key = next((k for k in ("polyline", "polygon", "position") if feature.get(k) is not None), "")
    if not key:
        raise ConfigError(f"map_features {name} has no polyline, polygon or position: add one.")
    points = np.atleast_2d(array(f"map_features {name} {key}", feature[key]))
    if not points.size:
        return None
    if points.ndim != 2 or points.shape[1] < 2:
        raise ConfigError(f"map_features {name} {key} has the shape {points.shape}: give [n, 2].")
    points = points[np.isfinite(points).all(1)]
    kind = PARTS[feature["type"]]
    if kind == CROSSWALK and key == "polygon":
        points = np.concatenate([points, points[:1]])
    exits = [numbers.get(x) for x in names_in(feature.get("exit_lanes"))]
    return Line(
        *(numbers[name], kind, points[:, :2], points[:, 2] if points.shape[1] > 2 else None),
        _limit(feature),
        _width(feature.get("width")),
        tuple(x for x in exits if x is not None),
    )


def _width(value: Any) -> float:
    """Metres: of a number, or of the distances to both sides at each point `[n, 2]`."""
    if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == 2:
        both = value[(value > 0).all(1)].sum(1)
        value = float(np.median(both)) if both.size else None
    return _positive(value) or USUAL_WIDTH


def _positive(value: Any) -> float:
    """A number above 0; 0 for anything else."""
    real = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return float(value) if real and np.isfinite(value) and value > 0 else 0.0


def _limit(feature: Mapping[str, Any]) -> float:
    """m/s, -1 unknown."""
    kmh, mph = (_positive(feature.get(f"speed_limit_{unit}")) for unit in ("kmh", "mph"))
    return kmh * KMH or mph * MPH or -1.0


def _lights(
    states: Mapping[Any, Any], lanes: Mapping[str, int], lines: tuple[Line, ...], frames: int
) -> tuple[Light, ...]:
    """The lights of lanes that are there; one without a stop point is where its lane begins."""
    begins, found = {line.id: line.xy[0] for line in lines if len(line.xy)}, []
    for name, light in states.items():
        lane = lanes.get(text_of(light.get("lane", name)))
        state = _dict(light, "state")
        where = light.get("stop_point", state.get("stop_point"))
        if lane not in begins or lane is None:
            continue
        xy = begins[lane] if where is None else array(f"light {text_of(name)}", where).ravel()[:2]
        codes = [_code(text_of(name), x) for x in names_in(_get(state, "object_state"))[:frames]]
        codes += [0] * (frames - len(codes))
        if np.isfinite(xy).all() and len(xy) == 2:
            found.append(Light(lane, xy, np.array(codes)))
    return tuple(found)


def _code(light: str, state: str) -> int:
    if state in ("", "(NoneType)"):
        return UNKNOWN_LIGHT
    if state.isdecimal() and int(state) in LIGHTS.values():
        return int(state)
    if state not in LIGHTS:
        raise unknown(f"state of the light {light}", state, LIGHTS)
    return LIGHTS[state]
