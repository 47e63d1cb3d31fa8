"""Environment variables of the tests and of the processes that they start."""

import os

COMPILER = "--xla_backend_extra_options=-disable-lsr"
"""LLVM does not rewrite how addresses in loops are counted: that changes no bit of a result, and
takes it most of the time for which it compiles some programs."""


def environ(n_devices: int = 1, **more: str) -> dict[str, str]:
    """This process's variables, with so many pretended devices instead of its own."""
    devices = {"XLA_FLAGS": COMPILER, "JAX_NUM_CPU_DEVICES": str(n_devices)}
    return os.environ | devices | more
