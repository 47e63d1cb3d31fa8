"""What a full or read-only disk does to a run: nothing to what was saved, nothing to training."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vibe_rl.cli import main

SCRIPT = Path(__file__).with_name("bad_disk.py")
KINDS = ("full", "freed", "read-only")
GRID = list(range(400, 6_401, 400))  # of rows and of checkpoints
BEFORE = [step for step in GRID if step < 2_800]  # when the disk breaks, at 3,200, 2,800 is late


def own_mounts() -> bool:
    """Whether a process here may have a file system of its own."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def found() -> dict[str, dict]:
    """What the script found with every kind of bad disk."""
    command = ["unshare", "-rm", sys.executable, str(SCRIPT), *KINDS]
    environ = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(KINDS, map(json.loads, done.stdout.splitlines()), strict=True))


needs_mounts = pytest.mark.skipif(not own_mounts(), reason="no file system of one's own here")


@needs_mounts
@pytest.mark.parametrize("how", KINDS)
def test_training_continues_and_what_was_saved_stays_whole(how, found):
    found = found[how]
    assert found["step"] == 6_400
    assert found["whole"] == found["saved"]
    assert set(BEFORE) <= set(found["saved"])
    assert found["rows"] == GRID[: len(found["rows"])]
    reason = "Read-only" if how == "read-only" else "No space left"
    lost = [step for step in GRID if step not in found["saved"]]
    for step in lost:
        told = [line for line in found["warned"] if f"step {step} could not be written" in line]
        assert told, found["warned"]
    assert any(reason in line for line in found["warned"])


@needs_mounts
def test_once_there_is_room_again_rows_and_checkpoints_are_complete(found):
    found = found["freed"]
    assert found["rows"] == GRID
    assert {5_600, 6_000, 6_400} <= set(found["saved"])
    assert sum("metrics.jsonl" in line for line in found["warned"]) == 1


def test_where_nothing_can_be_written_one_sentence_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("runs").write_text("a file")
    with pytest.raises(SystemExit):
        main(["train", "cartpole_ppo"])
    assert "runs cannot be written (File exists): free it" in capsys.readouterr().err
