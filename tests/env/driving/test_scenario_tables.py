"""Scenarios as tables: there and back, written by hand, and what is refused."""

import numpy as np
import pytest
from scenes_for_io import DIMS, LANE, scene

from vibe_rl import extras
from vibe_rl.env.driving.io import write_scenarios
from vibe_rl.env.driving.io.tables.files import read_tables, write_tables
from vibe_rl.env.driving.scenarios.codes import RED, ROAD_EDGE
from vibe_rl.env.driving.scenarios.scenario import NO_STOP_LINE, Dims, Scenario
from vibe_rl.env.driving.scenarios.validate import problems_of_scenario
from vibe_rl.errors import ConfigError

COMPUTED = {field for field in Scenario._fields if field.startswith(("route", "agent", "conflict"))}
ROOMY = DIMS._replace(P=200, Q=60, R=4)


def scenes() -> list[Scenario]:
    bent = scene(5, speed=8.0)
    angle = 0.02 * np.arange(bent.path_s.shape[1])
    bent.path_xy[1] = 50 * np.stack([np.sin(angle), 1 - np.cos(angle)], 1)
    bent.path_s[1] = np.arange(len(angle))
    bent.path_lane[1], bent.path_valid[1] = LANE, True
    bent.log_valid[1, 3] = False
    bent.log_xy[1, 3] = bent.log_vel[1, 3] = 0.0
    return [scene(9), bent]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_set_goes_into_tables_and_back(tmp_path, kind):
    groups = ["first", "second, with a comma"]
    write_scenarios(tmp_path / "set", zip(groups, scenes(), strict=True))
    write_tables(kind, tmp_path / "set", tmp_path / kind)
    read = list(read_tables(kind, tmp_path / kind, DIMS))
    assert [group for group, _ in read] == groups
    for (_, got), written in zip(read, scenes(), strict=True):
        assert problems_of_scenario(got) == []
        for field in {*Scenario._fields} - COMPUTED - {"must_yield"}:
            a, b = getattr(got, field), getattr(written, field)
            np.testing.assert_allclose(a, b, atol=1e-3, err_msg=field)


def test_routes_are_those_of_the_logs_and_conflict_with_nothing(tmp_path):
    write_scenarios(tmp_path / "set", scenes())
    write_tables("csv", tmp_path / "set", tmp_path / "csv")
    _, got = next(read_tables("csv", tmp_path / "csv", DIMS))
    assert got.agent_route.tolist() == [0, 1, -1]
    assert got.route_len.tolist() == [DIMS.Q - 1, DIMS.Q - 1, 0]
    np.testing.assert_allclose(got.route_xy[1, :, 1], 4.0)
    np.testing.assert_allclose(got.route_vref[0], 13.0)
    assert got.agent_v0.tolist() == [5.0, 5.0, 0.0]
    assert not np.isfinite(got.conflict_s).any()
    assert (got.route_stop_s == NO_STOP_LINE).all()
    assert got.reactive.tolist() == [False, True, False]


BY_HAND = {
    "scenario": "uid\n3\n",
    "tracks": "uid,obj,t,x,y,yaw,vx,vy,length,width\n"
    + "".join(f"3,0,{t},{t},0,6.283185307,10,0,4.5,2\n" for t in range(14))
    + "3,8,2,30,4,-3.2,0,0,4,2\n",
    "map": "uid,id,type,seq,x,y\n3,4,2,1,50,0\n3,4,2,0,-10,0\n3,6,15,0,0,-2\n3,6,15,1,50.4,-2\n",
    "lights": "uid,light,lane,t,x,y,state\n3,2,4,5,20,0,4\n",
}


