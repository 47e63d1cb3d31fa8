import dataclasses
import json
import math
import os
import re
import socket
import threading
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from compiling import as_users_do
from vibe_rl.errors import ConfigError
from vibe_rl.plotting.curves import curves_in
from vibe_rl.run_dir import RunDir, find_runs
from vibe_rl.run_dir import directory as module
from vibe_rl.run_dir.notes import sessions_of
from vibe_rl.tracking.named import described
from vibe_rl.tracking.settings import read_settings


@pytest.fixture
def run(tmp_path):
    return RunDir("cart", tmp_path)


def write_checkpoint(run, step):
    path = run.checkpoint_dir(step)
    (path / "state.eqx").write_bytes(b"weights")
    return path


@pytest.fixture
def midnight(monkeypatch):
    class Clock(module.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(module, "datetime", Clock)


def test_a_new_run_has_its_four_folders_and_a_name_with_the_time(run, tmp_path):
    assert run.root.parent == tmp_path
    assert re.fullmatch(r"cart_\d{8}_\d{6}", run.root.name)
    folders = {run.checkpoints, run.logs, run.videos, run.artifacts}
    assert set(run.root.iterdir()) == folders
    assert all(folder.is_dir() for folder in folders)


def test_runs_that_start_in_the_same_second_get_numbered_names(midnight, tmp_path):
    names = [RunDir("a", tmp_path).root.name for _ in range(3)]
    assert names == ["a_20260102_030405", "a_20260102_030405_2", "a_20260102_030405_3"]


def test_runs_that_start_at_the_same_moment_never_share_a_directory(midnight, tmp_path):
    runs = []
    threads = [
        threading.Thread(target=lambda: runs.append(RunDir("a", tmp_path))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({str(run) for run in runs}) == 16


def test_a_slash_in_the_experiment_name_makes_no_folder(tmp_path):
    run = RunDir("ALE/Pong-v5_ppo", tmp_path)
    assert run.root.name.startswith("ALE-Pong-v5_ppo_")
    assert [str(found) for found in find_runs(tmp_path, "ALE/Pong-v5_ppo")] == [str(run)]


def test_a_run_id_is_the_name_of_the_directory(tmp_path):
    assert RunDir("cart", tmp_path, run_id="seed_3").root == tmp_path / "seed_3"


def test_a_run_id_that_exists_is_refused_with_its_name_and_the_remedy(tmp_path):
    RunDir(base_dir=tmp_path, run_id="seed_3")
    with pytest.raises(ConfigError, match=r"run_id 'seed_3' exists .*RunDir\.open\("):
        RunDir(base_dir=tmp_path, run_id="seed_3")


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "/tmp/a"])
def test_a_run_id_that_is_no_plain_name_is_refused(tmp_path, run_id):
    with pytest.raises(ConfigError, match="without slashes"):
        RunDir(base_dir=tmp_path, run_id=run_id)


def test_an_existing_run_can_be_opened_and_is_left_as_it_was(run):
    before = sorted(run.root.rglob("*"))
    assert RunDir.open(run).root == run.root
    assert sorted(run.root.rglob("*")) == before


def test_a_directory_that_is_no_run_is_not_opened(tmp_path):
    with pytest.raises(ConfigError, match="is not a run directory"):
        RunDir.open(tmp_path)


def test_a_run_is_a_path_and_prints_as_one(run):
    assert Path(run) == run.root
    assert str(run) == str(run.root)
    assert repr(run) == f"RunDir.open({str(run.root)!r})"


def test_a_run_stays_where_it_was_made_and_prints_as_it_was_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [RunDir("cart", "runs", run_id="a"), RunDir.open("runs/a"), *find_runs("runs")]
    for run in [*runs, *map(RunDir.open, runs)]:
        monkeypatch.chdir(tmp_path / "runs" / "a" / "videos")
        assert os.fspath(run) == str(run.root) == str(tmp_path / "runs/a")
        assert str(run) == "runs/a"
        assert run.shown(run.log_path()) == Path("runs/a/logs/metrics.jsonl")
        with pytest.raises(ConfigError, match=f"^{tmp_path}/runs/a/config.json does not exist"):
            run.load_config()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError, match=r"^runs/a/config.json does not exist"):
            run.load_config()


