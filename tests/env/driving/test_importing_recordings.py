import logging
import pickle
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scenes_for_io import scene
from tf_example_files import write_tfrecord

from vibe_rl.env.driving.io import load_bank, write_scenarios
from vibe_rl.env.driving.io.importing import importer
from vibe_rl.env.driving.io.recordings.inferred import inferred_limit
from vibe_rl.env.driving.io.scenarionet.writing import to_scenarionet
from vibe_rl.env.driving.io.womd.tfrecord import record_bytes
from vibe_rl.env.driving.scenarios.codes import (
    BIKE_LANE,
    FREEWAY_LANE,
    GREEN,
    OTHER,
    RED,
    ROAD_EDGE,
    SURFACE_LANE,
)
from vibe_rl.env.driving.scenarios.scenario import Dims
from vibe_rl.env.driving.scenarios.validate import problems_of_scenario
from vibe_rl.errors import ConfigError

DIMS = Dims(N=4, P=600, L=3, K=3, Q=100, R=4)
FAR = 8_000_000.0


def row(first, step=0.5):
    return np.array([[x, first[1]] for x in np.arange(first[0], first[0] + 200, step)])


def moved(points, x):
    return np.add(points, (x, 0))


def track(start, frames, speed=10.0, kind="VEHICLE", valid=None):
    t = np.arange(frames) * 0.1
    xyz = np.stack([start[0] + speed * t, np.full(frames, start[1]), np.zeros(frames)], 1)
    valid = np.ones(frames, bool) if valid is None else valid
    state = {"position": xyz, "heading": np.zeros(frames), "valid": valid}
    state["velocity"] = np.tile([speed, 0.0], (frames, 1))
    state |= {"length": np.full((frames, 1), 4.5), "width": np.full(frames, 1.9)}
    return {"type": kind, "state": state, "metadata": {}}


def recorded(frames=91, offset=0.0):
    """A lane that forks, two edges, an ego on it, one vehicle ahead and one far away."""
    lane = {"type": "LANE_SURFACE_STREET", "speed_limit_mph": 30, "width": 3.5}
    left = moved([[120, 0], [160, 4], [260, 40]], offset)
    features = {
        "7": lane | {"polyline": row((offset - 80, 0)), "exit_lanes": [8, 9]},
        "8": lane | {"polyline": row((offset + 120, 0)).tolist(), "entry_lanes": [7]},
        "9": lane | {"polyline": [tuple(x) for x in left.tolist()], "entry_lanes": [7]},
        "e1": {"type": "ROAD_EDGE_BOUNDARY", "polyline": row((offset - 80, -2))},
        "e2": {"type": "ROAD_EDGE_BOUNDARY", "polyline": row((offset - 80, 2))[::-1]},
        "x": {"type": "CROSSWALK", "polygon": moved([[9, -2], [12, -2], [12, 2]], offset)},
        "s": {"type": "STOP_SIGN", "position": np.array([offset + 20, 3, 0]), "lane": [7]},
        "d": {"type": "DRIVEWAY", "polygon": np.zeros((4, 2))},
    }
    states = ["LANE_STATE_STOP"] * (frames - 60) + [None] * 10 + ["LANE_STATE_GO"] * 50
    stop = np.array([offset + 110, 0, 0])
    light = {"type": "TRAFFIC_LIGHT", "state": {"object_state": states}, "lane": 7}
    tracks = {
        "far": track((offset + 70, 0), frames, kind="TRAFFIC_CONE", speed=0.0),
        "ego": track((offset, 0), frames),
        "near": track((offset + 20, 0), frames),
    }
    return {
        **{"id": "one", "version": "0.4", "length": frames, "tracks": tracks},
        "metadata": {"sdc_id": "ego", "scenario_id": "log-1", "ts": np.arange(frames) * 0.1},
        "dynamic_map_states": {"7": light | {"stop_point": stop}},
        "map_features": features,
    }


