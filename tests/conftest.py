"""Strictness for every test: several devices, no rank promotion, shapes checked at run time."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
from jaxtyping import install_import_hook

install_import_hook("vibe_rl", "beartype.beartype")
jax.config.update("jax_numpy_rank_promotion", "raise")
