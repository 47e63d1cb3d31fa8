"""Devices for runs side by side on a CPU."""

import os
from contextlib import suppress


def use_all_cores() -> None:
    """Simulates a device for every core, if JAX has not started and no number was set."""
    import jax  # noqa: PLC0415

    if "JAX_NUM_CPU_DEVICES" in os.environ or "device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    allowed = getattr(os, "sched_getaffinity", None)  # only on Linux
    n_cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    with suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", n_cores)
