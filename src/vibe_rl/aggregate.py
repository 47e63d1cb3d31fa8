"""What many seeds come to: the interquartile mean and its interval (Agarwal et al. 2021,
arXiv:2108.13264).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 10_000


class Aggregate(NamedTuple):
    """Of one figure per seed."""

    iqm: float  # the mean of the middle half
    low: float  # of its 95 % bootstrap interval
    high: float
    n_seeds: int


def aggregate(scores: Sequence[float]) -> Aggregate:
    """The interquartile mean over seeds with its 95 % percentile bootstrap interval.

    The interval of a single seed, or of equal ones, is the figure itself. A seed that diverged
    counts as -inf: while such seeds are no more than a quarter, they are cut off with the lowest.
    """
    figures = np.asarray(scores, np.float64)
    middle = float(stats.trim_mean(figures, 0.25))
    if (figures == figures[0]).all():
        return Aggregate(middle, middle, middle, len(figures))
    drawn = np.random.default_rng(0).choice(figures, (RESAMPLES, len(figures)))
    middles = np.sort(stats.trim_mean(drawn, 0.25, axis=1))  # quantiles would subtract infinities
    low, high = middles[RESAMPLES // 40], middles[-RESAMPLES // 40]
    return Aggregate(middle, float(low), float(high), len(figures))
