"""Offline runs of Weights & Biases, read back by its own program."""

import json
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from small_run import CONFIG, DRAWN
from vibe_rl.experiment import resume, train
from vibe_rl.metrics import WandbBackend, read_metrics, resume_wandb
from vibe_rl.tracking.wandb import answers

WANDB = str(Path(sys.executable).with_name("wandb"))


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def tracked(config, **runner):
    return replace(config, runner=replace(config.runner, track=("wandb",), **runner))


def records(run_dir):
    """The rows of all offline files of a run, by env step."""
    rows = {}
    for path in sorted(Path(run_dir).rglob("*.wandb")):
        command = [WANDB, "leet", "inspect", "--json", str(path)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for record in map(json.loads, text.splitlines()):
            row = record.get("history", {}).get("item")
            if row is not None:
                assert row["_step"] not in rows, "a row is there twice"
                rows[row["_step"]] = row
    return rows


def assert_alike(run_dir):
    found, rows = records(run_dir), read_metrics(run_dir)
    assert sorted(found) == [row["step"] for row in rows]
    for row in rows:
        for name, value in row.items():
            if value is not None:
                assert found[row["step"]][name] == pytest.approx(value)


def test_every_row_is_in_the_offline_file_and_a_resumed_run_adds_its_own(tmp_path):
    run_dir, _ = train(tracked(DRAWN, total_timesteps=512), tmp_path)
    assert_alike(run_dir)
    first = (run_dir.root / "wandb_id.txt").read_text()
    resume(run_dir, tracked(CONFIG))
    assert_alike(run_dir)
    assert (run_dir.root / "wandb_id.txt").read_text() == first


def test_the_seeds_backend_keeps_its_id_and_is_resumed(tmp_path):
    backend = WandbBackend(project="p", config={"lr": 1}, run_dir=tmp_path)
    backend.log({"step": 1, "loss": 0.5})
    backend.log({"loss": 0.25}, step=2)
    run_id = backend.run_id
    backend.close()
    backend.close()
    assert {step: row["loss"] for step, row in records(tmp_path).items()} == {1: 0.5, 2: 0.25}
    again = resume_wandb(tmp_path, project="p")
    assert again.run_id == run_id
    again.log({"loss": 0.125}, step=3)
    again.close()
    assert sorted(records(tmp_path)) == [1, 2, 3]


def test_a_service_that_is_not_there_is_known_soon():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert answers(address)
    began = time.monotonic()
    assert not answers(address)
    assert time.monotonic() - began < 3.0
