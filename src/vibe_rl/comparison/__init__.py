"""Comparing methods by the directories of their runs."""

from vibe_rl.comparison.compare import Comparison, compare

__all__ = ["Comparison", "compare"]
