"""How much memory there is, so that what cannot fit is refused before it is allocated."""

import os
import sys
from pathlib import Path

import jax

UNITS = ("B", "kB", "MB", "GB", "TB")


def format_bytes(n_bytes: float | int) -> str:
    """A number of bytes with three digits and a unit: `2.5 MB`."""
    rounded = float(f"{n_bytes:.3g}")
    power = min((len(f"{rounded:.0f}") - 1) // 3, len(UNITS) - 1)
    return f"{rounded / 1000**power:.3g} {UNITS[power]}"


def free_on_host() -> int:
    """Bytes that this process may still use of the host's memory, or of its container's."""
    return min([*_of_machine(), *free_in_containers(), *_available()], default=sys.maxsize)


def _of_machine() -> list[int]:
    """All the memory there is; nothing where the system does not report it, as on Windows."""
    if not hasattr(os, "sysconf"):
        return []
    return [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]


def free_in_containers(root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Bytes that each control group with a limit leaves (version 2, then 1)."""
    versions = (
        (root, "memory.max", "memory.current", "inactive_file"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    return [left for version in versions for left in _left_of(*version)]


def _left_of(folder: Path, limit: str, usage: str, cache: str) -> list[int]:
    """The limit less what is used and cannot be dropped; nothing without a limit."""
    if not (folder / limit).exists() or not (folder / limit).read_text().strip().isdigit():
        return []
    dropped = [
        int(line.split()[1])
        for line in (folder / "memory.stat").read_text().splitlines()
        if line.split()[0] == cache
    ]
    most, used = (int((folder / name).read_text()) for name in (limit, usage))
    return [max(most - used + sum(dropped), 0)]


def _available() -> list[int]:
    """What the kernel of Linux estimates to be available without swapping."""
    table = Path("/proc/meminfo")
    lines = table.read_text().splitlines() if table.exists() else []
    return [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]


def free_on_device() -> int:
    """Bytes free on the first device; the host's where it shares them, as on a CPU."""
    statistics = jax.local_devices()[0].memory_stats()
    if not statistics or "bytes_limit" not in statistics:
        return free_on_host()
    return statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)
