"""Sets of scenarios on disk: what is written is read, and what is damaged is refused."""

import json
import logging
from io import BytesIO

import numpy as np
import pytest
from scenes_for_io import DIMS, scene

from vibe_rl.env.driving.io import (
    SplitRule,
    iterate,
    load_bank,
    load_banks,
    loading,
    read_manifest,
    write_scenarios,
)
from vibe_rl.env.driving.io.npz import checksum_of_shard
from vibe_rl.env.driving.scenarios.scenario import (
    Scenario,
    bytes_of,
    chosen,
    count_of,
    dtype_of,
    padded_scenario,
)
from vibe_rl.errors import ConfigError, UnwritableError


def scenes(count: int, first: int = 0):
    """Scenes with speeds of their own; each third one is of another family."""
    return (scene(first + i, speed=4 + 0.25 * i, family=i % 3) for i in range(count))


@pytest.fixture
def data(tmp_path):
    write_scenarios(tmp_path / "set", scenes(10), per_shard=4, split=SplitRule("s", 0.3))
    return tmp_path / "set"


def changed_manifest(path, **entries):
    file = path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def assert_equal(a: Scenario, b: Scenario) -> None:
    for field, x, y in zip(Scenario._fields, a, b, strict=True):
        np.testing.assert_array_equal(x, y, err_msg=field)


def test_what_is_written_is_read_in_the_same_order_and_types(data):
    bank = load_bank(data, "all")
    assert count_of(bank) == 10
    for i, written in enumerate(scenes(10)):
        assert_equal(chosen(bank, i), written)
    assert all(array.dtype == dtype_of(f) for f, array in zip(Scenario._fields, bank, strict=True))
    for one, written in zip(iterate(data), scenes(10), strict=True):
        assert_equal(one, written)


def test_the_manifest_says_what_the_shards_hold(data):
    manifest = read_manifest(data)
    entries = json.loads((data / "manifest.json").read_text())
    assert [shard.file for shard in manifest.shards] == [
        f"shard-0000{i}-of-00003.npz" for i in range(3)
    ]
    assert [shard.count for shard in manifest.shards] == [4, 4, 2]
    assert manifest.dims == DIMS
    assert manifest.ids == list(range(10))
    assert manifest.groups[:2] == ["highway/0", "merge/1"]
    assert entries["count"] == 10
    assert entries["dt"] == 0.1
    for shard in manifest.shards:
        assert checksum_of_shard((data / shard.file).read_bytes()) == shard.sha256
    assert {path.name for path in data.iterdir()} == {
        "manifest.json",
        *(s.file for s in manifest.shards),
    }


def test_equal_scenarios_give_equal_bytes(data, tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1e9)
    write_scenarios(tmp_path / "again", scenes(10), per_shard=4, split=SplitRule("s", 0.3))
    for path in data.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_numpy_reads_a_shard_by_itself(data):
    with np.load(data / "shard-00001-of-00003.npz", allow_pickle=False) as archive:
        assert set(archive.files) == set(Scenario._fields)
        assert archive["scenario_uid"].tolist() == [4, 5, 6, 7]


def test_both_splits_together_are_all_and_have_no_group_in_common(data):
    train, valid = load_banks(data)
    ids = [set(bank.scenario_uid.tolist()) for bank in (train, valid)]
    assert not ids[0] & ids[1]
    assert ids[0] | ids[1] == set(range(10))
    assert all(ids)
    assert_equal(train, load_bank(data, "train"))
    assert_equal(valid, load_bank(data, "valid"))


def test_a_limit_takes_some_whose_number_does_not_follow_the_order(data):
    few, more = (load_bank(data, "all", limit).scenario_uid.tolist() for limit in (3, 6))
    assert len(few) == 3
    assert set(few) < set(more) < set(range(10))
    assert more != list(range(6))
    assert more == sorted(more)


def test_two_sets_with_a_group_in_common_cannot_be_trained_and_held_out(data, tmp_path):
    write_scenarios(tmp_path / "other", scenes(3, first=20))
    train, valid = load_banks(data, tmp_path / "other")
    assert (count_of(train), count_of(valid)) == (10, 3)
    write_scenarios(tmp_path / "same", scenes(3, first=9))
    with pytest.raises(ConfigError, match=r"the scenario 9 \(and 0 more\) is in training and held"):
        load_banks(data, tmp_path / "same")
    named = [("highway/3", s) for s in scenes(2, first=30)]
    write_scenarios(tmp_path / "group", named)
    with pytest.raises(ConfigError, match=r"the group highway/3 \(and 0 more\)"):
        load_banks(data, tmp_path / "group")


