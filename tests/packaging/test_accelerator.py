"""The script for accelerators runs on a CPU with small numbers, and goes on where a part cannot."""

import json
import sys
from pathlib import Path

import pytest

from compiling import one_device

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import accelerator  # noqa: PLC0415 - a script, not a part of the library

    monkeypatch.setattr(accelerator, "enable_compilation_cache", lambda: None)
    return accelerator


def lines(script, monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["accelerator.py", "--small", *words])
    with one_device():
        script.main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()][1:]


def test_parts_are_timed_and_checked(script, monkeypatch, capsys):
    training, exact = lines(script, monkeypatch, capsys, "--parts", "ppo_64", "precision")
    assert training["steps"] == 3 * 64 * 128
    assert training["compile"] > training["seconds"] > 0
    assert training["return"] > 10
    assert 0 < exact["relative_error"]["highest"] < 1e-5


def test_a_part_that_fails_is_named_and_one_too_late_left_out(script, monkeypatch, capsys):
    def fail(small):
        raise ValueError("no such thing")

    monkeypatch.setattr(script, "PARTS", {"fails": fail, "late": fail})
    (found,) = lines(script, monkeypatch, capsys, "--parts", "fails")
    assert found["failed"] == "ValueError: no such thing"
    late = lines(script, monkeypatch, capsys, "--parts", "late", "--minutes", "-1")
    assert late == [{"part": "late", "left_out": "the time was over"}]
