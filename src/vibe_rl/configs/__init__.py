"""Configs of whole runs, presets, and how the command line changes them."""

from vibe_rl.configs.axes import grid, ranged
from vibe_rl.configs.command_line import cli, override
from vibe_rl.configs.presets import PRESETS
from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig, from_dict, to_dict

__all__ = [
    "ALGORITHMS",
    "PRESETS",
    "TrainConfig",
    "cli",
    "from_dict",
    "grid",
    "override",
    "ranged",
    "to_dict",
]
