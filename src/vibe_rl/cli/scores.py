"""Evaluations in a line."""

from collections.abc import Sequence


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
    from vibe_rl.aggregate import aggregate  # noqa: PLC0415

    iqm, low, high, n_seeds = aggregate(returns)
    return (
        f"IQM {iqm:.2f} [{low:.2f}, {high:.2f}] of {n_seeds} seeds (95 % bootstrap), "
        f"worst {min(returns):.2f}"
    )
