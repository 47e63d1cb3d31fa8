"""Saving, loading and managing checkpoints."""

from vibe_rl.checkpoint.directory import check_free, initialize_checkpoint_dir
from vibe_rl.checkpoint.eqx import load_eqx, save_eqx
from vibe_rl.checkpoint.format import (
    check_fits,
    load_checkpoint,
    load_metadata,
    save_checkpoint,
    saved_steps,
)
from vibe_rl.checkpoint.manager import CheckpointManager, settle_replaced

__all__ = [
    "CheckpointManager",
    "check_fits",
    "check_free",
    "initialize_checkpoint_dir",
    "load_checkpoint",
    "load_eqx",
    "load_metadata",
    "save_checkpoint",
    "save_eqx",
    "saved_steps",
    "settle_replaced",
]
