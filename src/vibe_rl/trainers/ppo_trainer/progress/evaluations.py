"""The evaluations of a training, a line each: a resumed one knows those of before in full."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vibe_rl.tracking.jsonl import read_metrics, rewind


class EvaluationLog:
    """A file of evaluations, of which each came after so many episodes, its `step`.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path):
        self.path = path

    def add(self, episodes: int, scores: Mapping[str, Any]) -> None:
        """Writes one down."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps({'step': episodes, **scores})}\n")

    def rows(self) -> dict[int, dict[str, Any]]:
        """The scores, by the episodes before them."""
        return {row.pop("step"): row for row in read_metrics(self.path)}

    def rewind(self, episodes: int) -> None:
        """Sets those aside that came after more episodes, for they will come again."""
        rewind(self.path, episodes)
