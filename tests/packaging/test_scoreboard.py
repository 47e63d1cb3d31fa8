"""The scoreboard trains what it lacks, once, and its page shows what is kept."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compiling import one_device
from vibe_rl.configs import PRESETS

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def board(monkeypatch, tmp_path):
    """The script, with one row that trains in a moment, and a folder for its page."""
    monkeypatch.syspath_prepend(str(BENCH))
    import scoreboard  # noqa: PLC0415 - scripts, not a part of the library
    import scoreboard_page  # noqa: PLC0415
    import scoreboard_rows  # noqa: PLC0415

    config = PRESETS["gridworld_ppo"][1]
    config = replace(config, algo=replace(config.algo, hidden_sizes=(8,)))
    monkeypatch.setitem(PRESETS, "tiny", ("", config))
    monkeypatch.setattr(scoreboard_rows, "EPISODES", 2)
    published = scoreboard_rows.Published("0.9", "somebody")
    row = scoreboard_rows.row("classic", "tiny", (100, 101), published, steps=512, most=20)
    for module in (scoreboard, scoreboard_page):
        monkeypatch.setattr(module, "ROWS", {row.name: row})
    monkeypatch.setattr(scoreboard, "enable_compilation_cache", lambda: None)
    monkeypatch.setattr(scoreboard_page, "DOCS", tmp_path)
    monkeypatch.setattr(scoreboard_page, "PAGE", tmp_path / "scoreboard.md")
    return scoreboard


def call(board, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["scoreboard.py", *words])
    with one_device():
        board.main()


def test_what_is_known_is_not_trained_again_and_the_page_has_it(
    board, monkeypatch, tmp_path, capsys
):
    file = tmp_path / "figures.json"
    call(board, monkeypatch, "--seeds", "1", "--json", str(file))
    (figure,) = json.loads(file.read_text())
    assert (figure["seed"], figure["steps"], figure["episodes"]) == (100, 512, 2)
    page = (tmp_path / "scoreboard.md").read_text()
    assert "| GridWorld-v0 | PPO | 512 | 1 of 2 | " in page
    assert "GridWorld-v0: somebody." in page
    assert (tmp_path / "figures" / "scoreboard-classic.svg").exists()
    monkeypatch.setattr(board, "trained", lambda row, seed: figure | {"seed": seed})
    call(board, monkeypatch, "ppo/*", "--json", str(file))
    assert [x["seed"] for x in json.loads(file.read_text())] == [100, 101]
    capsys.readouterr()
    call(board, monkeypatch, "--list", "--json", str(file))
    assert capsys.readouterr().out == "ppo/GridWorld-v0/512: 2 of 2 seeds\n"


def test_figures_of_other_settings_and_older_versions_are_not_shown(board):
    import scoreboard_page  # noqa: PLC0415

    (row,) = board.ROWS.values()
    known = board.wanted(row, 100)
    found = [known | {"config": "0" * 8}, known | {"vibe_rl": "0.0.9"}, known]
    assert scoreboard_page.newest(scoreboard_page.of_row(found, row)) == [known]


def test_a_word_that_names_no_row_ends_it(board, monkeypatch):
    with pytest.raises(SystemExit, match="no row is called dqn/"):
        call(board, monkeypatch, "dqn/*")
