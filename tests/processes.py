"""Environment variables of the tests and of the processes that they start."""

import os
from importlib.metadata import version

OF_THIS_VERSION = (
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_COMPILE"
)
"""Flags that other versions may not know, and end at."""
COMPILER = (
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    " --xla_disable_hlo_passes=while-loop-invariant-code-motion"
    " --xla_backend_extra_options=-disable-lsr"
    f" {OF_THIS_VERSION if version('jaxlib').startswith('0.10.') else ''}"
)
"""XLA compiles with a third of the work, as tests spend most of their time. What it makes is slower
and rounds otherwise than what users get; `saved_runs/resume_them.py` runs as theirs does."""


def environ(n_devices: int = 1, **more: str) -> dict[str, str]:
    """This process's variables, with so many pretended devices instead of its own."""
    devices = {"XLA_FLAGS": COMPILER, "JAX_NUM_CPU_DEVICES": str(n_devices)}
    return os.environ | devices | more
