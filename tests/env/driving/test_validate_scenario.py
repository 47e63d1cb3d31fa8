"""Every rule of a scenario, broken in one place, is named with field, index, value and remedy."""

import time
from collections import Counter

import numpy as np
import pytest
from scenes_for_io import DIMS, scene

from vibe_rl.env.driving.scenarios.rules import RULES
from vibe_rl.env.driving.scenarios.scenario import Dims, Scenario, padded_scenario, stacked
from vibe_rl.env.driving.scenarios.validate import problems_of_scenario, validate
from vibe_rl.errors import ConfigError

BROKEN = (
    ("log_xy", (1, 3, 0), np.nan, "log_xy[1, 3, 0] is nan: give a finite number"),
    ("path_xy", (0, 2, 1), np.inf, "path_xy[0, 2, 1] is inf: give a finite number"),
    ("conflict_s", (0, 1), -1.0, "conflict_s[0, 1] is -1: give an arc length"),
    ("conflict_other_s", (0, 1), np.nan, "conflict_other_s[0, 1] is nan: give an arc length"),
    ("log_valid", (0, 10), False, "log_valid[0, 10] is False: cut another window"),
    ("log_valid", (0, 12), False, "log_valid[0, 12] is False: cut another window"),
    ("log_valid", (0, 13), False, "log_valid[0, 13] is False: cut another window"),
    ("log_yaw", (1, 5), 3.2, "log_yaw[1, 5] is 3.2: give an angle within (-pi, pi]"),
    ("size", (1, 2), 0.0, "size[1, 2] is 0: give length, width and height above 0"),
    ("obj_type", 1, 5, "obj_type[1] is 5: give a code from 0 to 4"),
    ("reactive", 2, True, "reactive[2] is True: give it a route"),
    ("map_type", 4, 20, "map_type[4] is 20: give a code from -1 to 19"),
    ("map_type", 5, 3, "map_type[5] is 3 (and 1 more): give all points of an id one type"),
    ("map_id", 40, 7, "map_id[40] is 7 (and 1 more): keep all points of an id together"),
    ("map_valid", 40, False, "map_id[41] is 9: keep all points of an id together"),
    ("map_dir", 6, (0.6, 0.9), "map_dir[6] is (0.6, 0.9): divide the direction by its length"),
    ("map_speed", 7, 0.0, "map_speed[7] is 0: give a limit above 0 in m/s, or -1"),
    ("map_width", 8, 0.0, "map_width[8] is 0: give the lane's width"),
    ("light_lane", 0, 12, "light_lane[0] is 12: name a lane"),
    ("light_state", (0, 2), 9, "light_state[0, 2] is 9: give a code from 0 to 8"),
    ("path_valid", (0, 1), False, "path_valid[0, 1] is False: give the logged drive as path 0"),
    ("path_valid", (1, 3), True, "path_valid[1, 2] is False: move the valid points of a path"),
    ("path_s", (0, 4), 3.0, "path_s[0, 4] is 3: give arc lengths that grow"),
    ("path_xy", (0, 5, 0), 5.2, "path_xy[0, 5] is (5.2, 0): resample it"),
    ("path_on_route", 0, False, "path_on_route[0] is False: path 0 leads where the log does"),
    ("route_len", 0, 25.0, "route_len[0] is 25: give a length from 0 to the number of its points"),
    ("route_xy", (0, 5, 0), 4.4, "route_xy[0, 5] is (4.4, 0) (and 1 more): resample it"),
    ("route_yaw", (0, 5), 6.0, "route_yaw[0, 5] is 6 (and 1 more): unwrap the headings"),
    ("route_vref", (1, 0), 0.0, "route_vref[1, 0] is 0: give a speed above 0"),
    ("route_light", 0, 1, "route_light[0] is 1: give the index of a valid light, or -1"),
    ("route_light", 0, 2, "route_light[0] is 2: give the index of a valid light, or -1"),
    ("route_light", 1, -2, "route_light[1] is -2: give the index of a valid light, or -1"),
    ("route_stop_s", 0, 1e6, "route_stop_s[0] is 1e+06: give an arc length"),
    ("conflict_s", (1, 0), 3.0, "conflict_other_s[1, 0] is inf: give both arc lengths"),
    ("must_yield", (1, 0), True, "must_yield[0, 1] is True (and 1 more): let one of two routes"),
    ("agent_route", 1, 3, "agent_route[1] is 3: give the index of a route that has a length"),
    ("agent_route", 1, 2, "agent_route[1] is 2: give the index of a route that has a length"),
    ("agent_s0", 0, 30.0, "agent_s0[0] is 30: start on the route"),
    ("agent_v0", 1, -1.0, "agent_v0[1] is -1: give a speed of 0 or more"),
    ("agent_speed_factor", 0, 0.0, "agent_speed_factor[0] is 0: give one above 0"),
    ("speed_limit_default", (), 0.0, "speed_limit_default is 0: give a limit above 0"),
    ("family", (), 5, "family is 5: give a code from 0 to 4"),
    ("has_edges", (), True, "has_edges is True: give edges where it is True"),
)


