"""Evaluations in a line."""

from collections.abc import Sequence
from math import inf
from typing import Any


def describe(evaluation) -> str:
    """One line about an evaluation."""
    mean, std = float(evaluation.mean_return), float(evaluation.std_return)
    episodes = len(evaluation.episode_returns)
    return (
        f"return {mean:.2f} +- {std:.2f} over {episodes} greedy episodes, "
        f"length {float(evaluation.mean_length):.1f}"
    )


def summary(returns: Sequence[float]) -> str:
    """One line about the mean returns of several seeds."""
    from vibe_rl.analysis.aggregate import aggregate  # noqa: PLC0415

    iqm, low, high, n_seeds = aggregate(returns)
    worst = shown(min(returns))
    return f"IQM {middle(iqm, low, high)} of {n_seeds} seeds (95 % bootstrap), worst {worst}"


def shown(figure: float) -> str:
    """A return; of what diverged there is none."""
    return "diverged" if figure == -inf else f"{figure:.2f}"


def middle(iqm: float, low: float, high: float) -> str:
    """An interquartile mean with its interval."""
    return "diverged" if iqm == -inf else f"{iqm:.2f} [{low:.2f}, {high:.2f}]"


def ranking(standings: Sequence[Any]) -> str:
    """A table of settings, the best first."""
    rows = [
        ("setting", "IQM [95 % interval]", "seeds", "worst (seed)", "env steps"),
        *map(row, standings),
    ]
    return columns(rows)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Lines whose cells stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[cell.ljust(n) for cell, n in zip(cells, widths, strict=True)] for cells in rows]
    return "\n".join("  ".join(cells).rstrip() for cells in lines)


def row(standing: Any) -> tuple[str, ...]:
    """A line of that table."""
    lost = f", {standing.diverged} diverged" if standing.diverged else ""
    return (
        standing.setting,
        middle(standing.iqm, standing.low, standing.high),
        f"{standing.n_seeds}{lost}",
        f"{shown(standing.worst)} ({standing.worst_seed})",
        f"{standing.step:,}",
    )
