"""What a run runs on: versions, devices and the command."""

import platform
import re
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vibe_rl.run_dir.files import numbered_files, read_json
from vibe_rl.version import __version__

_PACKAGES = ("jax", "jaxlib", "numpy", "equinox", "optax")
_FOLDERS_OF_AN_ABSOLUTE_PATH = re.compile(r"(?<![\w.~/:])/(?:[^/\s]+/)*")


def describe_environment() -> dict[str, Any]:
    """What decides a run's speed and bits, without the host's name or its folders."""
    import jax  # noqa: PLC0415 - whoever reads a run directory does not need it

    devices = jax.devices()
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [_FOLDERS_OF_AN_ABSOLUTE_PATH.sub("", arg) for arg in sys.argv],
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
        "commit": commit(),
        "devices": {"kind": devices[0].device_kind, "count": len(devices)},
        "matmul_precision": jax.config.jax_default_matmul_precision,  # pyright: ignore[reportAttributeAccessIssue]
    }


def newest_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the last session of the run in a directory; empty if there is none."""
    found = numbered_files(folder, "manifest", ".json")
    return read_json(found[-1]) if found else {}


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a run computes."""
    return {"vibe_rl": __version__, **{name: _version_of(name) for name in _PACKAGES}}


@cache
def _version_of(package: str) -> str:
    return version(package)


def commit() -> str | None:
    """The commit of the working directory's Git repository; None where there is none."""
    with suppress(OSError):  # the directory may be gone
        return _commit_at(Path.cwd())
    return None


@cache
def _commit_at(folder: Path) -> str | None:
    with suppress(OSError, subprocess.SubprocessError):
        command, how = ["git", "-C", str(folder), "rev-parse", "HEAD"], {"text": True, "timeout": 2}
        return subprocess.run(command, capture_output=True, check=True, **how).stdout.strip()
    return None
