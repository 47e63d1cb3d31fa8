"""Compiled programs: kept on the disk for the next start, and dropped before they are too many.

The persistent compilation cache is on by default: a second start of the same program compiles
nothing. One directory per user and per kind of processor, because compiled code fits only its own.
Linux limits the memory maps of a process, and every program takes some.
"""

import hashlib
import os
import platform
from pathlib import Path

import jax

MAPS = Path("/proc/self/maps")  # which only Linux has
MANY = 30_000
"""Memory maps from which on programs are dropped."""


def processor_digest() -> str:
    """A short digest of what compiled code depends on: architecture and instruction sets."""
    flags = Path("/proc/cpuinfo")
    lines = flags.read_text().splitlines() if flags.exists() else []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    description = f"{platform.system()} {platform.machine()} {platform.processor()} {features}"
    return hashlib.sha256(description.encode()).hexdigest()[:12]


def cache_directory() -> Path:
    """Where compiled programs are kept, unless JAX_COMPILATION_CACHE_DIR is set."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "vibe_rl" / f"xla-{processor_digest()}"


def enable_compilation_cache() -> None:
    """Turns the cache on for programs of any size; leaves a cache the user has set up alone."""
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    try:
        cache_directory().mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # a read-only home: every start compiles again, and works
    jax.config.update("jax_compilation_cache_dir", str(cache_directory()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def unload_programs() -> None:
    """Drops all programs if there are many; those used again are read from the cache on the disk.

    No program may be running.
    """
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") >= MANY:
        jax.clear_caches()