def imported(content, tmp_path, dims=DIMS, kind="scenarionet"):
    path = tmp_path / "sd_one.pkl"
    path.write_bytes(pickle.dumps(content, 4))
    return [*importer(kind)(tmp_path, dims)]


def valid(s):
    assert problems_of_scenario(s) == []
    return s


def test_a_scene_becomes_a_scenario_that_can_be_driven(tmp_path):
    [(group, s)] = imported(recorded(), tmp_path)
    valid(s)
    assert group == "log-1"
    assert s.obj_type[:3].tolist() == [1, 1, OTHER]
    np.testing.assert_allclose(s.log_xy[0, [0, 10]], [[-10, 0], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(s.size[0], [4.5, 1.9, 1.6])
    assert s.reactive.tolist() == [False, True, False, False]
    assert s.has_edges
    lanes = s.map_valid & (s.map_type == SURFACE_LANE)
    np.testing.assert_allclose(s.map_speed[lanes], 30 * 0.44704, rtol=1e-6)
    np.testing.assert_allclose(s.map_width[lanes], 3.5)
    assert (s.map_speed[s.map_valid & (s.map_type == ROAD_EDGE)] == -1).all()


def test_the_map_is_a_metre_fine_and_reaches_60_m_around_the_drive(tmp_path):
    [(_, s)] = imported(recorded(), tmp_path, DIMS._replace(P=900))
    xy, ids = s.map_xy[s.map_valid], s.map_id[s.map_valid]
    assert xy[:, 0].min() > -70.01
    assert 139 < xy[:, 0].max() < 140.01
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)[np.diff(ids) == 0]
    assert np.median(steps) == pytest.approx(1, abs=0.01)


def test_where_slots_are_few_the_map_is_cut_nearer_to_the_drive(tmp_path):
    [(_, s)] = imported(recorded(), tmp_path, DIMS._replace(P=450))
    assert s.map_xy[:, 0].max() < 115


def test_lights_have_their_lane_stop_point_and_codes(tmp_path):
    [(_, s)] = imported(recorded(), tmp_path)
    assert s.light_valid.tolist() == [True, False, False]
    np.testing.assert_allclose(s.light_xy[0], [100, 0])
    assert s.light_state[0, [0, 30, 31, 40, 41, 90]].tolist() == [RED, RED, 0, 0, GREEN, GREEN]
    lane = s.map_xy[s.map_valid & (s.map_id == s.light_lane[0])]
    np.testing.assert_allclose(lane[:, 1], 0, atol=1e-6)


def test_paths_follow_exits_that_are_numbers_where_the_keys_are_text(tmp_path):
    [(_, s)] = imported(recorded(), tmp_path, DIMS._replace(Q=180))
    assert s.path_valid.any(1).tolist() == [True, True, False]
    assert s.path_on_route.tolist() == [True, True, False]  # they part behind the log's end
    ends = [s.path_xy[k, s.path_valid[k]][-1] for k in range(2)]
    assert abs(ends[0][1]) < 0.01
    assert ends[1][1] > 5


def test_a_path_that_parts_before_the_log_ends_is_not_on_the_route(tmp_path):
    content = recorded()
    features = content["map_features"]
    features["7"]["polyline"] = row((-80, 0))[:240]  # it ends at x = 39.5
    features["8"]["polyline"] = row((40, 0))
    features["9"]["polyline"] = np.array([[40.0, 0], [60, 10], [120, 80]])
    [(_, s)] = imported(content, tmp_path)
    assert s.path_on_route.tolist() == [True, False, False]


def test_without_any_exits_lanes_follow_where_their_ends_meet(tmp_path):
    content = recorded()
    for feature in content["map_features"].values():
        feature.pop("exit_lanes", None)
    content["map_features"]["9"]["polyline"] = np.array([[119.6, 0.2], [160, 4], [260, 40]])
    [(_, s)] = imported(content, tmp_path, DIMS._replace(Q=180))
    assert s.path_valid.any(1).tolist() == [True, True, False]


def test_a_path_has_the_lane_that_it_takes_where_lanes_begin_on_each_other(tmp_path):
    content = recorded()
    features = content["map_features"]
    features["7"]["polyline"] = row((-80, 0))[:281]  # it ends at x = 60
    straight = np.column_stack([np.arange(60.0, 260), np.zeros(200)])
    features["8"]["polyline"] = straight
    bend = np.linspace(0, np.pi / 2, 60)
    features["9"]["polyline"] = [60, 0] + 30 * np.column_stack([np.sin(bend), 1 - np.cos(bend)])
    features = {"9": features.pop("9"), **features}  # the other turn comes first
    content["map_features"] = features
    light = content["dynamic_map_states"].pop("7")
    for lane, state in (("8", "LANE_STATE_GO"), ("9", "LANE_STATE_ARROW_STOP")):
        content["dynamic_map_states"][lane] = light | {
            **{"lane": lane, "state": {"object_state": [state] * 91}},
            "stop_point": [61.0, 0, 0],
        }
    [(_, s)] = imported(content, tmp_path, DIMS._replace(Q=90))
    valid(s)
    green, red = (s.light_lane[s.light_state[:, 0] == code][0] for code in (GREEN, 1))
    taken = [set(s.path_lane[k, s.path_valid[k]].tolist()) for k in range(2)]
    assert green in taken[0]
    assert red not in taken[0]
    assert red in taken[1]
    assert green not in taken[1]


def test_the_way_of_the_log_is_found_among_more_than_can_be_looked_at(tmp_path):
    content, lane = recorded(), {"type": "LANE_SURFACE_STREET"}
    content["dynamic_map_states"] = {}
    features = {"0": lane | {"polyline": [[-20, 0], [0, 0]], "exit_lanes": range_names(0)}}
    for x in range(9):  # four lanes onward at every 10 m, three of which come back to the others
        for side in range(4):
            bow = 1.5 * (side - 3)
            line = [[10.0 * x, 0], [10.0 * x + 5, bow], [10.0 * x + 10, 0]]
            features[f"{x}-{side}"] = lane | {"polyline": line, "exit_lanes": range_names(x + 1)}
    beside = lane | {"polyline": [[-20, 2], [0, 2]], "exit_lanes": ["0-0"]}  # it begins here too
    content["map_features"] = {"beside": beside, **features}
    [(_, s)] = imported(content, tmp_path)
    np.testing.assert_allclose(s.path_xy[0, s.path_valid[0], 1], 0, atol=1e-5)
    assert s.path_valid[0].sum() == 91  # to the last lane's end: it is not the drive itself


def range_names(x):
    return [f"{x}-{side}" for side in range(4)]


def test_lanes_that_overlap_at_their_ends_make_a_path_that_does_not_turn_back(tmp_path):
    content = recorded()
    for feature in content["map_features"].values():
        feature.pop("exit_lanes", None)
    content["map_features"]["7"]["polyline"] = row((-80, 0))[:281]
    content["map_features"]["8"]["polyline"] = row((59.2, 0.1))
    [(_, s)] = imported(content, tmp_path)
    assert np.diff(valid(s).path_xy[0, s.path_valid[0], 0]).min() > 0.9


def test_an_ego_off_all_lanes_has_its_own_drive_as_path(tmp_path):
    content = recorded()
    content["tracks"]["ego"] = track((0, 30), 91)
    [(_, s)] = imported(content, tmp_path)
    np.testing.assert_allclose(s.path_xy[0, 0], s.log_xy[0, 0], atol=1e-5)
    assert s.path_valid[0].all()


def test_without_edges_and_lights_lanes_say_where_the_road_ends(tmp_path):
    content = recorded()
    content["dynamic_map_states"] = {}
    for name in ("e1", "e2"):
        del content["map_features"][name]
    lane = content["map_features"]["7"]
    lane["polyline"] = np.column_stack([lane["polyline"], np.full(400, 3.1)])  # a heading
    [(_, s)] = imported(content, tmp_path)
    assert not valid(s).has_edges
    assert not s.light_valid.any()


def test_edges_that_have_the_log_on_their_right_do_not_bound_the_road(tmp_path):
    content = recorded()
    for name in ("e1", "e2"):
        features = content["map_features"][name]
        features["polyline"] = features["polyline"][::-1]
    [(_, s)] = imported(content, tmp_path)
    assert not valid(s).has_edges
    assert (s.map_type == ROAD_EDGE).any()


@pytest.mark.parametrize(
    ("kind", "fastest", "mph"),
    [
        *((SURFACE_LANE, 0.0, 25), (SURFACE_LANE, 12.0, 35), (SURFACE_LANE, 40.0, 45)),
        *((FREEWAY_LANE, 10.0, 70), (FREEWAY_LANE, 33.0, 70), (BIKE_LANE, 5.0, 25)),
    ],
)
def test_limits_that_nobody_says_follow_from_the_lane_and_the_log(kind, fastest, mph):
    assert inferred_limit(kind, fastest) == pytest.approx(mph * 0.44704)


def test_velocities_that_are_nothing_although_somebody_moves_are_differences(tmp_path):
    content = recorded()
    state = content["tracks"]["near"]["state"]
    state["velocity"] = state["velocity"].copy()
    state["velocity"][[0, 40, 90]] = 0.0
    [(_, s)] = imported(content, tmp_path)
    np.testing.assert_allclose(s.log_vel[1], [[10.0, 0.0]] * 91, atol=1e-4)
    assert (s.log_vel[2] == 0).all()


def test_far_coordinates_lose_nothing(tmp_path):
    [(_, near)] = imported(recorded(), tmp_path)
    [(_, far)] = imported(recorded(offset=FAR), tmp_path)
    for field in ("log_xy", "map_xy", "path_xy", "light_xy"):
        np.testing.assert_allclose(getattr(far, field), getattr(near, field), atol=1e-4)


def test_long_recordings_are_cut_into_windows_of_one_group(tmp_path):
    found = imported(recorded(frames=191), tmp_path)
    assert [group for group, _ in found] == ["log-1"] * 3
    assert len({int(s.scenario_uid) for _, s in found}) == 3
    for _, s in found:
        np.testing.assert_allclose(valid(s).log_xy[0, 10], 0, atol=1e-6)


def test_windows_in_which_the_ego_is_missing_are_left_out(tmp_path):
    content, there = recorded(frames=191), np.ones(191)  # floats, as some files have them
    there[45] = 0.0
    content["tracks"]["ego"] = track((0, 0), 191, valid=there)
    assert len(imported(content, tmp_path)) == 1  # that from frame 80 on


def test_a_log_name_is_the_group_of_all_scenes_of_a_drive(tmp_path):
    content = recorded()
    content["metadata"]["log_name"] = "drive-3"
    assert imported(content, tmp_path)[0][0] == "drive-3"


def test_overpasses_are_left_out_and_counted(tmp_path, caplog):
    content = recorded()
    above = np.column_stack([row((-80, -2)), np.full(400, 6.0)])
    content["map_features"]["e3"] = {"type": "ROAD_EDGE_MEDIAN", "polyline": above}
    level = np.column_stack([row((-80, -2)), np.zeros(400)])
    content["map_features"]["e1"]["polyline"] = level
    with caplog.at_level(logging.WARNING, "vibe_rl"):
        assert imported(content, tmp_path) == []
    assert "Left out: 1 recordings with an overpass" in caplog.text


def test_a_scenario_that_is_exported_comes_back(tmp_path):
    s = scene(dims=Dims(N=3, P=80, L=2, K=2, Q=60, R=3))
    path = tmp_path / "own.pkl"
    path.write_bytes(pickle.dumps(to_scenarionet(s, "mine"), 4))
    [(group, back)] = importer("scenarionet")(path, Dims(N=3, P=80, L=2, K=2, Q=60, R=3))
    assert group == "mine"
    origin = s.log_xy[0, 10]
    np.testing.assert_allclose(back.log_xy[:2], s.log_xy[:2] - origin, atol=1e-4)
    np.testing.assert_array_equal(back.light_state, s.light_state)
    np.testing.assert_allclose(back.map_xy[:60], s.map_xy[:60] - origin, atol=1e-4)
    np.testing.assert_allclose(back.map_speed[:60], 13, rtol=1e-5)
    np.testing.assert_array_equal(back.obj_type, s.obj_type)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.pop("tracks"), "it has no tracks"),
        (lambda x: x["metadata"].update(sdc_id="who"), "metadata sdc_id 'who' is none"),
        (lambda x: x.update(length="91"), "length is '91'"),
        (lambda x: x.update(map_features=[1]), "map_features is a list"),
        (lambda x: x["metadata"].update(ts=np.arange(91) * 0.5), "ts has steps of 0.5"),
        (lambda x: x["tracks"]["far"]["state"].pop("heading"), "it has no heading"),
        (
            lambda x: x["tracks"]["far"]["state"].update(position=np.zeros((90, 3))),
            r"tracks far position has the shape \(90, 3\)",
        ),
        (lambda x: x["map_features"]["7"].update(polyline=[[1], [1, 2]]), "rows of one length"),
        (
            lambda x: x["dynamic_map_states"]["7"]["state"].update(object_state=["BLUE"] * 91),
            "state of the light 7",
        ),
        (lambda x: x["tracks"].update(far=3), "where state should be is a int"),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_its_file(change, message, tmp_path):
    content = recorded()
    change(content)
    with pytest.raises(ConfigError, match=rf"sd_one\.pkl.*{message}"):
        imported(content, tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, 1e200, -5e4])
