"""How much memory there is, so that what cannot fit is refused before it is allocated."""

import math
import os
from pathlib import Path

import jax

UNITS = ("B", "kB", "MB", "GB", "TB")


def describe(n_bytes: float | int) -> str:
    """A number of bytes as people say it: `2.5 MB`."""
    power = min(int(math.log(max(n_bytes, 1), 1000)), len(UNITS) - 1)
    return f"{n_bytes / 1000**power:.3g} {UNITS[power]}"


def of_host() -> int:
    """Bytes that this process may still use of the host's memory, or of its container's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [machine, *_container_limits(), *_available()]
    return min(limits)


def _container_limits() -> list[int]:
    """What a control group leaves, if there is one with a limit (version 2, then 1)."""
    files = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
    texts = [Path(name).read_text().strip() for name in files if Path(name).exists()]
    return [int(text) for text in texts if text.isdigit()]


def _available() -> list[int]:
    """What the kernel thinks can be had without swapping, on Linux."""
    table = Path("/proc/meminfo")
    lines = table.read_text().splitlines() if table.exists() else []
    return [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]


def of_device() -> int:
    """Bytes free on the first device; the host's where it shares them, as on a CPU."""
    statistics = jax.local_devices()[0].memory_stats()
    if not statistics or "bytes_limit" not in statistics:
        return of_host()
    return statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)
