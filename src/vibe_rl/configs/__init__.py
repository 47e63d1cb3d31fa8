"""Descriptions of whole runs, presets, and their spelling on a command line."""

from vibe_rl.configs.axes import Range, parse_axes, parse_seeds
from vibe_rl.configs.command_line import cli, update_config
from vibe_rl.configs.presets import PRESETS
from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig, from_dict, to_dict

__all__ = [
    "ALGORITHMS",
    "PRESETS",
    "Range",
    "TrainConfig",
    "cli",
    "from_dict",
    "parse_axes",
    "parse_seeds",
    "to_dict",
    "update_config",
]
