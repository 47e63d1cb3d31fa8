"""The evaluations of a training, a line each: a resumed one knows those of before in full."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vibe_rl.run_dir.files import write_atomically


class EvaluationLog:
    """A file of evaluations, each after so many episodes.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path):
        self.path = path

    def add(self, episode: int, scores: Mapping[str, Any]) -> None:
        """Writes one down."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps({'episodes_before': episode, **scores})}\n")

    def rows(self) -> dict[int, dict[str, Any]]:
        """The scores, by the episodes before them."""
        if not self.path.exists():
            return {}
        rows = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
        return {row.pop("episodes_before"): row for row in rows}

    def rewind(self, episode: int) -> None:
        """Forgets those after more episodes, which will come again; before the first: -1."""
        kept = {n: scores for n, scores in self.rows().items() if n <= episode}
        if self.path.exists():
            with write_atomically(self.path) as file:
                file.write(b"")
            for n, scores in kept.items():
                self.add(n, scores)
