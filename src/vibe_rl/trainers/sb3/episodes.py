"""A row of metrics for an episode, from what the environment says at its end; seed 003's names."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vibe_rl.tracking.base import is_finite
from vibe_rl.tracking.sqlite import PREFIX

STATS = "episode_stats"
"""Of `info` where an episode ends."""
PARTS = "reward_breakdown"
COUNTS = {"move": "action_moves", "siphon": "action_siphons", "program": "action_programs"}


def row_of(info: Mapping[str, Any], step: int, count: int) -> dict[str, Any]:
    """The row of an episode.

    Args:
        info: of its last step, with SB3's monitor around the environment.
        step: env steps of the training.
        count: episodes so far, this one included.
    """
    monitored, stats = info["episode"], dict(named_stats(info.get(STATS, {})))
    stats["count"] = count
    if "reward_victory" in stats:
        stats["victory"] = int(stats["reward_victory"] > 0)
    return {
        "step": step,
        "episode_return": float(monitored["r"]),
        "episode_length": int(monitored["l"]),
        **{f"{PREFIX}{name}": value for name, value in stats.items()},
    }


def named_stats(stats: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers with the names that they are logged by."""
    for name, value in stats.items():
        if name == PARTS:
            yield from ((f"reward_{snake(part)}", float(x)) for part, x in value.items())
        elif name == "action_counts":
            yield from ((COUNTS.get(kind, f"action_{kind}"), int(n)) for kind, n in value.items())
        elif is_finite(value):
            yield name, value


def snake(name: str) -> str:
    """`dataSiphon` as `data_siphon`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
