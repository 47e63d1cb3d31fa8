"""Checkpoints: what is loaded is what was saved, or one sentence says why not."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.checkpoint import load_checkpoint, load_metadata, save_checkpoint, saved_steps
from vibe_rl.errors import ConfigError
from vibe_rl.networks import MLP
from vibe_rl.sharding import replicate


class Record(NamedTuple):
    network: Any
    key: Any
    count: Any
    nothing: Any = None


def record(seed=0):
    """One of everything a training state may hold."""
    rng = np.random.default_rng(seed)

    def normal(shape, dtype):
        return jnp.asarray(rng.normal(size=shape), dtype)

    shapes = jax.eval_shape(lambda key: MLP(key, 3, (4, 2)), jax.random.key(0))
    return Record(
        network=jax.tree.map(lambda x: normal(x.shape, x.dtype), shapes),
        key=jax.random.key(seed),
        count={
            "keys": jax.random.split(jax.random.key(seed), 3),
            "raw key": jnp.array([seed, 7], jnp.uint32),
            "bool": jnp.array([seed % 2 == 0, False]),
            "int": jnp.int32(-5 + seed),
            "byte": jnp.full((2, 2), 200 + seed, jnp.uint8),
            "bf16": normal((3,), jnp.bfloat16),
            "scalar": normal((), jnp.float32),
            "infinite": jnp.array([jnp.inf, -jnp.inf, jnp.nan, -0.0]),
            "nothing": (),
            "list": [normal((2,), jnp.float16), None],
            "odd / name.with [signs]": jnp.arange(3),
        },
    )


def bits(tree):
    """The tree's leaves as bytes, so that not a sign of zero may change."""
    data = [
        jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in jax.tree.leaves(tree)
    ]
    return [(x.shape, str(x.dtype), np.asarray(x).tobytes()) for x in data]


def contents(directory):
    return {path: path.read_bytes() for path in Path(directory).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A directory with `record(0)` as step 3, for tests that only read."""
    directory = tmp_path_factory.mktemp("saved")
    save_checkpoint(directory, record(), step=3, metadata={"env": "cart_pole", "nested": [1, {}]})
    return directory


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A checkpoint of one array and one key, for tests that are refused."""
    directory = tmp_path_factory.mktemp("small")
    save_checkpoint(directory, {"a": jnp.zeros((2, 3)), "k": jax.random.key(0)}, step=1)
    return directory


def test_every_bit_comes_back(saved):
    loaded = load_checkpoint(saved, record(1))
    assert jax.tree.structure(loaded) == jax.tree.structure(record())
    assert bits(loaded) == bits(record())


def test_shapes_will_do_as_a_template(saved):
    shapes = jax.eval_shape(record)
    assert bits(load_checkpoint(saved, shapes)) == bits(record())


def test_records_modules_and_holes_come_back_as_what_they_were(saved):
    loaded = load_checkpoint(saved, record(1))
    assert isinstance(loaded, Record)
    assert isinstance(loaded.network, MLP)
    assert loaded.nothing is None
    assert loaded.count["nothing"] == ()
    assert loaded.count["list"][1] is None


def test_typed_keys_draw_on_as_before(saved):
    loaded = load_checkpoint(saved, record(1))
    for key, original in (
        (loaded.key, record().key),
        (loaded.count["keys"][2], record().count["keys"][2]),
    ):
        assert jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)
        np.testing.assert_array_equal(jax.random.normal(key, 3), jax.random.normal(original, 3))


def test_the_template_is_left_alone(saved):
    like = record(1)
    load_checkpoint(saved, like)
    assert bits(like) == bits(record(1))


def test_keys_of_another_generator_come_back_as_such(tmp_path):
    key = jax.random.key(5, impl="rbg")
    save_checkpoint(tmp_path, {"k": key}, step=0)
    loaded = load_checkpoint(tmp_path, {"k": jax.random.key(0, impl="rbg")})["k"]
    assert jax.random.key_impl(loaded) == jax.random.key_impl(key)
    np.testing.assert_array_equal(jax.random.key_data(loaded), jax.random.key_data(key))