def test_a_folder_whose_name_is_no_text_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"udcff' is not text in this locale: name another"):
        RunDir("cart", tmp_path / "\udcff")


def test_words_that_are_no_text_come_back_from_json(run):
    run.save_config({"word": "\udcff"})
    assert run.load_config() == {"word": "\udcff"}


def test_files_have_their_places(run):
    assert run.log_path() == run.root / "logs/metrics.jsonl"
    assert run.log_path("train.log") == run.root / "logs/train.log"
    assert run.video_path(500) == run.root / "videos/eval_step_500.mp4"
    assert run.video_path(500, "demo") == run.root / "videos/demo_step_500.mp4"
    assert run.artifact_path("reward_curve.png") == run.root / "artifacts/reward_curve.png"


class Point(NamedTuple):
    x: int


@dataclasses.dataclass(frozen=True)
class Inner:
    sizes: tuple = (64, 64)
    lr: float = 3e-4


@dataclasses.dataclass(frozen=True)
class Outer:
    algo: Inner = Inner()
    clip: float = math.inf
    path: Path = Path("runs")
    resume: bool = False
    note: str | None = None


def test_a_config_comes_back_as_plain_values(run):
    path = run.save_config(Outer())
    assert path == run.root / "config.json"
    assert run.load_config() == {
        "algo": {"sizes": [64, 64], "lr": 3e-4},
        "clip": "inf",
        "path": "runs",
        "resume": False,
        "note": None,
    }


def test_a_config_may_hold_arrays_records_types_and_functions(run):
    class Spec:
        def to_dict(self):
            return {"low": np.float32(-1.5)}

    config = {
        "array": jnp.arange(3),
        "nan": np.array([1.0, np.nan]),
        "point": Point(x=2),
        "spec": Spec(),
        "kind": Inner,
        "activation": math.tanh,
        3: {1},
    }
    run.save_config(config)
    assert run.load_config() == {
        "array": [0, 1, 2],
        "nan": [1.0, "nan"],
        "point": {"x": 2},
        "spec": {"low": -1.5},
        "kind": "Inner",
        "activation": "tanh",
        "3": [1],
    }


def test_a_config_is_never_overwritten_and_no_draft_is_left(run):
    run.save_config({"lr": 1})
    with pytest.raises(ConfigError, match=r"config\.json exists"):
        run.save_config({"lr": 2})
    assert run.load_config() == {"lr": 1}
    assert [path.name for path in run.root.iterdir() if path.is_file()] == ["config.json"]


def test_a_config_that_is_no_record_is_refused(run):
    with pytest.raises(ConfigError, match="is not a record"):
        run.save_config([1, 2])


def test_a_missing_config_is_named(run):
    with pytest.raises(ConfigError, match=r"config\.json does not exist"):
        run.load_config()


def test_the_manifest_says_what_the_run_ran_on_and_not_where(run, monkeypatch):
    argv = ["/home/me/train.py", "cartpole_ppo", "--base_dir=/home/me/runs", "runs/a", "gs://b/c"]
    monkeypatch.setattr("sys.argv", argv)
    path = run.save_manifest({"seed": 7})
    manifest = json.loads(path.read_text())
    assert manifest["seed"] == 7
    assert manifest["command"] == [
        "train.py",
        "cartpole_ppo",
        "--base_dir=runs",
        "runs/a",
        "gs://b/c",
    ]
    assert set(manifest["versions"]) == {"vibe_rl", "jax", "jaxlib", "numpy", "equinox", "optax"}
    assert manifest["devices"]["count"] == 8
    assert manifest["created"].endswith("+00:00")
    assert "matmul_precision" in manifest
    assert socket.gethostname() not in path.read_text()
    assert "/home" not in path.read_text()


