"""Reinforcement-learning training in JAX: compiled end to end, honest about its results.

Names and submodules are imported when they are first asked for: JAX takes longer to import than
`vibe-rl --help` may take.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vibe_rl.checkpoint import (
        CheckpointManager,
        initialize_checkpoint_dir,
        load_checkpoint,
        load_eqx,
        load_metadata,
        save_checkpoint,
        save_eqx,
    )
    from vibe_rl.env import make, register
    from vibe_rl.run_dir import RunDir, find_runs
    from vibe_rl.schedule import linear_schedule
    from vibe_rl.tracking.console import TrainingProgress
    from vibe_rl.tracking.jsonl import MetricsLogger, read_metrics
    from vibe_rl.tracking.log_lines import log_step_progress, setup_logging
    from vibe_rl.tracking.wandb import resume_wandb
    from vibe_rl.types import MaskedObs, Transition
    from vibe_rl.version import __version__

__all__ = [
    "CheckpointManager",
    "MaskedObs",
    "MetricsLogger",
    "RunDir",
    "TrainingProgress",
    "Transition",
    "__version__",
    "find_runs",
    "initialize_checkpoint_dir",
    "linear_schedule",
    "load_checkpoint",
    "load_eqx",
    "load_metadata",
    "log_step_progress",
    "make",
    "read_metrics",
    "register",
    "resume_wandb",
    "save_checkpoint",
    "save_eqx",
    "setup_logging",
]

_HOMES = {
    "CheckpointManager": "checkpoint",
    "MaskedObs": "types",
    "MetricsLogger": "tracking.jsonl",
    "RunDir": "run_dir",
    "TrainingProgress": "tracking.console",
    "Transition": "types",
    "__version__": "version",
    "find_runs": "run_dir",
    "initialize_checkpoint_dir": "checkpoint",
    "linear_schedule": "schedule",
    "load_checkpoint": "checkpoint",
    "load_eqx": "checkpoint",
    "load_metadata": "checkpoint",
    "log_step_progress": "tracking.log_lines",
    "make": "env",
    "read_metrics": "tracking.jsonl",
    "register": "env",
    "resume_wandb": "tracking.wandb",
    "save_checkpoint": "checkpoint",
    "save_eqx": "checkpoint",
    "setup_logging": "tracking.log_lines",
}
"""The module of each name, as the imports above have them for editors and type checkers."""


def __getattr__(name: str) -> Any:
    """A name of the table or a submodule, imported now and kept."""
    if name in _HOMES:
        found = getattr(import_module(f"vibe_rl.{_HOMES[name]}"), name)
    elif name in _submodules():
        found = import_module(f"vibe_rl.{name}")
    else:
        raise AttributeError(f"module 'vibe_rl' has no attribute {name!r}.")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_submodules()})


def _submodules() -> set[str]:
    return {module.name for module in iter_modules(__path__) if module.name != "__main__"}
