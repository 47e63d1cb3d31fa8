"""Metrics under other names for a tracker, while the log keeps ours."""

from pathlib import Path

import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.tracking import Renamed, Tee, Tracker
from vibe_rl.tracking.jsonl import MetricsLogger, read_metrics

ROW = {"step": 8, "episode_return_mean": 2.5, "lr": 0.1}


class Kept(Tracker):
    def __init__(self):
        self.rows, self.others = [], []

    def log(self, metrics, step):
        self.rows.append((step, dict(metrics)))

    def log_config(self, config):
        self.others.append(config)

    def log_file(self, path):
        self.others.append(path)

    def rewind(self, step):
        self.others.append(step)

    def close(self, status="finished"):
        self.others.append(status)


def test_a_metric_gets_their_name_or_several_and_others_keep_theirs():
    kept = Kept()
    table = {"episode_return_mean": ["train/mean_reward", "key/reward"], "lr": "opt/lr"}
    Renamed(kept, table).log(ROW, 8)
    theirs = {"step": 8, "train/mean_reward": 2.5, "key/reward": 2.5, "opt/lr": 0.1}
    assert kept.rows == [(8, theirs)]


def test_others_are_left_out_where_one_says_so_and_rows_of_nothing_with_them():
    kept = Kept()
    renamed = Renamed(kept, {"lr": "opt/lr"}, keep_others=False)
    renamed.log(ROW, 8)
    renamed.log({"step": 9, "loss": 1.0}, 9)
    assert kept.rows == [(8, {"opt/lr": 0.1})]


def test_a_name_of_theirs_replaces_a_metric_of_ours_that_has_it():
    kept = Kept()
    Renamed(kept, {"episode_return_mean": "lr"}).log({"lr": 0.1, "episode_return_mean": 2.0}, 1)
    Renamed(kept, {"a": "b", "b": "a"}).log({"a": 1.0, "b": 2.0}, 2)
    assert kept.rows == [(1, {"lr": 2.0}), (2, {"b": 1.0, "a": 2.0})]


def test_config_files_and_the_end_pass_unchanged():
    kept = Kept()
    renamed = Renamed(kept, {"lr": "opt/lr"})
    renamed.rewind(3)
    renamed.log_config({"lr": 1.0})
    renamed.log_file(Path("curve.png"))
    renamed.close("interrupted")
    assert kept.others == [3, {"lr": 1.0}, Path("curve.png"), "interrupted"]


def test_the_log_beside_it_keeps_our_names(tmp_path):
    kept, path = Kept(), tmp_path / "metrics.jsonl"
    with Tee(MetricsLogger(path), Renamed(kept, {"lr": "opt/lr"})) as tee:
        tee.log(ROW, 8)
    (row,) = read_metrics(path)
    assert ROW.items() <= row.items()
    assert "opt/lr" in kept.rows[0][1]


@pytest.mark.parametrize("theirs", ["", [], ["a", 3], None, 1.0])
def test_what_is_no_name_is_refused(theirs):
    with pytest.raises(ConfigError, match=r"'lr' becomes .*: give a name, or several"):
        Renamed(Kept(), {"lr": theirs})
