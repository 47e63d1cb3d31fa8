import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl import metrics as module
from vibe_rl.errors import ConfigError
from vibe_rl.metrics import MetricsLogger, read_metrics
from vibe_rl.run_dir import RunDir
from vibe_rl.tracking.base import Tracker


class Tape:
    def __init__(self):
        self.events = []

    def log(self, metrics, step):
        self.events.append(("log", dict(metrics), step))

    def log_config(self, config):
        self.events.append(("config", config))

    def log_file(self, path):
        self.events.append(("file", path))

    def close(self):
        self.events.append(("close",))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "metrics.jsonl"


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no strict JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_row_is_one_line_of_json_with_its_wall_time(path):
    with MetricsLogger(path) as logger:
        logger.write({"step": 1, "loss": 0.5})
        logger.write({"step": 2, "note": "wärmer\n"})
    first, second = (strict(line) for line in path.read_text().splitlines())
    assert first == {"step": 1, "loss": 0.5, "wall_time": first["wall_time"]}
    assert second["note"] == "wärmer\n"
    assert 0 <= first["wall_time"] <= second["wall_time"] < 60


def test_a_wall_time_that_is_given_is_kept(path):
    with MetricsLogger(path) as logger:
        logger.write({"step": 1, "wall_time": 12.5})
    assert read_metrics(path) == [{"step": 1, "wall_time": 12.5}]


def test_what_is_not_finite_is_written_as_null(path):
    with MetricsLogger(path) as logger:
        logger.write(
            {"nan": math.nan, "inf": np.float32(np.inf), "neg": jnp.array(-jnp.inf), "one": 1.0}
        )
    row = strict(path.read_text())
    assert (row["nan"], row["inf"], row["neg"], row["one"]) == (None, None, None, 1.0)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (jnp.float32(0.25), 0.25),
        (jnp.array([3]), 3),
        (np.array([[2.0]]), 2.0),
        (jnp.bfloat16(1.5), 1.5),
        (None, None),
        ("text", "text"),
        (2**40, 2**40),
    ],
)
def test_scalars_of_numpy_and_jax_become_python_numbers(path, value, written):
    with MetricsLogger(path) as logger:
        logger.write({"x": value})
    (row,) = read_metrics(path)
    assert row["x"] == written
    assert type(row["x"]) is type(written)


@pytest.mark.parametrize("value", [np.zeros(3), jnp.zeros((2, 2)), [1.0], {"a": 1}, np.zeros(0)])
def test_a_value_that_is_no_scalar_is_refused_by_name_and_nothing_is_written(path, value):
    with MetricsLogger(path) as logger, pytest.raises(ConfigError, match="'grads'"):
        logger.write({"step": 1, "grads": value})
    assert path.read_bytes() == b""


def test_a_row_can_be_read_as_soon_as_it_is_written(path):
    with MetricsLogger(path) as logger:
        for step in range(3):
            logger.write({"step": step})
            assert len(read_metrics(path)) == step + 1
            assert path.read_bytes().endswith(b"\n")


def test_a_file_with_rows_is_refused_unless_resumed(path):
    with MetricsLogger(path) as logger:
        logger.write({"step": 1})
    with pytest.raises(ConfigError, match="resume=True"):
        MetricsLogger(path)
    with MetricsLogger(path, resume=True) as logger:
        logger.write({"step": 2})
    assert [row["step"] for row in read_metrics(path)] == [1, 2]


def test_an_empty_file_is_no_hindrance(path):
    MetricsLogger(path).close()
    MetricsLogger(path).close()
    assert read_metrics(path) == []


def test_the_wall_time_of_a_resumed_file_runs_on(path):
    with MetricsLogger(path) as logger:
        logger.write({"step": 1, "wall_time": 100.0})
    with MetricsLogger(path, resume=True) as logger:
        logger.write({"step": 2})
    assert 100 <= read_metrics(path)[-1]["wall_time"] < 160


