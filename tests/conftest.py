"""Strictness for every test: several devices, no rank promotion, shapes checked at run time."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import pytest
from jaxtyping import install_import_hook

install_import_hook("vibe_rl", "beartype.beartype")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def _unload_programs():
    """Drops what a module compiled.

    Each program keeps a dozen memory maps, and Linux ends a process that has 65,530 of them
    (`vm.max_map_count`) with a segmentation fault: half of this suite compiles as many.
    """
    yield
    jax.clear_caches()
