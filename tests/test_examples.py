"""The examples run as they stand, with a smaller budget."""

import runpy
import sys
from pathlib import Path

import pytest

from compiling import as_users_do, one_device

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


@pytest.fixture(scope="module", autouse=True)
def _one_device():
    with as_users_do(), one_device():
        yield


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_the_example_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [example.name, "2048"])
    runpy.run_path(str(example), run_name="__main__")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_the_example_is_short_and_listed(example):
    assert len(example.read_text("utf-8").splitlines()) < 40
    assert f"| [{example.name}]({example.name}) |" in (FOLDER / "README.md").read_text("utf-8")


def test_early_stop_ends_before_its_budget(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main = runpy.run_path(str(FOLDER / "early_stop.py"))["main"]
    monkeypatch.setitem(main.__globals__, "SOLVED", 0.0)  # by any agent
    main(4 * 512)
    assert "Ended after 3 updates." in capsys.readouterr().out
