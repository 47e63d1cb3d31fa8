"""Figures that benches keep: rows of a JSON file, and what each was measured with."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import jax

from vibe_rl import __version__


def cores():
    """How many of them this process may use."""
    return len(os.sched_getaffinity(0))


def machine():
    """What a row was measured with, and where."""
    return {
        "vibe_rl": __version__,
        **{name: version(name) for name in ("jax", "numpy")},
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
        "processor": processor(),
        "cores": cores(),
    }


def processor():
    """Its model, where Linux tells."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def kept(path):
    """A file of rows, a line each; `rows()` reads it, `keep(row)` adds one beside what others have
    added.
    """
    path = Path(path)

    def rows():
        return json.loads(path.read_text()) if path.exists() else []

    def keep(row):
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        lines = ",\n".join(json.dumps(each) for each in [*rows(), row])
        draft.write_text(f"[\n{lines}\n]\n")
        draft.replace(path)

    return SimpleNamespace(rows=rows, keep=keep)


def has(rows, wanted):
    """Whether one of the rows has all these entries."""
    return any({name: row.get(name) for name in wanted} == wanted for row in rows)