@pytest.mark.parametrize("there", [False, True])
def test_a_set_that_fails_on_its_way_leaves_nothing(tmp_path, there):
    target = tmp_path / "set"
    if there:
        target.mkdir()
    broken = scene(3)._replace(family=np.int32(7))
    with pytest.raises(ConfigError, match=r"scenario 2 \(uid 3\): family is 7: give a code"):
        write_scenarios(target, [scene(1), scene(2), broken], per_shard=1)
    assert [path.name for path in tmp_path.iterdir()] == ["set"] * there
    assert not there or not list(target.iterdir())
    write_scenarios(target, [scene(1)])
    assert count_of(load_bank(target, "all")) == 1


def test_a_source_that_cannot_be_read_is_not_said_to_be_unwritable(tmp_path):
    def source():
        yield scene(1)
        raise FileNotFoundError("lost.pkl")

    with pytest.raises(FileNotFoundError, match=r"lost\.pkl"):
        write_scenarios(tmp_path / "set", source())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (scene(1), "scenario 1 .uid 1.: scenario 0 has the same uid"),
        (scene(2)._replace(log_yaw=np.zeros(3)), "scenario 1 .uid 2.: log_yaw has the shape"),
        (
            padded_scenario(scene(2), DIMS._replace(L=3)),
            "scenario 1 .uid 2.: its Dims.* give both the same",
        ),
    ],
)
def test_scenarios_that_cannot_be_in_one_set_are_refused(tmp_path, second, sentence):
    with pytest.raises(ConfigError, match=sentence):
        write_scenarios(tmp_path / "set", [scene(1), second])


def test_a_directory_with_something_in_it_is_refused_before_anything_is_made(data):
    asked = []
    with pytest.raises(ConfigError, match="set is not empty: name a directory that does not"):
        write_scenarios(data, (asked.append(1) or scene(i) for i in range(3)))
    assert not asked
    with pytest.raises(ConfigError, match=r"manifest\.json is a file"):
        write_scenarios(data / "manifest.json", [])
    with pytest.raises(UnwritableError):
        write_scenarios("/proc/none/set", [scene()])


def test_no_scenario_and_senseless_numbers_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no scenario to write"):
        write_scenarios(tmp_path / "a", [])
    with pytest.raises(ConfigError, match="per_shard 0"):
        write_scenarios(tmp_path / "a", [scene()], per_shard=0)
    with pytest.raises(ConfigError, match=r"valid_fraction 1\.5"):
        write_scenarios(tmp_path / "a", [scene()], split=SplitRule("s", 1.5))


def rewritten(data, number: int, content: bytes) -> None:
    """Replaces a shard and its checksum."""
    shards = json.loads((data / "manifest.json").read_text())["shards"]
    (data / shards[number]["file"]).write_bytes(content)
    shards[number]["sha256"] = checksum_of_shard(content)
    changed_manifest(data, shards=shards)


def npz(**arrays) -> bytes:
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_a_shard_with_another_checksum_is_refused(data):
    path = data / "shard-00001-of-00003.npz"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"shard-00001-of-00003\.npz is damaged, its sha256 is"):
        load_bank(data, "all")
    path.unlink()
    with pytest.raises(ConfigError, match=r"shard-00001-of-00003\.npz cannot be read \(No such"):
        load_bank(data, "all")


def arrays_of(data) -> dict[str, np.ndarray]:
    with np.load(data / "shard-00000-of-00003.npz") as archive:
        return dict(archive)