def test_the_latest_step_is_loaded_unless_one_is_named(tmp_path):
    for step in (9, 10, 100):  # in the order of numbers, not of names
        save_checkpoint(tmp_path, {"a": jnp.float32(step)}, step=step)
    assert saved_steps(tmp_path) == [9, 10, 100]
    like = {"a": jnp.float32(0)}
    assert load_checkpoint(tmp_path, like)["a"] == 100
    assert load_checkpoint(tmp_path, like, step=9)["a"] == 9
    assert load_metadata(tmp_path)["step"] == 100
    assert load_metadata(tmp_path, step=10)["step"] == 10


def test_steps_beyond_int32_are_kept(tmp_path):
    path = save_checkpoint(tmp_path, {"a": jnp.zeros(1)}, step=3_000_000_000)
    assert path == tmp_path / "step_3000000000"
    assert load_metadata(tmp_path)["step"] == 3_000_000_000


def test_without_a_step_the_directory_is_the_checkpoint(tmp_path):
    path = save_checkpoint(tmp_path / "agent", {"a": jnp.ones(2)})
    assert path == tmp_path / "agent"
    np.testing.assert_array_equal(load_checkpoint(path, {"a": jnp.zeros(2)})["a"], 1.0)
    assert load_metadata(path)["step"] is None


def test_relative_paths_are_taken_from_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save_checkpoint("here", {"a": jnp.ones(2)}, step=1)
    assert path == tmp_path / "here" / "step_1"
    np.testing.assert_array_equal(load_checkpoint("here", {"a": jnp.zeros(2)})["a"], 1.0)


def test_the_notes_of_a_checkpoint_are_read_again(saved):
    notes = load_metadata(saved)
    assert (notes["env"], notes["nested"], notes["step"]) == ("cart_pole", [1, {}], 3)
    assert notes["format"] == 1


@pytest.mark.parametrize(
    ("like", "named"),
    [
        (
            {"a": jnp.zeros((3, 2)), "k": jax.random.key(0)},
            r"\['a'\] \(float32\[2, 3\] saved, float32\[3, 2\] expected\)",
        ),
        ({"a": jnp.zeros((2, 3, 1)), "k": jax.random.key(0)}, r"\['a'\]"),
        ({"a": jnp.zeros((2, 3), jnp.int32), "k": jax.random.key(0)}, r"\['a'\]"),
        ({"a": jnp.zeros((2, 3), jnp.bfloat16), "k": jax.random.key(0)}, r"\['a'\]"),
        ({"a": jnp.zeros((2, 3)), "k": jax.random.split(jax.random.key(0), 2)}, r"\['k'\]"),
        ({"a": jnp.zeros((2, 3))}, r"\['k'\] \(uint32\[2\] saved, nothing expected\)"),
        (
            {"a": jnp.zeros((2, 3)), "k": jax.random.key(0), "b": jnp.zeros(1)},
            r"\['b'\] \(nothing saved, float32\[1\] expected\)",
        ),
        ({"c": jnp.zeros((2, 3)), "k": jax.random.key(0)}, r"\['a'\] .*, \['c'\]"),
    ],
    ids=["shape", "rank", "dtype", "half", "keys", "missing", "extra", "renamed"],
)
def test_a_template_that_differs_is_refused_by_the_name_of_the_leaf(small, like, named):
    before = contents(small)
    with pytest.raises(ConfigError, match=f"step_1 does not fit the config at {named}.*: load it"):
        load_checkpoint(small, like)
    assert contents(small) == before


def test_keys_where_numbers_were_saved_are_refused(small):
    with pytest.raises(ConfigError, match=r"\['a'\]"):
        load_checkpoint(small, {"a": jax.random.key(0), "k": jax.random.key(0)})