@pytest.mark.parametrize("part", ["position", "velocity", "heading", "length", "map", "light"])
def test_numbers_that_cannot_be_leave_the_rest_as_it_is(part, value, tmp_path):
    content = recorded()
    features, near = content["map_features"], content["tracks"]["near"]["state"]
    if part == "map":
        features["8"]["polyline"][100] = [value, value]
        features["e1"]["polyline"][7] = value
        features["7"]["speed_limit_mph"] = value
    elif part == "light":
        content["dynamic_map_states"]["7"]["stop_point"] = np.full(3, value)
    else:
        near[part] = np.array(near[part], np.float64)
        near[part][50] = value
    [(_, s)] = imported(content, tmp_path)
    assert valid(s).log_valid[0].all()
    assert np.abs(s.log_xy).max() < 101
    assert np.abs(s.map_xy).max() < 200


def test_a_map_longer_than_any_is_refused(tmp_path):
    content = recorded()
    content["map_features"]["8"]["polyline"] = [[0.0, 9000.0 * (-1) ** i] for i in range(300)]
    with pytest.raises(ConfigError, match=r"sd_one\.pkl has lines of 53\d\d km within 10 km"):
        imported(content, tmp_path)


def test_edges_with_many_points_at_one_place_take_no_memory(tmp_path):
    content = recorded()
    content["map_features"]["e3"] = {
        "type": "ROAD_EDGE_BOUNDARY",
        "polyline": np.tile([50.0, 2.0, 0.0], (60_000, 1)),
    }
    assert len(imported(content, tmp_path)) == 1