def by_hand(tmp_path, **tables):
    """A directory with these tables, those of `BY_HAND` unless changed; None leaves one out."""
    for name, text in (BY_HAND | tables).items():
        if text is not None:
            (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def read_by_hand(tmp_path, **tables) -> Scenario:
    [(_, got)] = read_tables("csv", by_hand(tmp_path, **tables), ROOMY)
    return got


def test_few_points_written_by_hand_become_a_scenario(tmp_path):
    [(group, got)] = read_tables("csv", by_hand(tmp_path), ROOMY)
    assert problems_of_scenario(got) == []
    assert group == "imported/3"
    lane = got.map_xy[got.map_id == 4]
    np.testing.assert_allclose(lane[:, 0], np.arange(-10, 51))
    edge = got.map_xy[got.map_type == ROAD_EDGE]
    np.testing.assert_allclose(edge[[0, -1], 0], [0, 50.4], atol=1e-5)
    assert got.has_edges
    assert got.light_state[0].tolist() == [0] * 5 + [RED] * 9
    np.testing.assert_allclose(got.log_yaw[0], 0, atol=1e-6)
    np.testing.assert_allclose(got.log_yaw[1, 2], 2 * np.pi - 3.2, atol=1e-6)
    assert got.log_valid[1].tolist() == [False, False, True] + [False] * 11


def test_without_paths_the_logged_drive_is_the_path_and_goes_on_straight(tmp_path):
    got = read_by_hand(tmp_path)
    assert got.path_valid.sum(1).tolist() == [ROOMY.Q, 0]
    np.testing.assert_allclose(got.path_xy[0], [[x, 0] for x in range(ROOMY.Q)], atol=1e-5)
    assert got.path_lane[0, :54].tolist() == [4] * 54
    assert got.path_lane[0, 56] == -1
    assert got.path_on_route.tolist() == [True, False]


def test_paths_of_few_points_are_resampled_and_known_to_lead_where_the_log_does(tmp_path):
    paths = "uid,path,seq,x,y\n3,0,0,0,0\n3,0,1,20.5,0\n3,1,0,0,0\n3,1,1,0,10\n"
    got = read_by_hand(tmp_path, paths=paths)
    assert got.path_valid.sum(1).tolist() == [21, 11]
    np.testing.assert_allclose(got.path_s[0, :21], np.arange(21), atol=1e-5)
    assert got.path_on_route.tolist() == [True, False]


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"map": None}, r"there is no .*map\.csv: give the tables scenario, tracks, map"),
        ({"scenario": ""}, r"scenario\.csv is no CSV table"),
        ({"scenario": "uid\n3\n3\n"}, "the table scenario has uids twice"),
        ({"scenario": "uid\n4\n"}, "the table .* has rows of uid 3: add it to the table scenario"),
        (
            {"scenario": "uid,famly\n3,0\n"},
            "unknown column of .*scenario.csv 'famly': did you mean",
        ),
        ({"scenario": "uid,family\n3,city\n"}, "scenario 3: unknown family 'city'"),
        ({"map": "uid,id,type,seq,x\n"}, r"map\.csv has no column y: give uid, id, type"),
        (
            {"map": "uid,id,type,seq,x,y\n3,4,2,0,a,0\n"},
            r"map\.csv has x 'a' in row 1: give a numb",
        ),
        ({"map": "uid,id,type,seq,x,y\n3,4.5,2,0,1,0\n"}, r"has id '4\.5' in row 1: give a whole"),
        ({"map": "uid,id,type,seq,x,y\n3,4,2,0,nan,0\n"}, "has x 'nan' in row 1: give a number"),
        ({"map": "uid,id,type,seq,x,y\n3,4,2,0,1\n"}, r"map\.csv has 5 values in row 1: give 6"),
        (
            {"map": "uid,id,type,seq,x,y\n3,4,2,0,0,0\n3,4,2,0,1,0\n"},
            r"scenario 3: the table map has \[4, 0\] twice",
        ),
        ({"map": "uid,id,type,seq,x,y\n3,4,2,0,0,0\n3,4,2,1,300,0\n"}, "301 map points where P is"),
        (
            {"map": "uid,id,type,seq,x,y\n3,4,2,0,0,0\n3,4,2,1,1e30,0\n"},
            r"scenario 3: a line or a drive is 1e\+30 m long: give 100,000 m at most",
        ),
        ({"tracks": BY_HAND["tracks"].replace("3,0,", "3,1,")}, "no rows of obj 0, the ego"),
        ({"tracks": BY_HAND["tracks"].replace("3,8,2", "3,8,14")}, "has t 14: give frames from 0"),
        (
            {"tracks": BY_HAND["tracks"] + "".join(f"3,{9 + i},0,0,0,0,0,0,4,2\n" for i in (0, 1))},
            "it has 4 objects where N is 3: leave some away",
        ),
        ({"paths": "uid,path,seq,x,y\n3,2,0,0,0\n"}, "has path 2: number them 0 to 1"),
        ({"lights": "uid,light,lane,t,x,y,state\n3,2,4,-1,20,0,4\n"}, "lights has t -1"),
    ],
)
def test_tables_that_are_wrong_are_refused(tmp_path, tables, sentence):
    with pytest.raises(ConfigError, match=sentence) as error:
        read_by_hand(tmp_path, **tables)
    assert "\n" not in str(error.value)


def test_unknown_kinds_and_files_of_another_kind_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="unknown kind of tables 'xlsx'"):
        read_tables("xlsx", tmp_path)
    (tmp_path / "scenario.parquet").write_text("no")
    with pytest.raises(ConfigError, match=r"scenario\.parquet is no Parquet table"):
        read_tables("parquet", tmp_path)


def test_without_pyarrow_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    (tmp_path / "scenario.parquet").touch()
    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(
        ConfigError, match=r"Parquet tables need pyarrow: pip install 'vibe-rl\[sce"
    ):
        read_tables("parquet", tmp_path, Dims())
