"""`vibe-rl scenarios` writes, converts, checks and shows sets of scenarios."""

import sys
from dataclasses import asdict
from functools import partial
from types import ModuleType

import numpy as np
import pytest

from vibe_rl.cli import main
from vibe_rl.env.driving.io import (
    ScenarioStream,
    load_bank,
    npz,
    read_manifest,
    write_scenarios,
)
from vibe_rl.env.driving.io.manifest import write_manifest
from vibe_rl.env.driving.knobs import Knobs
from vibe_rl.env.driving.scenarios.codes import SURFACE_LANE, VEHICLE
from vibe_rl.env.driving.scenarios.scenario import DT, Dims, empty_scenario, stacked
from vibe_rl.errors import ConfigError

TABLES = {
    "scenario": "uid,group,family\n3,a,merge\n4,b,highway\n",
    "tracks": "uid,obj,t,x,y,yaw,vx,vy,length,width\n"
    + "".join(f"{uid},0,{t},{t},0,0,10,0,4.5,2\n" for uid in (3, 4) for t in range(14)),
    "map": "uid,id,type,seq,x,y\n"
    + "".join(f"{u},4,2,{i},{90 * i},0\n" for u in (3, 4) for i in (0, 1)),
}
SLOTS = "N=2,T=14,P=100,L=1,K=1,Q=30,R=2"


def straight(uid: int, family: int = 0):
    """An ego alone on a straight lane."""
    s = empty_scenario(Dims(N=1, T=12, P=30, L=1, K=1, Q=20, R=1))
    along = np.arange(30.0)
    s.log_xy[0, :, 0] = 10 * DT * np.arange(12)
    s.log_vel[0, :, 0], s.log_valid[0] = 10.0, True
    s.size[0], s.obj_type[0] = (4.5, 1.9, 1.6), VEHICLE
    s.map_xy[:, 0], s.map_dir[:, 0] = along, 1.0
    s.map_type[:], s.map_id[:], s.map_width[:], s.map_valid[:] = SURFACE_LANE, 1, 3.7, True
    s.path_xy[0, :, 0], s.path_s[0] = along[:20], along[:20]
    s.path_valid[0], s.path_lane[0], s.path_on_route[0] = True, 1, True
    facts = {"family": np.int32(family), "scenario_uid": np.uint32(uid)}
    return s._replace(speed_limit_default=np.float32(13), **facts)


@pytest.fixture
def generator(monkeypatch):
    """Stands in for the procedural generator; notes what it was asked for."""
    module, asked = ModuleType("vibe_rl.env.driving.generate"), []

    def generate(seed, count, families, knobs, processes):
        asked.append((seed, count, families, knobs, processes))
        yield from (straight(100 * seed + i, family=i % len(families)) for i in range(count))

    vars(module)["generate"] = generate
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return asked


@pytest.fixture
def data(tmp_path):
    write_scenarios(tmp_path / "set", map(straight, range(6)), per_shard=2)
    return tmp_path / "set"


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "tables").mkdir()
    for name, text in TABLES.items():
        (tmp_path / "tables" / f"{name}.csv").write_text(text)
    return tmp_path / "tables"


def refused(capsys, *words) -> str:
    """The sentence with which a command refuses its words."""
    with pytest.raises(SystemExit) as end:
        main(["scenarios", *map(str, words)])
    assert end.value.code == 2
    return capsys.readouterr().err


def test_help_names_the_commands(capsys):
    main(["scenarios", "--help"])
    assert "validate" in capsys.readouterr().out
    assert "unknown command of scenarios 'shwo': did you mean show" in refused(capsys, "shwo")


def test_generate_writes_what_the_generator_makes(generator, tmp_path, capsys):
    words = "scenarios generate --count 7 --seed 2 --families highway,merge --salt x --out"
    turned = ["--merge", "0.5", "--pedestrian-rate", "0.2", "--processes", "2"]
    main([*words.split(), str(tmp_path / "set"), *turned])
    manifest = read_manifest(tmp_path / "set")
    knobs = Knobs(merge=0.5, pedestrian_rate=0.2)
    assert generator == [(2, 7, ("highway", "merge"), knobs, 2)]
    assert manifest.generator["knobs"] == asdict(knobs)
    assert manifest.ids == list(range(200, 207))
    assert manifest.generator["seed"] == 2
    assert manifest.split.salt == "x"
    assert "Families | 4 highway, 3 merge" in capsys.readouterr().out