def endless():
    """A list of 300 lists of 300 lists and so on, which are one and the same each time."""
    value = [0.0] * 300
    for _ in range(5):
        value = [value] * 300
    return value


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x["tracks"]["far"]["state"].update(position=endless()),
        lambda x: x["tracks"]["far"].update(type=endless()),
        lambda x: x["map_features"]["7"].update(polyline=endless()),
        lambda x: x["map_features"]["7"].update(exit_lanes=endless()),
        lambda x: x["map_features"]["7"].update(width=endless()),
        lambda x: x["metadata"].update(sdc_id=endless()),
        lambda x: x["metadata"].update(scenario_id=endless()),
        lambda x: x["metadata"].update(ts=endless()),
        lambda x: x["dynamic_map_states"]["7"].update(stop_point=endless()),
        lambda x: x["dynamic_map_states"]["7"].update(lane=endless()),
        lambda x: x["dynamic_map_states"]["7"]["state"].update(object_state=endless()),
        lambda x: x.update(map_features=dict.fromkeys(range(30_000), MANY)),
        lambda x: x.update(length=10**9),
    ],
)
def test_lists_that_are_shared_without_end_are_not_walked(change, tmp_path):
    content = recorded()
    change(content)
    with suppress(ConfigError):
        imported(content, tmp_path)