def test_a_resumed_run_adds_a_manifest_and_keeps_the_first(run):
    names = [run.save_manifest({"n": n}).name for n in range(2)]
    assert names == ["manifest.json", "manifest_2.json"]
    assert json.loads((run.root / "manifest.json").read_text())["n"] == 0


def test_checkpoints_are_listed_by_step_and_not_by_name(run):
    paths = [write_checkpoint(run, step) for step in (1000, 200, 30)]
    assert run.list_checkpoints() == paths[::-1]
    assert run.latest_checkpoint == paths[0]


def test_an_empty_or_strange_folder_is_no_checkpoint(run):
    run.checkpoint_dir(5)
    (run.checkpoints / "step_7.tmp").mkdir()
    (run.checkpoints / "step_8").write_text("a file")
    assert run.list_checkpoints() == []
    assert run.latest_checkpoint is None
    assert run.best_checkpoint is None


def test_the_best_checkpoint_is_the_one_last_marked(run):
    paths = [write_checkpoint(run, step) for step in (10, 20)]
    run.mark_best(20)
    run.mark_best(10)
    assert run.best_checkpoint == paths[0]
    assert run.list_checkpoints() == paths


def test_the_best_mark_survives_moving_the_run(run, tmp_path):
    write_checkpoint(run, 10)
    run.mark_best(10)
    moved = RunDir.open(run.root.rename(tmp_path / "moved"))
    assert moved.best_checkpoint == tmp_path / "moved/checkpoints/step_10"


def test_a_checkpoint_that_does_not_exist_cannot_be_best(run):
    with pytest.raises(ConfigError, match="no step_10"):
        run.mark_best(10)


def test_cleanup_spares_the_newest_and_the_best(run):
    paths = [write_checkpoint(run, step) for step in (1, 2, 3, 4)]
    run.mark_best(2)
    assert run.cleanup_checkpoints(keep=1) == [paths[0], paths[2]]
    assert run.list_checkpoints() == [paths[1], paths[3]]
    assert run.best_checkpoint == paths[1]


def test_cleanup_ends_what_a_killed_cleanup_began(run):
    (run.checkpoints / ".removed_step_1").mkdir()
    assert run.cleanup_checkpoints() == []
    assert list(run.checkpoints.iterdir()) == []


def test_cleanup_refuses_to_keep_nothing(run):
    with pytest.raises(ConfigError, match="keep 0"):
        run.cleanup_checkpoints(keep=0)


def test_runs_are_found_by_experiment_and_in_order(midnight, tmp_path):
    runs = [RunDir("cart", tmp_path) for _ in range(11)]
    other = RunDir("pendulum", tmp_path)
    (tmp_path / "cart_notes").mkdir()
    assert [str(run) for run in find_runs(tmp_path, "cart")] == [str(run) for run in runs]
    assert [str(run) for run in find_runs(tmp_path)] == [str(run) for run in [*runs, other]]


def test_no_runs_are_found_where_there_is_nothing(tmp_path):
    assert find_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize("text", [b"{", b'{"a":\n1', b"[1]", b"3", b"\xff\xfe", b""])
def test_a_damaged_file_of_json_is_one_sentence_wherever_it_is_read(run, text):
    for name in ("config.json", "manifest.json", "logs/sessions.jsonl", "tracking.json"):
        (run.root / name).write_bytes(text)
    readers = [run.load_config, lambda: described(run), lambda: read_settings(run)]
    readers += [lambda: curves_in(run, [{"step": 1, "x": 2}], "step", "x")]
    readers += [lambda: sessions_of(run)] * bool(text)
    for read in readers:
        with pytest.raises(ConfigError, match=r"(is not valid JSON|holds no names).*: repair or"):
            read()


@pytest.mark.parametrize("step", [-1, 1.5, "5"])
def test_a_step_that_no_checkpoint_can_have_is_refused(run, step):
    with as_users_do():
        for method in (run.checkpoint_dir, run.mark_best):
            with pytest.raises(ConfigError, match=r"^step .*: give"):
                method(step)
    assert not any(run.checkpoints.iterdir())
