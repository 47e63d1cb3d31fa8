"""Scenarios as ScenarioNet has them: dicts of arrays, which other programs pickle."""

from typing import Any

import numpy as np

from vibe_rl.env.driving.io.scenarionet.names import LIGHTS, PARTS, USERS
from vibe_rl.env.driving.scenarios.codes import LANES
from vibe_rl.env.driving.scenarios.scenario import DT, EGO, Scenario

VERSION = "0.1"


def to_scenarionet(s: Scenario, group: str) -> dict[str, Any]:
    """The drives, the map and the lights of one scenario; ways and routes are not in it.

    Args:
        s: not a bank.
        group: what it was cut from.
    """
    frames = s.log_yaw.shape[1]
    users = np.flatnonzero(s.log_valid.any(1))
    metadata = {
        "ts": np.arange(frames) * DT,
        "sdc_id": str(EGO),
        "dataset": "vibe_rl",
        "scenario_id": group,
        "coordinate": "right-handed",
    }
    return {
        **{"id": str(int(s.scenario_uid)), "version": VERSION, "length": frames},
        "metadata": metadata,
        "tracks": {str(user): _track(s, user) for user in users.tolist()},
        "dynamic_map_states": {
            str(s.light_lane[light]): _light(s, light)
            for light in np.flatnonzero(s.light_valid).tolist()
        },
        "map_features": _features(s),
    }


def _named(names: dict[str, int], code: int) -> str:
    return next(name for name, x in names.items() if x == code)


def _track(s: Scenario, user: int) -> dict[str, Any]:
    frames, kind = s.log_yaw.shape[1], _named(USERS, int(s.obj_type[user]))
    sizes = zip(("length", "width", "height"), s.size[user], strict=True)
    return {
        "type": kind,
        "state": {
            "position": np.column_stack([s.log_xy[user], np.zeros(frames, np.float32)]),
            "heading": np.asarray(s.log_yaw[user]),
            "velocity": np.asarray(s.log_vel[user]),
            "valid": np.asarray(s.log_valid[user]),
            **{key: np.full(frames, size, np.float32) for key, size in sizes},
        },
        "metadata": {"type": kind, "object_id": str(user), "track_length": frames},
    }


def _light(s: Scenario, light: int) -> dict[str, Any]:
    return {
        "type": "TRAFFIC_LIGHT",
        "state": {"object_state": [_named(LIGHTS, code) for code in s.light_state[light].tolist()]},
        "lane": str(s.light_lane[light]),
        "stop_point": np.append(s.light_xy[light], 0.0),
    }


def _features(s: Scenario) -> dict[str, Any]:
    """Lines of kinds that ScenarioNet has a name for."""
    found = {}
    for line in np.unique(s.map_id[s.map_valid]).tolist():
        there = s.map_valid & (s.map_id == line)
        kind, limit = int(s.map_type[there][0]), float(s.map_speed[there][0])
        if kind not in PARTS.values():
            continue
        lane = {"entry_lanes": [], "exit_lanes": [], "width": float(s.map_width[there][0])}
        found[str(line)] = {
            "type": _named(PARTS, kind),
            "polyline": np.asarray(s.map_xy[there]),
            **(
                lane | {"speed_limit_kmh": limit * 3.6 if limit > 0 else -1}
                if kind in LANES
                else {}
            ),
        }
    return found
