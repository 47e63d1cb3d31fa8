"""A stream of scenarios: each once an epoch, and the same whenever a batch is asked for."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scenes_for_io import scene

from vibe_rl.env.driving.io import ScenarioStream, SplitRule, read_manifest, write_scenarios
from vibe_rl.env.driving.io import stream as module
from vibe_rl.env.driving.scenarios.scenario import Scenario
from vibe_rl.errors import ConfigError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "set"
    scenes = (scene(i, speed=4 + 0.1 * i) for i in range(23))
    write_scenarios(path, scenes, per_shard=4, split=SplitRule("s", 0.2))
    return path


def ids(stream: ScenarioStream, updates) -> list[int]:
    return [uid for update in updates for uid in stream.batch_at(update).scenario_uid.tolist()]


def test_every_scenario_of_the_split_comes_once_in_each_epoch(data):
    stream = ScenarioStream(data, count=5, seed=1)
    train = read_manifest(data).members("train").ids
    assert 10 < stream.size == len(train) < 23
    seen = ids(stream, range(stream.size))  # five epochs
    epochs = [seen[i : i + stream.size] for i in range(0, len(seen), stream.size)]
    assert len(epochs) == 5
    assert all(sorted(epoch) == sorted(train) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5


def test_a_batch_does_not_depend_on_what_was_asked_before(data):
    one, other = (ScenarioStream(data, count=4, seed=3, window=2) for _ in range(2))
    forwards = [one.batch_at(update) for update in range(12)]
    for update in (11, 3, 7, 0):
        for a, b in zip(other.batch_at(update), forwards[update], strict=True):
            np.testing.assert_array_equal(a, b)


def test_threads_share_a_stream(data):
    stream = ScenarioStream(data, count=4, window=1)
    expected = [ids(ScenarioStream(data, count=4, window=1), [update]) for update in range(20)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda update: ids(stream, [update]), range(20))) == expected


def test_a_batch_is_a_bank_of_what_was_written(data):
    batch = ScenarioStream(data, count=3).batch_at(0)
    for i, uid in enumerate(batch.scenario_uid.tolist()):
        written = scene(uid, speed=4 + 0.1 * uid)
        for field, a, b in zip(Scenario._fields, batch, written, strict=True):
            np.testing.assert_array_equal(a[i], b, err_msg=field)
            assert a.dtype == b.dtype


def test_a_batch_stays_for_some_updates_and_seeds_differ(data):
    stream = ScenarioStream(data, count=4, every=10)
    assert ids(stream, [0]) == ids(stream, [9])
    assert ids(stream, [10]) == ids(ScenarioStream(data, count=4), [1])
    assert ids(stream, [0]) != ids(ScenarioStream(data, count=4, seed=1), [0])


def test_a_batch_larger_than_an_epoch_goes_on_in_the_next(data):
    stream = ScenarioStream(data, count=50)
    small = ScenarioStream(data, count=1)
    assert ids(stream, [0, 1]) == ids(small, range(100))


def test_no_more_shards_are_read_or_kept_than_the_window_needs(data, monkeypatch):
    read = []
    real = module.shard
    monkeypatch.setattr(module, "shard", lambda *args: read.append(args[2]) or real(*args))
    stream = ScenarioStream(data, count=1, window=2)
    for update in range(stream.size):
        stream.batch_at(update)
    assert len(read) == len(read_manifest(data).shards)
    assert len(stream._shards) == 4


def test_the_memory_of_a_stream_is_that_of_its_shards_and_a_batch(data):
    stream = ScenarioStream(data, count=2, window=2)
    one = sum(array.nbytes for array in scene())
    assert stream.memory == (4 * 4 + 2) * one


def test_senseless_numbers_and_empty_splits_are_refused(data, tmp_path):
    with pytest.raises(ConfigError, match="count 0, every 1, window 4, seed 0: give at least 1"):
        ScenarioStream(data, count=0)
    with pytest.raises(ConfigError, match=r"seed -1: .* a seed of at least 0"):
        ScenarioStream(data, count=1, seed=-1)
    write_scenarios(tmp_path / "set", [scene()], split=SplitRule("s", 1.0))
    with pytest.raises(ConfigError, match="has no scenario of the split 'train'"):
        ScenarioStream(tmp_path / "set", count=1)