MANY = {"type": "LANE_FREEWAY", "polyline": [(0.0, 0.0)] * 5000}


def test_a_folder_without_scenarios_is_refused(tmp_path):
    for kind in ("scenarionet", "womd"):
        with pytest.raises(ConfigError, match="name a folder of"):
            [*importer(kind)(tmp_path, DIMS)]


def features_of(users=3, samples=900):
    """The scene of `recorded` as ScenarioMax writes it: float32, time in three parts."""
    x0, valid = np.array([70.0, 0, 20])[:users], np.ones((users, 91), np.int64)
    t = np.arange(91) * 0.1
    speed = np.array([0.0, 10, 10])[:users, None]
    over_time = {
        **{"x": x0[:, None] + speed * t, "y": np.zeros((users, 91))},
        **{"bbox_yaw": np.zeros((users, 91)), "velocity_x": speed + 0 * t},
        **{"velocity_y": np.zeros((users, 91)), "valid": valid},
        **{"length": np.full((users, 91), 4), "width": np.full((users, 91), 2)},
        "height": np.full((users, 91), 1.5),
    }
    parts = {"past": slice(0, 10), "current": slice(10, 11), "future": slice(11, 91)}
    found = {"scenario/id": [b"womd-1"]}
    for part, when in parts.items():
        for key, values in over_time.items():
            kind = np.int64 if key == "valid" else np.float32
            found[f"state/{part}/{key}"] = values[:, when].astype(kind)
        frames = when.stop - when.start
        light = {"state": 4, "valid": 1, "id": 70}
        for key, value in light.items():
            array = np.full((frames, 2), -1 if key != "valid" else 0, np.int64)
            array[:, 1] = value
            found[f"traffic_light_state/{part}/{key}"] = array
        for key, value in {"x": 50.0, "y": 0.0}.items():
            found[f"traffic_light_state/{part}/{key}"] = np.full((frames, 2), value, np.float32)
    found["state/id"] = np.arange(users, dtype=np.float32)
    found["state/type"] = np.float32([2, 1, 1])[:users]
    found["state/is_sdc"] = np.int64([0, 1, 0])[:users]
    xyz = np.full((samples, 3), -1, np.float32)
    ids, kinds = np.full(samples, -1), np.full(samples, -1)
    for i, (number, kind, y) in enumerate([(70, 2, 0), (71, 15, -2), (72, 15, 2)]):
        there = slice(250 * i, 250 * (i + 1))
        xyz[there] = np.column_stack([np.arange(250) - 60, np.full(250, y), np.zeros(250)])
        ids[there], kinds[there] = number, kind
    found |= {"roadgraph_samples/xyz": xyz, "roadgraph_samples/id": ids}
    found |= {"roadgraph_samples/type": kinds, "roadgraph_samples/valid": (ids >= 0).astype(int)}
    return found