def test_equal_seeds_give_equal_files(generator, tmp_path):
    for name in ("a", "b"):
        main(["scenarios", "generate", "--count", "5", "--out", str(tmp_path / name)])
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_generate_refuses_a_directory_in_use_before_it_makes_anything(generator, data, capsys):
    assert "set is not empty" in refused(capsys, "generate", "--out", data)
    for option, said in {
        ("--count", 0): "--count 0: give at least 1.",
        ("--seed", -1): "--seed -1: give at least 0.",
        ("--valid-fraction", 1.5): "--valid_fraction 1.5: give a number from 0 to 1.",
        ("--yellow", 9): "--yellow 9.0: give a number from 1 to 6",
        ("--fewest-agents", 9, "--most-agents", 3): "give at most --most_agents, 3",
    }.items():
        assert said in refused(capsys, "generate", *option, "--out", "x")
    assert "vibe-rl: --out: give it (The directory" in refused(capsys, "generate", "--seed", 1)
    assert generator == []


def test_tables_become_a_set_and_tables_again(tables, tmp_path, capsys):
    made = str(tmp_path / "set")
    main(["scenarios", "import", str(tables), "--kind", "csv", "--out", made, "--slots", SLOTS])
    assert read_manifest(tmp_path / "set").groups == ["a", "b"]
    main(["scenarios", "export", made, "--kind", "parquet", "--out", str(tmp_path / "parquet")])
    again = ["--kind", "parquet", "--out", str(tmp_path / "again"), "--slots", SLOTS]
    main(["scenarios", "import", str(tmp_path / "parquet"), *again])
    first, second = (
        (tmp_path / x / "shard-00000-of-00001.npz").read_bytes() for x in ("set", "again")
    )
    assert first == second
    assert "Families | 1 highway, 1 merge" in capsys.readouterr().out


def test_import_refuses_what_it_cannot_read_and_leaves_nothing(tables, tmp_path, capsys):
    how = ["import", tables, "--out", tmp_path / "set"]
    assert "unknown kind of import 'cvs': did you mean csv" in refused(
        capsys, *how, "--kind", "cvs"
    )
    assert "unknown axis 'M'" in refused(capsys, *how, "--kind", "csv", "--slots", "M=3")
    assert "slots N=x: give a whole" in refused(capsys, *how, "--kind", "csv", "--slots", "N=x")
    assert "valid in every frame" in refused(capsys, *how, "--kind", "csv")  # of 91 frames
    assert not (tmp_path / "set").exists()


def test_a_bad_scenario_gets_a_line_of_validate_and_is_not_loaded(data, tmp_path, capsys):
    main(["scenarios", "validate", str(data)])
    assert capsys.readouterr().out == "Scenarios | 6 of 6 are valid\n"
    manifest = read_manifest(data)
    bad = straight(2)
    bad.map_width[4], bad.size[0, 1] = 0.0, -1.0
    content = npz.shard_bytes(stacked([bad, straight(3)]))
    (data / manifest.shards[1].file).write_bytes(content)
    shards = list(manifest.shards)
    shards[1] = shards[1]._replace(sha256=npz.checksum_of_shard(content))
    write_manifest(data, manifest._replace(shards=shards))
    with pytest.raises(SystemExit) as end:
        main(["scenarios", "validate", str(data)])
    assert end.value.code == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("scenario 2 (uid 2): size[0, 1] is -1")
    assert first.endswith("(and 1 more)")
    assert last == "Scenarios | 5 of 6 are valid"
    how = ("export", data, "--kind", "csv", "--out", tmp_path / "tables")
    assert "scenario 2 (uid 2): size[0, 1] is -1" in refused(capsys, *how)
    assert not (tmp_path / "tables").exists()
    stream = ScenarioStream(data, 6, "all")
    for load in (partial(load_bank, data, "all"), partial(stream.batch_at, 0)):
        with pytest.raises(ConfigError, match=r"scenario 2 \(uid 2\): size\[0, 1\] is -1"):
            load()


def test_show_prints_a_set(data, capsys):
    main(["scenarios", "show", str(data)])
    lines = capsys.readouterr().out
    for part in ("6 scenarios in 3 shards", "Families | 6 highway", "Groups | 6", "are free here"):
        assert part in lines


def test_show_prints_and_draws_one_of_them(data, tmp_path, capsys):
    figure = tmp_path / "figures" / "one.png"
    main(["scenarios", "show", str(data), "--uid", "4", "--png", str(figure)])
    lines = capsys.readouterr().out
    assert "Road users | 1 vehicles; 0 react" in lines
    assert "Ego | 11.0 m in 1.1 s" in lines
    assert "Map | 30 points: 30 of lanes" in lines
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "has no scenario 9: its first is 0" in refused(capsys, "show", data, "--uid", 9)


def test_damaged_sets_are_refused_in_one_sentence(data, capsys):
    shard = data / "shard-00001-of-00003.npz"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "is damaged, its sha256" in refused(capsys, "validate", data)
    shard.unlink()
    assert "there is no" in refused(capsys, "show", data)
    assert "has no manifest.json" in refused(capsys, "show", data.parent)
