"""Dropping compiled programs before they are too many for the process.

Each keeps a dozen memory maps, a run of a new shape has many programs, and Linux ends a process
that would have more than 65,530 maps (`vm.max_map_count`) with a segmentation fault.
"""

from pathlib import Path

import jax

MAPS = Path("/proc/self/maps")  # which only Linux has
MANY = 30_000
"""Memory maps from which on programs are dropped."""


def unload_programs() -> None:
    """Drops all programs if there are many; what is used again is read from the cache on the disk.

    Nothing may be under way.
    """
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") >= MANY:
        jax.clear_caches()
