"""Event files that TensorBoard reads: `tensorboard --logdir runs`.

Written by tensorboardX, which needs neither TensorFlow nor torch; one event a row.
"""

import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from vibe_rl.extras import require
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.tracking.base import Status, Tracker, is_finite

FILES = "events.out.tfevents.*"
PNG = b"\x89PNG\r\n\x1a\n"
NOT_SHOWN = ("step",)


class TensorBoardTracker(Tracker):
    """Scalars, figures, and the config as text, in event files of a folder.

    Args:
        log_dir: the folder.

    Raises:
        ConfigError: tensorboardX is not installed.
    """

    def __init__(self, log_dir: str | os.PathLike[str]):
        self.log_dir = Path(log_dir)
        self._package = require("tensorboardX", "tensorboard", "TensorBoard trackers")
        self._proto = require("tensorboardX.proto.summary_pb2", "tensorboard", "event files")
        self._writer: Any = None
        self._purge_step: int | None = None
        self._known = -1  # rows up to this step are there
        self._step = 0  # of the last row

    @override
    def rewind(self, step: int) -> None:
        last = last_step(self.log_dir)
        self._known = min(last, step)
        if last > step:
            self._purge_step = step + 1

    @override
    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        step = int(metrics.get("step", 0) if step is None else step)
        values = [
            self._proto.Summary.Value(tag=tag_of(name), simple_value=float(value))
            for name, value in metrics.items()
            if is_finite(value) and name not in NOT_SHOWN
        ]
        self._step = step
        if values and step > self._known:
            self._add(self._proto.Summary(value=values))

    @override
    def log_config(self, config: Mapping[str, Any]) -> None:
        text = json.dumps(config, indent=2, default=str)
        self._open().add_text("config", "".join(f"    {line}\n" for line in text.splitlines()))

    @override
    def log_file(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        if path.suffix == ".png" and path.is_file():
            value = self._proto.Summary.Value(tag=tag_of(path.stem), image=self._image(path))
            self._add(self._proto.Summary(value=[value]))

    @override
    def close(self, status: Status = "finished") -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def flush(self) -> None:
        """Writes what is held back to the file."""
        if self._writer is not None:
            self._writer.flush()

    def _open(self) -> Any:
        if self._writer is None:
            n_files = sum(1 for _ in self.log_dir.glob(FILES))
            self._writer = self._package.SummaryWriter(
                str(self.log_dir),
                purge_step=self._purge_step,
                filename_suffix=f".{n_files:04d}",  # names have seconds, which may be the same
                flush_secs=3600,
            )
        return self._writer

    def _add(self, summary: Any) -> None:
        self._open().file_writer.add_summary(summary, self._step)

    def _image(self, path: Path) -> Any:
        content = path.read_bytes()
        width, height = png_size(content)
        return self._proto.Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=content
        )


def last_step(log_dir: Path) -> int:
    """The last step of a folder's rows, as TensorBoard shows them; -1 if there are none."""
    last = -1
    for event in (event for path in sorted(log_dir.glob(FILES)) for event in events_of(path)):
        if event.HasField("session_log"):  # what is later was written before a crash
            last = min(last, event.step - 1)
        elif any(value.HasField("simple_value") for value in event.summary.value):
            last = max(last, event.step)
    return last


def events_of(path: Path) -> Iterator[Any]:
    """The events of a file, but for one that a kill has torn."""
    proto = require("tensorboardX.proto.event_pb2", "tensorboard", "event files")
    with path.open("rb") as file:
        while len(header := file.read(12)) == 12:  # length, and its checksum
            event = file.read(struct.unpack("<Q", header[:8])[0])
            if len(file.read(4)) < 4:
                break
            yield proto.Event.FromString(event)


def tag_of(name: str) -> str:
    """A metric's name as TensorBoard takes it: letters, digits and `_-./`."""
    return "".join(c if c.isalnum() or c in "_-./" else "_" for c in name)


def png_size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels, from a PNG file's header."""
    if not content.startswith(PNG):
        return 0, 0
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def open_for(run_dir: RunDir, new: bool, live: bool) -> TensorBoardTracker:
    """The tracker of a run, whose event files are beside its log."""
    tracker = TensorBoardTracker(run_dir.logs)
    if new:
        tracker.rewind(-1)  # what an overwritten run has left is not shown
    return tracker
