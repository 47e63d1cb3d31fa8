"""Locks between processes, where the system has them."""

import runpy
import subprocess
import sys

import pytest

from vibe_rl.checkpoint import check_free
from vibe_rl.checkpoint.directory import make_directory
from vibe_rl.errors import ConfigError
from vibe_rl.system import lock
from vibe_rl.system.lock import LOCK, lock_directory

HOLDER = """
import sys
from pathlib import Path
from vibe_rl.system.lock import lock_directory
with lock_directory(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_directory_is_locked_until_the_block_ends(tmp_path):
    with lock_directory(tmp_path / "run"):
        with pytest.raises(ConfigError, match=r"another process trains in .*run: wait for it"):
            lock_directory(tmp_path / "run").__enter__()
        with lock_directory(tmp_path / "other"):
            pass
    with lock_directory(tmp_path / "run"):
        pass


def test_the_lock_lies_in_the_directory_and_goes_with_the_block(tmp_path):
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "mine", tmp_path / "new" / "run"):
        with lock_directory(folder):
            assert [path.name for path in folder.iterdir()] == [LOCK]
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]
    with lock_directory(tmp_path / "new" / "run"):
        (tmp_path / "new" / "run" / "file").touch()
    assert (tmp_path / "new" / "run" / "file").exists()


def test_a_lock_that_its_owner_removes_meanwhile_is_not_taken_for_one(tmp_path, monkeypatch):
    def removed_just_before(file, how):
        monkeypatch.undo()
        (tmp_path / LOCK).unlink()

    monkeypatch.setattr(lock.fcntl, "flock", removed_just_before)
    with lock_directory(tmp_path), pytest.raises(ConfigError, match="another process trains"):
        lock_directory(tmp_path).__enter__()


def test_overwriting_spares_the_lock_and_a_lock_is_nothing_in_the_way(tmp_path):
    with lock_directory(tmp_path):
        check_free(tmp_path, resume=False, overwrite=False)
        (tmp_path / "step_1").mkdir()
        (tmp_path / "notes").touch()
        (tmp_path / "best").symlink_to("step_1")
        make_directory(tmp_path, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
        with pytest.raises(ConfigError, match="another process trains"):
            lock_directory(tmp_path).__enter__()


def test_a_process_that_is_killed_leaves_no_lock(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], **pipes)
    with holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(ConfigError, match="another process trains"):
            lock_directory(tmp_path / "run").__enter__()
        holder.kill()
    assert (tmp_path / "run" / LOCK).exists()
    check_free(tmp_path / "run", resume=False, overwrite=False)
    with lock_directory(tmp_path / "run"):
        pass


def test_without_fcntl_one_sentence_warns_and_nothing_is_locked(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.warns(RuntimeWarning, match="has no fcntl, so runs are not locked: training"):
        unlocked = runpy.run_path(lock.__file__)["lock_directory"]
    with unlocked(tmp_path / "run"), unlocked(tmp_path / "run"):
        pass
