"""Locks between processes, where the system has them."""

import runpy
import subprocess
import sys

import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.system import lock
from vibe_rl.system.lock import lock_directory

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
        assert not (tmp_path / "run").exists()


def test_a_process_that_is_killed_leaves_no_lock(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], **pipes)
    with holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(ConfigError, match="another process trains"):
            lock_directory(tmp_path / "run").__enter__()
        holder.kill()
    with lock_directory(tmp_path / "run"):
        pass


def test_without_fcntl_one_sentence_warns_and_nothing_is_locked(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.warns(RuntimeWarning, match="has no fcntl, so runs are not locked: training"):
        unlocked = runpy.run_path(lock.__file__)["lock_directory"]
    with unlocked(tmp_path / "run"), unlocked(tmp_path / "run"):
        pass
