"""The script behind the claims about learning trains, alone and as a group, and counts."""

import sys
from pathlib import Path

import numpy as np
import pytest

from compiling import one_device

LEARNING = Path(__file__).parents[2] / "bench" / "learning.py"


@pytest.fixture
def learning(monkeypatch):
    monkeypatch.syspath_prepend(str(LEARNING.parent))
    import learning  # noqa: PLC0415 - a script, not a part of the library

    return learning


@pytest.mark.parametrize("group", [[], ["--group"]], ids=["alone", "group"])
def test_seeds_that_solve_the_task_are_counted(group, learning, monkeypatch, capsys):
    words = (
        "gridworld_ppo --seeds 2 --first-seed 7 --episodes 2 --steps 512 --set hidden_sizes=(8,)"
    )
    monkeypatch.setattr(sys, "argv", ["learning.py", *words.split(), *group])
    monkeypatch.setattr(learning, "enable_compilation_cache", lambda: None)
    monkeypatch.setitem(learning.SOLVED, "GridWorld-v0", -np.inf)
    with one_device():
        learning.main()
    row = capsys.readouterr().out.splitlines()[2]
    assert row.startswith("| gridworld_ppo | 512 | 2 of 2 |")
    assert "nan" not in row
