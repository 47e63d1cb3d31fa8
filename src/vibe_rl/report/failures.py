"""Which held-out episodes failed, of runs that have a table of them: what one looks at first."""

import csv
from collections import Counter

from vibe_rl.report.html import Html, format_number, section, table
from vibe_rl.report.html import note as note_of
from vibe_rl.run_dir.directory import EPISODES, RunDir

MOST = 20
"""Episodes that are named."""
FIGURES = ("progress", "return", "length")


def failures(run_dir: RunDir) -> Html:
    """How many episodes of the last evaluation failed, by kind and by what ended them, and some.

    Nothing where no table says which succeeded.
    """
    path = run_dir.artifacts / EPISODES
    rows = list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []
    if not rows or "success" not in rows[0]:
        return Html()
    failed = [row for row in rows if float(row["success"]) == 0]
    said = f"{len(failed)} of {len(rows)} held-out episodes of the last evaluation failed."
    if not failed:
        return section("Failures", note_of(said))
    return section("Failures", note_of(said), _counts(failed), _some(failed))


def _counts(failed: list[dict[str, str]]) -> Html:
    """A row for each kind of scene, a column for each ending."""
    found = Counter((row["family"], row["ended_by"]) for row in failed)
    families, endings = (sorted({pair[i] for pair in found}) for i in (0, 1))
    rows = [[family, *(found[family, ending] for ending in endings)] for family in families]
    return table(["", *(f"ended by {ending}" for ending in endings)], rows, "Failures by kind")


def _some(failed: list[dict[str, str]]) -> Html:
    """The first of them, each with its scenario."""
    names = [name for name in FIGURES if name in failed[0]]
    rows = [
        [
            row["uid"],
            row["family"],
            row["ended_by"],
            *(format_number(float(row[name])) for name in names),
        ]
        for row in failed[:MOST]
    ]
    caption = f"The first {len(rows)} of {len(failed)} failures"
    return table(["scenario", "family", "ended by", *names], rows, caption)