def test_a_shard_of_something_else_is_refused_and_nothing_unpickled(data):
    rewritten(data, 0, b"no archive")
    with pytest.raises(ConfigError, match="is no shard of scenarios"):
        load_bank(data, "all")
    rewritten(data, 0, npz(log_xy=np.zeros(3)))
    with pytest.raises(ConfigError, match="is no shard of scenarios"):
        load_bank(data, "all")


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((4, 3, 2), np.float32), r"size in .* is float32\[4, 3, 2\] where .* \[4, 3, 3\]"),
        (np.zeros((4, 3, 3)), r"size in .* is float64\[4, 3, 3\] where"),
        (np.array([{}] * 4, object), "Object arrays cannot be loaded when allow_pickle=False"),
    ],
)
def test_a_shard_with_other_arrays_is_refused(data, array, sentence):
    rewritten(data, 0, npz(**arrays_of(data) | {"size": array}))
    pattern = sentence.replace("* [", "*float32[").replace(r"* \[", r"*float32\[")
    with pytest.raises(ConfigError, match=pattern):
        load_bank(data, "all")


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"format": "other"}, 'is not of the format "vibe-scenarios"'),
        ({"version": 2}, "has version 2 and version 1 is what can be read"),
        ({"dt": 0.2}, r"has units 'm,rad,s' and dt 0\.2: give 'm,rad,s' and 0\.1"),
        ({"count": 11}, "counts 11 scenarios and has 10 ids"),
        ({"groups": []}, "counts 10 scenarios and has 0 groups"),
        ({"ids": [1] * 10}, "has ids that occur twice"),
        ({"ids": [*range(1, 10), 0]}, "holds other scenarios than its manifest says"),
        ({"families": ["imported"] * 10}, "holds other scenarios than its manifest says"),
        ({"split": {"salt": "s", "valid_fraction": float("nan")}}, "the valid_fraction nan"),
        (
            {"count": 0, "ids": [], "groups": [], "families": [], "shards": []},
            "counts 0 scenarios and has no scenario: copy or write",
        ),
        ({"count": None}, "counts None scenarios and has 10 ids"),
        ({"families": ["train"] * 10}, "has the family 'train'"),
        ({"dims": {"N": 3}}, "10 scenarios and has|where the manifest's dims mean|damaged"),
        ({"dims": {"M": 3}}, r"manifest.json is damaged \(TypeError"),
        ({"shards": [{"file": "x", "count": 10}]}, r"is damaged \(KeyError"),
        (
            {"shards": [{"file": "../x", "count": 10, "sha256": ""}]},
            "has '../x' as a shard",
        ),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(data, entries, sentence):
    changed_manifest(data, **entries)
    with pytest.raises(ConfigError, match=sentence) as error:
        load_bank(data, "all")
    assert str(error.value).count("\n") == 0


def test_what_is_no_set_of_scenarios_is_refused(data, tmp_path):
    with pytest.raises(ConfigError, match=r"has no manifest\.json: name a directory"):
        load_bank(tmp_path)
    with pytest.raises(ConfigError, match="unknown split 'test'"):
        load_bank(data, "test")
    with pytest.raises(ConfigError, match="limit 0: give at least 1"):
        load_bank(data, limit=0)
    (data / "manifest.json").write_text("{")
    with pytest.raises(ConfigError, match=r"manifest\.json is damaged \(JSONDecodeError"):
        load_bank(data)


def test_a_split_without_scenarios_is_refused(tmp_path):
    write_scenarios(tmp_path / "set", scenes(3), split=SplitRule("s", 0.0))
    with pytest.raises(ConfigError, match="has no scenario of the split 'valid': add scenarios"):
        load_bank(tmp_path / "set", "valid")


def test_a_bank_that_does_not_fit_is_refused_with_the_number_that_would(data, monkeypatch):
    one = bytes_of(1, DIMS)
    monkeypatch.setattr(loading, "free_on_host", lambda: 9 * one)
    monkeypatch.setattr(loading, "read_shard", lambda *_: pytest.fail("was read"))
    with pytest.raises(
        ConfigError, match=r"10 scenarios of .* free here: give a limit of at most 5"
    ):
        load_bank(data, "all")
    monkeypatch.setattr(loading, "free_on_host", lambda: 90 * one)
    monkeypatch.setattr(loading, "free_on_device", lambda: 7 * one)
    with pytest.raises(ConfigError, match="free on the device: give a limit of at most 7"):
        load_bank(data, "all")
    monkeypatch.setattr(loading, "free_on_device", lambda: one - 1)
    with pytest.raises(ConfigError, match="free on the device: use a ScenarioStream"):
        load_bank(data, "all")


def test_what_a_bank_takes_is_said_before_it_is_loaded(data, monkeypatch, caplog):
    class EndError(Exception):
        pass

    def read(*_):
        raise EndError

    monkeypatch.setattr(loading, "read_shard", read)
    with caplog.at_level(logging.WARNING, "vibe_rl"), pytest.raises(EndError):
        load_bank(data, "train")
    assert "held out" in caplog.text
    assert "kB" in caplog.text
