"""Metrics on disk: one JSON object a line, valid after every row, whatever kills the run.

Strict JSON has no NaN and no infinity: they are written as null. Trackers still see them as floats.
"""

import json
import math
import os
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from typing_extensions import override

from vibe_rl.errors import ConfigError, shown, writing
from vibe_rl.run_dir.files import first_free, numbered_names, record_of, write_atomically
from vibe_rl.tracking.base import LogBackend, Status, Tee, Tracker, check_trackers, meaning

_PLAIN = frozenset({bool, int, float, str, type(None)})
_encode = json.JSONEncoder(allow_nan=False).encode


class MetricsLogger(Tracker):
    """Appends rows to a JSONL file and passes each on to `backends`; is itself a `Tracker`.

    A row reaches the file in one write, so a reader sees whole lines and a kill loses at most the
    row in flight. What a full disk does not take waits in memory for the next row. A resumed file
    loses a torn last line and its `wall_time` runs on.

    Args:
        path: The file; its folders are made.
        backends: Trackers that get every row, NaN and infinity included.
        resume: Append to a file that already has rows.

    Raises:
        ConfigError: `path` has rows and `resume` is false.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        backends: Sequence[LogBackend] | None = None,
        *,
        resume: bool = False,
    ):
        self.path = Path(path).absolute()
        check_trackers(backends or ())
        self._backends = Tee(*(backends or ()))
        self._step, self._unwritten = 0, b""
        with writing(self.path):
            wall_time = _prepare(self.path, resume)
            self._file = self.path.open("ab", buffering=0)
        self._began = time.perf_counter() - wall_time

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row of scalars, with `wall_time` [s] unless it has one, and pass it on.

        Raises:
            ConfigError: A value is not a scalar; nothing is written.
        """
        plain = {key: _scalar(key, value) for key, value in row.items()}
        if "wall_time" not in plain:
            plain["wall_time"] = round(time.perf_counter() - self._began, 6)
        self._append(_line(plain))
        self._step = plain.get("step", self._step)  # a row without step belongs to the last one
        self._backends.log(plain, self._step)

    def _append(self, line: bytes) -> None:
        """Writes what waits and this line; what cannot be written waits in memory."""
        none_waited = not self._unwritten
        self._unwritten += line
        try:
            while self._unwritten:  # a disk that fills up takes a part of a line
                self._unwritten = self._unwritten[self._file.write(self._unwritten) :]
        except OSError as error:
            if none_waited:
                warnings.warn(
                    f"{self.path.name} cannot be written ({error}): rows wait in memory until it "
                    "can, and are lost if the process ends before.",
                    RuntimeWarning,
                    stacklevel=4,
                )

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        self.write({"step": step, **metrics})

    @override
    def log_config(self, config: Mapping[str, Any]) -> None:
        self._backends.log_config(config)

    @override
    def log_file(self, path: str | os.PathLike[str]) -> None:
        self._backends.log_file(path)

    @override
    def close(self, status: Status = "finished") -> None:
        if not self._file.closed:
            if self._unwritten:
                self._append(b"")
            self._file.close()
            self._backends.close(status)

    def __enter__(self):
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close("finished" if kind is None else meaning(kind))


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """All rows of a JSONL file, or of the run directory `path`, in the order they were written.

    Returns:
        One dict a row; none where there is no file. A last line torn by a kill is left out.

    Raises:
        ConfigError: A line before the last is not valid JSON.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "logs" / "metrics.jsonl"
    if not path.exists():
        return []
    *lines, torn = path.read_bytes().split(b"\n")
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    rows = [record_of(line, f"line {number} of {shown(path)}") for number, line in numbered]
    with suppress(ConfigError):
        rows.append(record_of(torn, "the last line"))
    return rows


def furthest_step(rows: Iterable[Mapping[str, Any]]) -> int:
    """The env step that the rows of a log have come to."""
    return max((int(row["step"]) for row in rows if row.get("step") is not None), default=0)


def rewind(path: str | os.PathLike[str], step: int, folder: Path | None = None) -> Path | None:
    """Moves the rows later than `step` into another file, which is returned.

    They were written after the last checkpoint by a process that was lost, or after one that a run
    goes back to; the run that resumes there writes these steps again.

    Args:
        path: the log.
        step: the last that stays.
        folder: of the new file, which has the log's name there; None makes one beside the log,
            `..._set_aside_1` and so on.

    Returns:
        The new file; None if there are no such rows.
    """
    path = Path(path)
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    first = next((i for i, line in enumerate(lines) if _step_of(line) > step), len(lines))
    if first == len(lines):
        return None
    names = numbered_names(f"{path.stem}_set_aside", path.suffix, first="_1")
    aside = first_free(path.parent, names) if folder is None else folder / path.name
    for file_path, part in ((aside, lines[first:]), (path, lines[:first])):
        with write_atomically(file_path) as file:
            file.writelines(part)
    return aside


def _step_of(line: bytes) -> float | int:
    """The step of a row: infinite for a torn row, minus infinity for one without a step."""
    if not line.strip():
        return -math.inf
    try:
        step = record_of(line, "a row").get("step")
    except ConfigError:
        return math.inf
    return -math.inf if step is None else step


def _scalar(key: str, value: Any) -> Any:
    """A Python number for `value`, waiting for the device if it must."""
    if type(value) in _PLAIN:
        return value
    if getattr(value, "size", None) != 1 or not hasattr(value, "item"):
        kind = f"an array of shape {value.shape}" if hasattr(value, "shape") else repr(value)
        raise ConfigError(f"metric {key!r} is {kind}: log its mean, or one scalar for each entry.")
    return value.item()


def _line(row: dict[str, Any]) -> bytes:
    try:
        text = _encode(row)
    except ValueError:  # NaN or infinity; rare, so the check is left to the encoder
        text = _encode({key: _finite_or_none(value) for key, value in row.items()})
    return text.encode() + b"\n"


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _prepare(path: Path, resume: bool) -> float:
    """Makes `path` ready for whole lines; returns the `wall_time` of its last row [s]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_size == 0:
        return 0.0
    if not resume:
        raise ConfigError(
            f"{shown(path)} already has metrics: pass resume=True or choose another file."
        )
    rows = read_metrics(path)
    with path.open("rb+") as file:
        file.truncate(file.read().rfind(b"\n") + 1)
    return float(rows[-1].get("wall_time") or 0.0) if rows else 0.0