def test_a_torn_last_line_is_skipped_and_resuming_removes_it(path):
    path.parent.mkdir()
    path.write_bytes(b'{"step": 1}\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1}]
    with MetricsLogger(path, resume=True) as logger:
        logger.write({"step": 2})
    assert [row["step"] for row in read_metrics(path)] == [1, 2]


def test_a_file_of_one_torn_line_can_be_resumed(path):
    path.parent.mkdir()
    path.write_bytes(b'{"st')
    MetricsLogger(path, resume=True).close()
    assert path.read_bytes() == b""


def test_a_spoilt_line_in_the_middle_is_named(path):
    path.parent.mkdir()
    path.write_bytes(b'{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(ConfigError, match="line 2 of"):
        read_metrics(path)


def test_a_missing_file_has_no_rows(path):
    assert read_metrics(path) == []


def test_the_rows_of_a_run_can_be_read_by_its_directory(tmp_path):
    run = RunDir("cart", tmp_path)
    assert read_metrics(run) == []
    with MetricsLogger(run.log_path()) as logger:
        logger.write({"step": 1})
    assert read_metrics(run) == read_metrics(run.log_path()) == read_metrics(str(run))


def test_backends_hear_every_row_as_python_numbers_and_keep_nan(path):
    tape = Tape()
    with MetricsLogger(path, [tape]) as logger:
        logger.write({"step": 5, "wall_time": 1.0, "loss": np.float32(math.nan)})
        logger.write({"wall_time": 2.0, "late": 1})
    (_, first, _), second, closed = tape.events
    assert math.isnan(first["loss"])
    assert type(first["loss"]) is float
    assert second == ("log", {"wall_time": 2.0, "late": 1}, 5)
    assert closed == ("close",)


def test_no_backends_may_be_none(path):
    with MetricsLogger(path, None) as logger:
        logger.write({"step": 5})
    assert len(read_metrics(path)) == 1


def test_a_backend_that_fails_leaves_the_file_whole(path):
    class Broken(Tape):
        def log(self, metrics, step):
            raise OSError("no network")

    with MetricsLogger(path, [Broken()]) as logger:
        with pytest.warns(RuntimeWarning, match="Broken failed in log .*no network"):
            logger.write({"step": 1})
        logger.write({"step": 2})
    assert [row["step"] for row in read_metrics(path)] == [1, 2]


def test_a_logger_is_a_tracker(path):
    tape = Tape()
    logger = MetricsLogger(path, [tape])
    assert isinstance(logger, Tracker)
    logger.log({"loss": 1.0, "wall_time": 0.0}, 3)
    logger.log_config({"lr": 1})
    logger.log_file("plot.png")
    logger.close()
    logger.close()
    assert read_metrics(path) == [{"step": 3, "loss": 1.0, "wall_time": 0.0}]
    assert tape.events[1:] == [("config", {"lr": 1}), ("file", "plot.png"), ("close",)]


def test_the_console_names_of_the_public_surface_are_here():
    assert {"TrainingProgress", "log_step_progress", "setup_logging"} <= set(dir(module))


class FullDisk:
    """Takes some bytes, then none, and everything once there is room."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, line):
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = self.file.write(line[: self.room])
        self.room -= taken
        return taken

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_what_a_full_disk_does_not_take_is_written_once_it_does(path):
    with MetricsLogger(path) as logger:
        logger.write({"step": 1})
        logger._file = disk = FullDisk(logger._file, room=9)  # amid the next row
        with pytest.warns(RuntimeWarning, match=r"rows wait in memory until it can"):
            logger.write({"step": 2})
        logger.write({"step": 3})  # warned of once
        assert [row["step"] for row in read_metrics(path)] == [1]
        disk.room = 10_000
        logger.write({"step": 4})
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("line", [b"3", b"[1]", b"nul", b"\xff"])
def test_a_line_that_is_no_row_is_refused_or_torn(path, line):
    path.parent.mkdir()
    path.write_bytes(line + b'\n{"step": 2}\n')
    with pytest.raises(ConfigError, match=r"^line 1 of .*: repair or remove it"):
        read_metrics(path)
    path.write_bytes(b'{"step": 2}\n' + line)
    assert read_metrics(path) == [{"step": 2}]
