"""What commands print: endings, tables and figures, a line each."""

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING

from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.group import print_diverged

if TYPE_CHECKING:
    from vibe_rl.run_dir.directory import RunDir
    from vibe_rl.runner.evaluator import EvalMetrics


def print_ending(run_dir: "RunDir", steps: str, result: str, interrupted: bool) -> None:
    """Prints how a run or a group ended, and how to resume it.

    Args:
        run_dir: of the run or the group.
        steps: how far it was trained, or "".
        result: printed if the training is complete.
        interrupted: whether a signal ended the training.
    """
    ending = "interrupted" if interrupted else "complete"
    print(f"Training {ending} | {steps}" if steps else f"Training {ending}")
    print_diverged(run_dir)
    if result and not interrupted:
        print(result)
    print(f"Run | {run_dir}")
    if interrupted:
        print(f"Resume with | vibe-rl train --resume {run_dir}")


def try_to_draw(label: str, draw: Callable[[], object]) -> None:
    """Prints the path of the figure that `draw` writes, or why there is none.

    A command does not fail because matplotlib or something to draw is missing.
    """
    try:
        print(f"{label} | {draw()}")
    except ConfigError as error:
        print(f"{label} | none: {error}")


def evaluation_line(evaluation: "EvalMetrics") -> str:
    """One line about an evaluation."""
    mean, std = float(evaluation.mean_return), float(evaluation.std_return)
    episodes = len(evaluation.episode_returns)
    return (
        f"return {mean:.2f} +- {std:.2f} over {episodes} greedy episodes, "
        f"length {float(evaluation.mean_length):.1f}"
    )


def seeds_line(returns: Sequence[float]) -> str:
    """One line about the mean returns of several seeds."""
    from vibe_rl.analysis.aggregate import aggregate  # noqa: PLC0415

    iqm, low, high, n_seeds = aggregate(returns)
    worst = return_text(min(returns))
    return f"IQM {iqm_text(iqm, low, high)} of {n_seeds} seeds (95 % bootstrap), worst {worst}"


def return_text(value: float) -> str:
    """A return; -inf is that of a run that diverged."""
    return "diverged" if value == -inf else f"{value:.2f}"


def iqm_text(iqm: float, low: float, high: float) -> str:
    """An interquartile mean with its interval."""
    return "diverged" if iqm == -inf else f"{iqm:.2f} [{low:.2f}, {high:.2f}]"


def format_table(rows: Sequence[Sequence[str]], align_right: bool = False) -> str:
    """Rows as lines whose cells stand below each other, the first column always to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        cells = [cell.rjust(n) if align_right else cell.ljust(n) for cell, n in others]
        lines.append("  ".join([first[0].ljust(first[1]), *cells]).rstrip())
    return "\n".join(lines)
