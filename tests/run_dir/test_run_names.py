"""Names that count the runs of a day."""

from datetime import date

from vibe_rl.run_dir.run_names import next_run_name

TODAY = date(2026, 3, 5)


def test_the_number_is_one_more_than_the_largest_of_the_day_whatever_the_suffix(tmp_path):
    assert next_run_name(tmp_path / "none", "game", TODAY) == "game-mar05-26-1"
    for name in ("game-mar05-26-2", "game-mar05-26-10-a-b", "game-mar05-26-x", "game-mar04-26-99"):
        (tmp_path / name).mkdir()
    assert next_run_name(tmp_path, "game", TODAY) == "game-mar05-26-11"
    assert next_run_name(tmp_path, "game", TODAY, "long") == "game-mar05-26-11-long"
    assert next_run_name(tmp_path, "gam", TODAY) == "gam-mar05-26-1"
