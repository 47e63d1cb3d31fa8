"""Offline runs of Weights & Biases, read back by its own program."""

import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from small_run import CONFIG, DRAWN
from vibe_rl.experiment import resume, train
from vibe_rl.metrics import WandbBackend, read_metrics, resume_wandb
from vibe_rl.tracking.named import send
from vibe_rl.tracking.wandb import answers

WANDB = str(Path(sys.executable).with_name("wandb"))


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Tests of what arrives wait on a busy machine too."""
    monkeypatch.setattr("vibe_rl.tracking.background.PATIENCE", 60.0)


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
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    assert answers(address)  # if only that it does not know the method
    server.shutdown()
    server.server_close()
    began = time.monotonic()
    assert not answers(address)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not answers(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert time.monotonic() - began < 5.0


def test_a_service_that_accepts_and_never_answers_leaves_an_offline_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        run_dir, _ = train(tracked(CONFIG), tmp_path)
    assert time.monotonic() - began < 30.0
    assert_alike(run_dir)


def test_what_was_lost_is_sent_later_and_only_once(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run_dir, _ = train(CONFIG, tmp_path)
    backend = WandbBackend(run_dir=run_dir)
    for row in read_metrics(run_dir)[:3]:
        backend.log(row, row["step"])
    backend.close()
    for _ in range(2):
        send("wandb", run_dir)
        assert_alike(run_dir)