def with_paths(found):
    xyz = np.zeros((2, 100, 3), np.float32)
    xyz[0, :, 0] = np.arange(100) * 1.01 - 20
    xyz[1, :, 0], xyz[1, :, 1] = np.arange(100) * 1.01, np.arange(100) * 0.2
    valid = np.ones((2, 100), np.int64)
    valid[1, 60:] = 0
    on_route = np.array([[1], [0]])
    keys = {"xyz": xyz, "valid": valid, "on_route": on_route}
    return found | {f"path_samples/{key}": x for key, x in keys.items()}


def womd(tmp_path, *records):
    write_tfrecord(tmp_path / "a.tfrecord-00000-of-00001", *records)
    return [*importer("womd")(tmp_path, DIMS)]


def test_a_record_becomes_a_scenario_that_can_be_driven(tmp_path):
    [(group, s)] = womd(tmp_path, features_of())
    valid(s)
    assert group == "womd-1"
    assert s.obj_type.tolist() == [1, 1, 2, 0]
    np.testing.assert_allclose(s.log_xy[0, [0, 10]], [[-10, 0], [0, 0]], atol=1e-5)
    np.testing.assert_allclose(s.size[:3], [[4, 2, 1.5]] * 3)
    assert s.light_state[0].tolist() == [RED] * 91  # time comes before the light there
    np.testing.assert_allclose(s.light_xy[0], [40, 0])
    assert s.light_lane[0] == 70
    lanes = s.map_valid & (s.map_type == SURFACE_LANE)
    np.testing.assert_allclose(s.map_speed[lanes], 25 * 0.44704)  # the first above 10 m/s
    assert (s.map_speed[s.map_valid & ~lanes] == -1).all()
    assert s.path_lane[0, s.path_valid[0]][0] == 70