def changed(field: str, index, value) -> Scenario:
    """The small scene with one entry of one field changed."""
    s = scene()
    array = np.array(getattr(s, field))
    array[index] = value
    return s._replace(**{field: array})


def test_a_scene_that_keeps_all_rules_has_no_problem():
    assert problems_of_scenario(scene()) == []
    validate(padded_scenario(scene(), DIMS._replace(P=200, L=9, K=3, Q=50, R=9)))


@pytest.mark.parametrize(("field", "index", "value", "sentence"), BROKEN)
def test_a_broken_rule_names_field_index_value_and_remedy(field, index, value, sentence):
    with pytest.raises(ConfigError) as error:
        validate(changed(field, index, value))
    assert str(error.value).startswith(sentence)
    assert str(error.value).endswith(".")


def test_every_rule_is_broken_by_one_of_these():
    remedies = [rule.remedy for rule in RULES]
    met = Counter(
        remedy
        for broken in BROKEN
        for problem in problems_of_scenario(changed(*broken[:3]))
        for remedy in set(remedies)
        if remedy in problem
    )
    assert set(met) == set(remedies)


def test_all_problems_are_listed_at_once():
    s = changed("map_width", 3, -1.0)
    s.size[0] = 0.0
    assert [problem.partition("[")[0] for problem in problems_of_scenario(s)] == [
        "size",
        "map_width",
    ]


def test_the_lane_of_a_light_is_on_the_map_or_on_a_path():
    s = scene()
    s.map_id[:30] = 3
    assert problems_of_scenario(s) == []  # the path lies on it
    s.path_lane[0] = 3
    assert problems_of_scenario(s)[0].startswith("light_lane[0] is 7")


@pytest.mark.parametrize(
    ("field", "array", "sentence"),
    [
        ("size", np.zeros((3, 2), np.float32), "size has the shape (3, 2): give (3, 3)"),
        ("map_xy", np.zeros((80, 2)), "map_xy is of float64: convert it to float32."),
        ("scenario_uid", np.int32(3), "scenario_uid is of int32: convert it to uint32."),
        ("log_yaw", np.zeros(14, np.float32), "log_yaw has the shape (14,)"),
        ("family", 3, "family is of type int: give an array of int32."),
    ],
)
def test_shapes_and_types_are_looked_at_before_anything_else(field, array, sentence):
    found = problems_of_scenario(scene()._replace(**{field: array}))
    assert found[0].startswith(sentence)


def test_a_bank_is_no_scenario():
    assert "give one scenario" in problems_of_scenario(stacked([scene(), scene(2)]))[0]


def test_a_scenario_that_ends_before_an_episode_begins_is_refused():
    assert (
        "log_yaw has 11 frames: give 12" in problems_of_scenario(scene(dims=DIMS._replace(T=11)))[0]
    )


def test_a_scenario_of_the_usual_size_is_validated_within_milliseconds():
    s = scene(dims=Dims())
    times = []
    for _ in range(20):
        begin = time.process_time()
        validate(s)
        times.append(time.process_time() - begin)
    assert min(times) < 0.01
