"""What an evaluation of scenarios comes to."""

import csv
import json

import numpy as np
import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.trainers.driving.results import (
    EPISODES,
    RESULTS,
    TEXT,
    DriveOutcome,
    check_out,
    ended_by,
    interval,
    summarize,
    wilson,
    write_results,
)

FIGURES = {
    "success": np.float32([1, 1, 0, 0]),
    "progress": np.float32([1.0, 0.5, 0.25, 0.25]),
    "overlap": np.float32([0, 0, 1, 0]),
    "offroad": np.float32([0, 0, 1, 0]),
}
ENDINGS = {
    "ended_by_offroad": np.float32([0, 0, 1, 0]),
    "ended_by_overlap": np.float32([0, 0, 1, 0]),
    "ended_by_time": np.float32([1, 1, 0, 1]),
}
OUTCOME = DriveOutcome(
    numbers=[0, 1, 5, 6],
    uids=["7", "8", "9", "10"],
    families=["merge", "highway", "merge", "merge"],
    figures=FIGURES,
    ended_by=ended_by(ENDINGS, 4),
)


def test_the_first_that_fired_has_ended_an_episode():
    assert OUTCOME.ended_by == ["time", "time", "offroad", "time"]
    assert ended_by(FIGURES, 2) == ["unknown", "unknown"]


def test_figures_are_means_over_everything_and_over_each_family():
    found = summarize(OUTCOME)
    assert found["scenarios"] == 4
    assert found["success"] == 0.5
    assert found["progress"] == 0.5
    assert found["ended_by"] == {"time": 3, "offroad": 1}
    assert list(found["families"]) == ["highway", "merge"]
    merge = found["families"]["merge"]
    assert (merge["scenarios"], merge["progress"]) == (3, 0.5)
    assert merge["success"] == pytest.approx(1 / 3)
    assert merge["ended_by"] == {"time": 2, "offroad": 1}


def test_the_interval_of_a_share_is_wilsons():
    # n = 10, 8 of them: centre (0.8 + 0.19207) / 1.38415, half 1.95996 sqrt(0.016 + 0.0096) / 1.38
    assert wilson(8, 10) == pytest.approx([0.49016, 0.94332], abs=1e-5)
    assert wilson(0, 10)[0] == 0
    assert 0 < wilson(0, 10)[1] < 0.3
    assert interval(np.array([1.0] * 8 + [0.0] * 2)) == wilson(8, 10)


def test_the_interval_of_other_means_is_about_two_standard_errors_wide():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    low, high = interval(values)
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)
    assert interval(np.array([2.5, 2.5])) == [2.5, 2.5]


def test_the_files_have_a_row_a_scenario_and_all_figures(tmp_path):
    results = write_results(tmp_path / "new", {"actor": "brake"}, OUTCOME)
    assert json.loads((tmp_path / "new" / RESULTS).read_text()) == results
    assert results["actor"] == "brake"
    rows = list(csv.DictReader((tmp_path / "new" / EPISODES).read_text().splitlines()))
    assert [row["uid"] for row in rows] == OUTCOME.uids
    assert rows[2] == {
        **{"scenario": "5", "uid": "9", "family": "merge", "ended_by": "offroad"},
        **{"success": "0.0", "progress": "0.25", "overlap": "1.0", "offroad": "1.0"},
    }
    text = (tmp_path / "new" / TEXT).read_text()
    assert "actor: brake" in text
    assert "merge: 3 scenarios" in text


def test_results_that_are_there_stay_unless_they_may_be_replaced(tmp_path):
    write_results(check_out(tmp_path), {}, OUTCOME)
    with pytest.raises(ConfigError, match=r"has evaluation_episodes\.csv: name another folder"):
        check_out(tmp_path)
    assert check_out(tmp_path, overwrite=True) == tmp_path