def test_a_missing_step_is_refused_and_the_known_ones_are_named(small):
    with pytest.raises(
        ConfigError, match=r"no checkpoint step_7 in .*: name one of the steps \[1\]"
    ):
        load_checkpoint(small, {"a": jnp.zeros((2, 3)), "k": jax.random.key(0)}, step=7)
    with pytest.raises(ConfigError, match="no checkpoint step_7"):
        load_metadata(small, step=7)


@pytest.mark.parametrize("name", ["empty", "nowhere"])
def test_a_directory_without_checkpoints_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    assert saved_steps(tmp_path / name) == []
    with pytest.raises(ConfigError, match=f"no checkpoint in .*{name}: name one that holds any"):
        load_checkpoint(tmp_path / name, {"a": jnp.zeros(1)})


def test_an_existing_step_is_refused_and_left_as_it_is(small):
    before = contents(small)
    with pytest.raises(ConfigError, match=r"checkpoint step_1 exists already in .*: name another"):
        save_checkpoint(small, {"a": jnp.ones((2, 3)), "k": jax.random.key(1)}, step=1)
    assert contents(small) == before


def test_a_directory_that_holds_anything_is_no_place_for_a_checkpoint_without_a_step(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        save_checkpoint(tmp_path, {"a": jnp.ones(1)})
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_later_checkpoint_touches_no_file_of_an_earlier_one(tmp_path):
    first = save_checkpoint(tmp_path, record(0), step=1)
    before = contents(first)
    save_checkpoint(tmp_path, record(1), step=2)
    assert contents(first) == before
    assert bits(load_checkpoint(tmp_path, record(1), step=1)) == bits(record(0))


def test_an_unfinished_checkpoint_is_none(tmp_path):
    save_checkpoint(tmp_path, {"a": jnp.ones(1)}, step=1)
    (tmp_path / "step_2.orbax-checkpoint-tmp-123").mkdir()  # what a kill leaves behind
    (tmp_path / "step_best").mkdir()
    assert saved_steps(tmp_path) == [1]
    assert load_checkpoint(tmp_path, {"a": jnp.zeros(1)})["a"] == 1


def test_a_save_that_fails_leaves_no_checkpoint(tmp_path):
    with pytest.raises(ConfigError, match="metadata cannot be written as JSON"):
        save_checkpoint(tmp_path, {"a": jnp.ones(1)}, step=1, metadata={"bad": object()})
    assert saved_steps(tmp_path) == []


def test_no_pickle_is_written(saved):
    files = [path for path in saved.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert path.suffix not in {".pkl", ".pickle", ".npy", ".npz", ".pt"}
        head = path.read_bytes()[:2]
        assert not (head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"))


def test_metadata_is_plain_json(saved):
    path = saved / "step_3" / "metadata" / "metadata"
    assert json.loads(path.read_text())["env"] == "cart_pole"


def test_loading_never_calls_pickle(saved, monkeypatch):
    import pickle  # noqa: PLC0415

    def refuse(*args, **kwargs):
        raise AssertionError("pickle was called")

    for function in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, function, refuse)
    assert bits(load_checkpoint(saved, record(1))) == bits(record())


def test_saving_changes_no_file_outside_its_directory(tmp_path):
    (tmp_path / "beside").mkdir()
    save_checkpoint(tmp_path / "run", {"a": jnp.ones(1)}, step=1)
    assert sorted(os.listdir(tmp_path)) == ["beside", "run"]
    assert os.listdir(tmp_path / "run") == ["step_1"]


def test_one_of_equal_copies_is_saved_and_loaded_as_copies_again(tmp_path):
    tree = {"a": jnp.arange(6.0).reshape(2, 3), "k": jax.random.key(1)}
    save_checkpoint(tmp_path, replicate(tree, 4), step=1, unreplicate=True)
    assert bits(load_checkpoint(tmp_path, tree)) == bits(tree)
    copies = load_checkpoint(tmp_path, tree, replicate_to=4)
    assert bits(copies) == bits(replicate(tree, 4))
    assert [shard.data.shape for shard in copies["a"].addressable_shards] == [(1, 2, 3)] * 4
