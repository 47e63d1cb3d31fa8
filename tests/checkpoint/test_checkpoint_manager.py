"""The manager: what is kept, what is refused, and that what is written is what was given."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from compiling import as_users_do
from vibe_rl.checkpoint import (
    CheckpointManager,
    initialize_checkpoint_dir,
    load_checkpoint,
    load_eqx,
    load_metadata,
    save_checkpoint,
    save_eqx,
    saved_steps,
)
from vibe_rl.errors import (
    CheckpointExistsError,
    ConfigError,
    DamagedCheckpointError,
    NoCheckpointError,
)
from vibe_rl.networks import MLP


@pytest.fixture
def unchecked():
    """Arguments of another type reach the function, as those of users do."""
    with as_users_do():
        yield


LIKE = {"a": jnp.zeros(3), "k": jax.random.key(0)}


def tree(step):
    return {"a": jnp.full(3, float(step)), "k": jax.random.key(step)}


def by_loss(metrics):
    return metrics["loss"]


@pytest.mark.parametrize("background", [7200, None])
def test_the_newest_the_periodic_and_the_best_are_kept(tmp_path, background):
    with CheckpointManager(
        tmp_path, max_to_keep=2, keep_period=20, best_fn=by_loss, async_timeout_secs=background
    ) as manager:
        for step, loss in [(5, 3.0), (10, 1.0), (15, 2.0), (20, 4.0), (25, 5.0), (30, 6.0)]:
            assert manager.save(step, tree(step), metrics={"loss": loss})
        manager.wait()
        assert manager.all_steps() == [10, 20, 25, 30] == saved_steps(tmp_path)
        assert (manager.latest_step(), manager.best_step()) == (30, 10)
        assert manager.restore(10, LIKE)["a"].tolist() == [10.0] * 3
        latest = manager.restore(like=LIKE)
    assert (
        jax.random.key_data(latest["k"]).tolist()
        == jax.random.key_data(jax.random.key(30)).tolist()
    )


def test_the_first_to_reach_each_multiple_is_periodic(tmp_path):
    with CheckpointManager(tmp_path, max_to_keep=1, keep_period=100) as manager:
        for step in range(64, 513, 64):
            manager.save(step, tree(step))
    assert saved_steps(tmp_path) == [128, 256, 320, 448, 512]


def test_the_greatest_figure_is_best_where_that_is_asked_for(tmp_path):
    with CheckpointManager(tmp_path, max_to_keep=1, best_fn=by_loss, best_mode="max") as manager:
        for step, figure in [(1, 1.0), (2, 3.0), (3, 2.0)]:
            manager.save(step, tree(step), metrics={"loss": figure})
        manager.wait()
        assert (manager.best_step(), manager.all_steps()) == (2, [2, 3])


def test_of_equals_the_earliest_is_best_and_no_warning_is_given(tmp_path, caplog):
    with CheckpointManager(tmp_path, max_to_keep=1, best_fn=by_loss) as manager:
        for step in (1, 2, 3):
            manager.save(step, tree(step), metrics={"loss": 5.0})
        manager.save(4, tree(4))
        manager.wait()
        assert (manager.best_step(), manager.all_steps()) == (1, [1, 4])
    assert not caplog.records


def test_a_checkpoint_without_metrics_is_not_the_best_but_may_be_the_latest(tmp_path):
    with CheckpointManager(tmp_path, max_to_keep=1, best_fn=by_loss) as manager:
        manager.save(1, tree(1), metrics={"loss": 1.0})
        manager.save(2, tree(2))
        manager.wait()
        assert (manager.best_step(), manager.latest_step()) == (1, 2)


def test_a_new_manager_continues_where_the_old_one_stopped(tmp_path):
    for step in (1, 2, 3):
        with CheckpointManager(tmp_path, max_to_keep=2, best_fn=by_loss) as manager:
            manager.save(step, tree(step), metrics={"loss": float(step)})
    with CheckpointManager(tmp_path, max_to_keep=2, best_fn=by_loss) as manager:
        assert (manager.all_steps(), manager.best_step()) == ([1, 2, 3], 1)


def test_steps_that_are_not_due_or_there_already_are_skipped(tmp_path):
    with CheckpointManager(tmp_path, save_interval_steps=10) as manager:
        assert [manager.save(step, tree(step)) for step in (10, 15, 20, 20)] == [
            True, False, True, False,
        ]  # fmt: skip
        assert manager.save(23, tree(23), force=True)
        assert manager.all_steps() == [10, 20, 23]
        assert load_checkpoint(tmp_path, LIKE, step=10)["a"][0] == 10.0


def test_what_is_changed_after_a_save_does_not_change_the_checkpoint(tmp_path):
    ring = np.arange(1_000_000, dtype=np.float32)
    donated = jnp.arange(1_000_000, dtype=jnp.float32)
    with CheckpointManager(tmp_path) as manager:
        manager.save(1, {"ring": ring, "x": donated})
        ring[:] = -1.0
        jax.jit(lambda x: x * 0.0 - 1.0, donate_argnums=0)(donated)
        like = {"ring": np.zeros_like(ring), "x": jax.ShapeDtypeStruct(ring.shape, ring.dtype)}
        restored = manager.restore(1, like)
    np.testing.assert_array_equal(restored["ring"], np.arange(1_000_000))
    np.testing.assert_array_equal(restored["x"], np.arange(1_000_000))
    assert isinstance(restored["ring"], np.ndarray)


def test_one_format_for_the_manager_and_for_single_checkpoints(tmp_path):
    with CheckpointManager(tmp_path) as manager:
        manager.save(7, tree(7), metadata={"env": "cart_pole"})
    save_checkpoint(tmp_path, tree(9), step=9)
    assert load_metadata(tmp_path, step=7)["env"] == "cart_pole"
    assert load_checkpoint(tmp_path, LIKE, step=7)["a"][0] == 7.0
    with CheckpointManager(tmp_path) as manager:
        assert manager.all_steps() == [7, 9]
        assert manager.restore(like=LIKE)["a"][0] == 9.0


def test_nothing_to_restore_is_an_error_that_says_so(tmp_path):
    with CheckpointManager(tmp_path) as manager:
        assert (manager.latest_step(), manager.best_step(), manager.all_steps()) == (None, None, [])
        with pytest.raises(NoCheckpointError, match="name one that holds any"):
            manager.restore(like=LIKE)
    assert issubclass(NoCheckpointError, FileNotFoundError)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"max_to_keep": 0}, "max_to_keep 0: give at least 1"),
        ({"keep_period": 0}, "keep_period 0: give at least 1"),
        ({"save_interval_steps": 0}, "save_interval_steps 0: give at least 1"),
        ({"best_mode": "mid"}, "unknown best_mode 'mid'"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_made(tmp_path, setting, sentence):
    with pytest.raises(ConfigError, match=sentence):
        CheckpointManager(tmp_path / "new", **setting)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("there", ["nothing", "files", "checkpoints"])
@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_matrix_of_resume_and_overwrite(tmp_path, there, resume, overwrite):
    path = tmp_path / "run"
    if there != "nothing":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    if there == "checkpoints":
        save_checkpoint(path, tree(3), step=3)
    how = {"resume": resume, "overwrite": overwrite}
    if there != "nothing" and not (resume or overwrite):
        with pytest.raises(CheckpointExistsError, match=r"resume=True .* overwrite=True"):
            initialize_checkpoint_dir(path, **how)
        assert (path / "notes.txt").exists()
        return
    manager, resuming = initialize_checkpoint_dir(path, **how)
    with manager:
        assert resuming == (there == "checkpoints" and resume and not overwrite)
        assert manager.all_steps() == ([3] if resuming else [])
    assert (path / "notes.txt").exists() == (there != "nothing" and not overwrite)


def test_a_tree_may_be_restored_to_every_device_of_a_mesh(tmp_path):
    save_checkpoint(tmp_path, tree(1), step=1)
    mesh = Mesh(np.array(jax.devices()[:2]), ("batch",))
    loaded = load_checkpoint(tmp_path, LIKE, replicate_to=mesh)
    assert loaded["a"].sharding.is_equivalent_to(NamedSharding(mesh, PartitionSpec()), 1)
    assert len(loaded["k"].devices()) == 2


def test_arrays_go_where_the_template_has_them(tmp_path):
    save_checkpoint(tmp_path, {"a": jnp.arange(8.0)}, step=1)
    mesh = Mesh(np.array(jax.devices()[:4]), ("batch",))
    sharding = NamedSharding(mesh, PartitionSpec("batch"))
    like = {"a": jax.ShapeDtypeStruct((8,), jnp.float32, sharding=sharding)}
    loaded = load_checkpoint(tmp_path, like)["a"]
    assert loaded.sharding == sharding
    np.testing.assert_array_equal(loaded, np.arange(8.0))


def data_files(path):
    return [p for p in Path(path).rglob("*") if p.is_file() and "/d/" in str(p)]


def change_a_bit(file, content):
    middle = len(content) // 2
    if len(content) > 1000:
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


HARMS = {
    "cut": lambda file, content: file.write_bytes(content[: len(content) // 2]),
    "emptied": lambda file, content: file.write_bytes(b""),
    "removed": lambda file, content: file.unlink(),
    "changed": change_a_bit,
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_checkpoint_is_named_and_the_earlier_one_is_intact(tmp_path, harm):
    big = {"a": jnp.asarray(np.random.default_rng(0).normal(size=4000), jnp.float32)}
    for step in (1, 2):
        save_checkpoint(tmp_path, big, step=step)
    for file in data_files(tmp_path / "step_2"):
        HARMS[harm](file, file.read_bytes())
    with pytest.raises(DamagedCheckpointError, match=r"checkpoint step_2 .*take an earlier one"):
        load_checkpoint(tmp_path, big)
    np.testing.assert_array_equal(load_checkpoint(tmp_path, big, step=1)["a"], big["a"])


def test_an_array_that_was_exchanged_is_found_out(tmp_path):
    save_checkpoint(tmp_path, tree(1), step=1)
    notes = tmp_path / "step_1" / "metadata" / "metadata"
    said = json.loads(notes.read_text())
    said["digests"]["['a']"] += 1
    notes.write_text(json.dumps(said))
    with pytest.raises(DamagedCheckpointError, match=r"was altered at \['a'\]"):
        load_checkpoint(tmp_path, LIKE)


def test_a_format_of_the_future_is_refused_by_its_number(tmp_path):
    with pytest.MonkeyPatch.context() as future:
        future.setattr("vibe_rl.checkpoint.format.FORMAT", 99)
        save_checkpoint(tmp_path, tree(1), step=1)
    with pytest.raises(ConfigError, match="has format 99, and this version reads up to"):
        load_checkpoint(tmp_path, LIKE)


def test_notes_that_are_no_json_are_damage(tmp_path):
    save_checkpoint(tmp_path, tree(1), step=1)
    (tmp_path / "step_1" / "metadata" / "metadata").write_text('{"torn')
    with pytest.raises(DamagedCheckpointError, match=r"step_1 .* cannot be read"):
        load_metadata(tmp_path)


def network(seed):
    shapes = jax.eval_shape(lambda key: MLP(key, 3, (4,)), jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), shapes)


def test_a_module_goes_into_one_file_and_comes_back(tmp_path):
    path = save_eqx(tmp_path / "new" / "agent.eqx", network(0))
    loaded = load_eqx(path, network(1))
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(network(0)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [p.name for p in path.parent.iterdir()] == ["agent.eqx"]


def test_a_file_of_something_else_is_refused(tmp_path):
    path = save_eqx(tmp_path / "agent.eqx", {"a": jnp.zeros(2)})
    with pytest.raises(DamagedCheckpointError, match=r"agent.eqx does not hold what is expected"):
        load_eqx(path, {"a": jnp.zeros(3)})
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DamagedCheckpointError, match=r"agent.eqx does not hold what is expected"):
        load_eqx(path, {"a": jnp.zeros(2)})
    with pytest.raises(NoCheckpointError, match="there is no file"):
        load_eqx(tmp_path / "none.eqx", {"a": jnp.zeros(2)})


def test_typed_keys_go_into_the_file_too(tmp_path):
    path = save_eqx(tmp_path / "state.eqx", tree(5))
    loaded = load_eqx(path, LIKE)["k"]
    assert jax.random.uniform(loaded) == jax.random.uniform(jax.random.key(5))


def test_a_failed_save_leaves_the_file_that_was_there(tmp_path):
    path, gone = save_eqx(tmp_path / "agent.eqx", {"a": jnp.ones(2)}), jnp.zeros(2)
    gone.delete()
    with pytest.raises(RuntimeError):
        save_eqx(path, {"a": gone})
    assert load_eqx(path, {"a": jnp.zeros(2)})["a"].tolist() == [1.0, 1.0]
    assert [p.name for p in tmp_path.iterdir()] == ["agent.eqx"]


def test_no_file_of_eqx_executes_code(tmp_path):
    path = tmp_path / "evil.eqx"
    with path.open("wb") as file:
        np.save(file, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(DamagedCheckpointError):
        load_eqx(path, {"a": jnp.zeros(1)})


@pytest.mark.parametrize("named", ["", ".", "..", "runs", "runs/mine", "home"])
def test_what_holds_more_than_checkpoints_is_not_emptied(tmp_path, monkeypatch, named):
    here, kept = tmp_path / "here", []
    for folder in ("runs/mine/logs", "home"):
        (here / folder).mkdir(parents=True)
        kept.append(here / folder / "notes.txt")
        kept[-1].touch()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here / "home"))
    with pytest.raises(ConfigError, match=r"^overwrite would delete all of .*: name a directory"):
        initialize_checkpoint_dir(named, overwrite=True)
    assert all(path.exists() for path in kept)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_figure_that_is_no_number_is_the_worst(tmp_path, mode):
    how = {"best_fn": by_loss, "best_mode": mode, "max_to_keep": 1, "async_timeout_secs": None}
    with CheckpointManager(tmp_path, **how) as manager:
        for step, loss in enumerate([np.nan, 1.0, np.nan, 1.0, np.nan]):
            manager.save(step, {"a": np.zeros(1)}, metrics={"loss": np.float32(loss)})  # type: ignore[arg-type]
        assert (manager.best_step(), saved_steps(tmp_path)) == (1, [1, 4])


@pytest.mark.usefixtures("unchecked")
def test_numbers_of_python_and_notes_of_numpy_come_back(tmp_path):
    mixed = {"rate": 2.5, "n": 3, "on": True, "none": None, "x": np.float32(1.5)}
    notes = {"mean": np.float32(0.5), "where": Path("here"), "seeds": np.arange(2)}
    path = save_checkpoint(tmp_path, mixed, step=np.int64(7), metadata=notes)  # type: ignore[arg-type]
    assert path.name == "step_7"
    found = load_checkpoint(tmp_path, mixed, step=7.0)  # type: ignore[arg-type]
    assert found == mixed
    assert [type(found[name]) for name in ("rate", "n", "on")] == [float, int, bool]
    read = load_metadata(tmp_path)
    assert [read[name] for name in notes] == [0.5, "here", [0, 1]]


@pytest.mark.parametrize(
    ("tree", "how", "message"),
    [
        ({"a": "text"}, {}, r"^leaf \['a'\] of a checkpoint is a str: give arrays"),
        ({"a": np.array("text")}, {}, r"^leaf \['a'\] of a checkpoint is a ndarray: give arrays"),
        ({"a": jnp.sin}, {}, r"^leaf \['a'\] of a checkpoint is a \w+: give arrays"),
        ({}, {}, r"^the tree of a checkpoint has no leaves: give arrays"),
        ({"a": 1}, {"step": -1}, r"^step -1: give at least 0"),
        ({"a": 1}, {"step": 1.5}, r"^step 1.5: give a whole number"),
        ({"a": 1}, {"step": "5"}, r"^step '5': give a number"),
        ({"a": 1}, {"metadata": [1]}, r"^metadata is a list: give a dict"),
        (
            {"a": 1},
            {"metadata": {(1, 2): 3}},
            r"^metadata cannot be written as JSON .*: give",
        ),
        ({"a": 1}, {"metadata": {"format": 2}}, r"^metadata 'format' is .* own: rename it"),
        ({"a": 1}, {"unreplicate": True}, r"^leaf \['a'\] has no leading axis .*: it is not"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path, tree, how, message):
    with pytest.raises(ConfigError, match=message):
        save_checkpoint(tmp_path / "new", tree, **how)
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("unchecked")
def test_what_a_manager_cannot_do_is_one_sentence(tmp_path):
    for how in ({"max_to_keep": "3"}, {"async_timeout_secs": -1}, {"best_fn": 3}):
        with pytest.raises(ConfigError, match=rf"^{next(iter(how))} .*: give"):
            CheckpointManager(tmp_path, **how)  # type: ignore[arg-type]
    manager = CheckpointManager(tmp_path, best_fn=by_loss)
    for metrics in ({"loss": "low"}, {"gain": 1.0}):  # neither is written: no later one could rank
        with pytest.raises(ConfigError, match=r"^metrics .*: best_fn raises .*, give what it"):
            manager.save(1, {"a": 1}, metrics=metrics)  # type: ignore[arg-type]
    manager.close()
    with pytest.raises(ConfigError, match=r"is closed: make another"):
        manager.save(1, {"a": 1})
    assert saved_steps(tmp_path) == []
