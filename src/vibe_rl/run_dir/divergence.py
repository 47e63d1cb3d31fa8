"""The mark in the directory of one run among many whose loss became NaN or infinite.

Its rows and checkpoints are those from before; the group trains without it, also when resumed.
"""

from typing import NamedTuple

from vibe_rl.run_dir.directory import RunDir

FILE = "diverged.json"


class Divergence(NamedTuple):
    """When and why a run diverged."""

    step: int  # env step at which it was noticed
    reason: str  # what was not finite, and since when


def mark_diverged(run_dir: RunDir, divergence: Divergence) -> None:
    """Writes the mark into the run directory."""
    run_dir.save_config(divergence, FILE)


def clear_divergence(run_dir: RunDir) -> None:
    """Removes the mark, if there is one: the run continues from a finite state."""
    (run_dir.root / FILE).unlink(missing_ok=True)


def divergence_of(run_dir: RunDir) -> Divergence | None:
    """The mark of a run that diverged; None if it has not."""
    if not (run_dir.root / FILE).exists():
        return None
    return Divergence(**run_dir.load_config(FILE))
