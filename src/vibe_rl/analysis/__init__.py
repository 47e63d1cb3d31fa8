"""Comparing methods by the directories of their runs."""

from vibe_rl.analysis.compare import Comparison, compare

__all__ = ["Comparison", "compare"]
