"""What the trackers of a run are told besides its rows."""

from vibe_rl.run_dir import RunDir
from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.named import Named, caught_up
from vibe_rl.tracking.settings import (
    TrackingSettings,
    Translated,
    WandbSettings,
    read_settings,
    write_settings,
)

SETTINGS = TrackingSettings(
    names={"loss": ["train/loss", "key/loss"], "gain": "train/gain"},
    sums={"gain": {"a": 2.0, "b": -1.0}},
    wandb=WandbSettings("project", None, artifacts=False),
)


class Recorder(Tracker):
    def __init__(self):
        self.calls = []

    def log(self, metrics, step):
        self.calls.append((dict(metrics), step))

    def log_file(self, path):
        self.calls.append(path)

    def rewind(self, step):
        self.calls.append(step)

    def flush(self):
        self.calls.append("flush")

    def close(self, status="finished"):
        self.calls.append(status)


def test_metrics_are_summed_and_renamed_and_others_stay():
    recorder = Recorder()
    tracker = Translated(recorder, SETTINGS)
    tracker.log({"loss": 0.5, "a": 1.0, "b": 0.5, "step": 4}, 4)
    tracker.log({"a": None, "b": 1.0}, 5)  # as null is read back from the log
    both = {"train/loss": 0.5, "key/loss": 0.5, "train/gain": 1.5, "a": 1.0, "b": 0.5, "step": 4}
    assert recorder.calls == [(both, 4), ({"a": None, "b": 1.0}, 5)]


def test_only_named_metrics_come_where_others_are_not_wanted():
    recorder = Recorder()
    Translated(recorder, SETTINGS, keep_others=False).log({"loss": 0.5, "a": 1.0}, 4)
    assert recorder.calls == [({"train/loss": 0.5, "key/loss": 0.5}, 4)]


def test_all_else_is_passed_on():
    recorder = Recorder()
    tracker = Translated(recorder, SETTINGS)
    tracker.rewind(3)
    tracker.log_file("x")
    tracker.flush()
    tracker.close("failed")
    assert recorder.calls == [3, "x", "flush", "failed"]


def test_they_are_kept_with_the_run_and_its_trackers_obey_them(tmp_path, monkeypatch):
    run_dir, recorder = RunDir(base_dir=tmp_path), Recorder()
    assert read_settings(run_dir) == TrackingSettings()
    write_settings(run_dir, SETTINGS)
    assert read_settings(run_dir) == SETTINGS
    (run_dir.logs / "metrics.jsonl").write_text('{"step": 4, "loss": 0.5}\n')
    module = type("module", (), {"open_for": staticmethod(lambda run_dir, new, live: recorder)})
    monkeypatch.setattr("vibe_rl.tracking.named.import_module", lambda name: module)
    monkeypatch.setitem(caught_up.__globals__["TRACKERS"], "recorder", Named("m", "p"))
    caught_up("recorder", run_dir, 4)
    assert recorder.calls == [4, ({"step": 4, "train/loss": 0.5, "key/loss": 0.5}, 4)]
