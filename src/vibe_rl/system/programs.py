"""Compiled programs: kept on the disk for the next start, and dropped before they are too many.

The persistent compilation cache is on by default: a second start of the same program compiles
nothing. One directory per user and per kind of processor, because compiled code fits only its own.
Linux limits the memory maps of a process, and every program takes some.
"""

import hashlib
import math
import os
import platform
import tempfile
from pathlib import Path

import jax

from vibe_rl.errors import reason
from vibe_rl.system.notices import say_once

MAPS = Path("/proc/self/maps")  # which only Linux has
MANY = 30_000
"""Memory maps from which on programs are dropped."""
FOLDER = "jax_compilation_cache_dir"
LEAST_SECONDS = "jax_persistent_cache_min_compile_time_secs"
LEAST_BYTES = "jax_persistent_cache_min_entry_size_bytes"
"""JAX's settings of the cache: where it is, and what is kept there."""


def processor_digest() -> str:
    """A short digest of what compiled code depends on: architecture and instruction sets."""
    flags = Path("/proc/cpuinfo")
    lines = flags.read_text().splitlines() if flags.exists() else []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    description = f"{platform.system()} {platform.machine()} {platform.processor()} {features}"
    return hashlib.sha256(description.encode()).hexdigest()[:12]


def cache_directory() -> Path:
    """Where compiled programs are kept, unless JAX_COMPILATION_CACHE_DIR is set.

    Raises:
        RuntimeError: the user has no home, as in many containers.
    """
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute()
    return root / "vibe_rl" / f"xla-{processor_digest()}"


def enable_compilation_cache() -> None:
    """Turns the cache on for programs of any size; one that the user has set up stays as it is.

    Where it cannot be written, one line says so, and programs that are there are read all the same.
    """
    try:
        if jax.config.values[FOLDER] is None:
            jax.config.update(FOLDER, str(cache_directory()))
            jax.config.update(LEAST_SECONDS, 0)
            jax.config.update(LEAST_BYTES, -1)
        _check_writable(jax.config.values[FOLDER])
    except (OSError, RuntimeError) as error:
        warn_of_cache(getattr(error, "strerror", None) or reason(error).rstrip("."))
        jax.config.update(LEAST_SECONDS, math.inf)  # JAX would warn of each program
        if not os.path.isdir(jax.config.values[FOLDER] or ""):
            jax.config.update(FOLDER, None)


def _check_writable(folder: str) -> None:
    """Makes the folder of the cache; OSError if no file can be written there."""
    if "://" in folder:
        return  # a storage that JAX reaches by itself
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(4096))


def warn_of_cache(why: str) -> None:
    """Says it in one line, however many runs this process trains."""
    name = "JAX_COMPILATION_CACHE_DIR"
    variable = name if name in os.environ else "XDG_CACHE_HOME"
    say_once(
        f"compiled programs cannot be kept for the next start ({why}): set {variable} to a folder "
        "that can be written."
    )


def unload_programs() -> None:
    """Drops all programs if there are many; those used again are read from the cache on the disk.

    No program may be running.
    """
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") >= MANY:
        jax.clear_caches()