def test_a_map_limit_in_miles_an_hour_is_read_where_it_is_there(tmp_path):
    found = features_of()
    found["roadgraph_samples/speed_limit"] = np.full(900, 25, np.float32)
    [(_, s)] = womd(tmp_path, found)
    assert s.map_speed[0] == pytest.approx(25 * 0.44704)


def test_paths_of_a_record_are_cut_and_sorted_by_the_log(tmp_path):
    [(_, s)] = womd(tmp_path, with_paths(features_of()))
    np.testing.assert_allclose(s.path_xy[0, 0], s.log_xy[0, 0], atol=0.6)


def test_several_records_of_shards_are_read(tmp_path):
    for i in range(2):
        write_tfrecord(tmp_path / f"a-0000{i}-of-00002", features_of(), features_of())
    found = [*importer("womd")(tmp_path / "a@2", DIMS)]
    assert len({int(s.scenario_uid) for _, s in found}) == 4


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("state/id", None, "state/id is missing"),
        ("state/past/x", np.zeros(29, np.float32), "state/past/x has 29 values: give 3 x 10"),
        ("state/past/x", [b"a"], "state/past/x has no numbers"),
        ("state/is_sdc", np.int64([1, 1, 0]), "state/is_sdc is 1 for 2 road users"),
        ("roadgraph_samples/xyz", np.zeros(8, np.float32), "900 x 3"),
        ("traffic_light_state/past/id", np.zeros(3, np.int64), "has 3 values: give 10 x 2"),
    ],
)
def test_what_a_record_lacks_is_named_with_file_and_byte(key, value, message, tmp_path):
    found = features_of() | {key: value}
    found = {k: v for k, v in found.items() if v is not None}
    with pytest.raises(ConfigError, match=rf"a\.tfrecord.* at byte 0: .*{message}"):
        womd(tmp_path, found)


def test_a_record_that_is_no_example_is_refused(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(record_bytes(b"\x0a\x05abc"))
    with pytest.raises(ConfigError, match=r"at byte 0 is no record of WOMD .*: get it anew"):
        [*importer("womd")(tmp_path, DIMS)]


def test_imported_scenarios_are_a_set_that_loads(tmp_path):
    source = tmp_path / "from"
    source.mkdir()
    found = imported(recorded(frames=191), source)
    write_scenarios(tmp_path / "set", found)
    bank = load_bank(Path(tmp_path / "set"), split="all")
    assert len(bank.scenario_uid) == 3
