"""The groups of the tree that the environment has: what is seen, and what is rewarded."""

from collections.abc import Mapping
from typing import Any

from vibe_rl.trainers.driving.keys import PipelineKeys

ENV_ID = "Driving-v0"
OBSERVATIONS = ("vec", "vec_small", "gt")
REWARDS = ("safety", "navigation", "behavior", "progress")


def environment_groups() -> dict[str, dict[str, dict[str, Any]]]:
    """The options of `observation` and `reward`."""
    return {
        "observation": {name: {"name": name} for name in OBSERVATIONS},
        "reward": {name: {"name": name} for name in REWARDS},
    }


def env_kwargs(keys: PipelineKeys, values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the environment that a tree's values are."""
    return {}
