"""MP4 files, which the program ffmpeg writes."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np

from vibe_rl.errors import ConfigError, shown, writing
from vibe_rl.runner.recording import Frame

EVEN = "pad=ceil(iw/2)*2:ceil(ih/2)*2"
"""What most players need of the size."""


def check_ffmpeg() -> str:
    """Where ffmpeg is.

    Raises:
        ConfigError: it is not installed.
    """
    found = shutil.which("ffmpeg")
    if found is None:
        raise ConfigError(
            "MP4 files need the program ffmpeg: install it (apt install ffmpeg), or leave out mp4."
        )
    return found


def write_mp4(pictures: Iterable[Frame], path: Path, fps: float | int) -> None:
    """Writes pictures of one size as an MP4, whole or not at all.

    Args:
        pictures: at least one; they need not fit into memory.
        path: of the file, which is replaced if there is one.
        fps: pictures per second.

    Raises:
        ConfigError: there is no ffmpeg, or it fails.
    """
    rest = iter(pictures)
    first = next(rest)
    height, width, _ = first.shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}"]
    film = ["-vf", EVEN, "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4"]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    command = [check_ffmpeg(), "-y", "-loglevel", "error", *raw, "-i", "-", *film, str(draft)]
    with writing(path):
        try:
            _run(command, chain([first], rest), path)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _run(command: list[str], pictures: Iterable[Frame], path: Path) -> None:
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said) as ffmpeg:
            assert ffmpeg.stdin is not None
            try:
                for picture in pictures:
                    ffmpeg.stdin.write(np.ascontiguousarray(picture).tobytes())
                ffmpeg.stdin.close()
            except BrokenPipeError:
                pass  # it has failed, and said why
            except BaseException:
                ffmpeg.kill()
                raise
        if ffmpeg.returncode:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            why = last[0] if last else f"exit status {ffmpeg.returncode}"
            raise ConfigError(f"ffmpeg cannot write {shown(path)} ({why}): leave out mp4.")
