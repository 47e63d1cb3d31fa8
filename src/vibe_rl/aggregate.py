"""What many seeds come to: the interquartile mean and its interval (Agarwal et al. 2021,
arXiv:2108.13264), by SciPy.
"""

from collections.abc import Sequence
from functools import partial
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

    The interval of a single seed, or of equal ones, is the figure itself.
    """
    figures = np.asarray(scores, np.float64)
    iqm = partial(stats.trim_mean, proportiontocut=0.25)
    middle = float(iqm(figures))
    if np.ptp(figures) == 0.0:
        return Aggregate(middle, middle, middle, len(figures))
    how = {"n_resamples": RESAMPLES, "method": "percentile", "axis": 0}
    interval = stats.bootstrap((figures,), iqm, rng=np.random.default_rng(0), **how)
    low, high = interval.confidence_interval
    return Aggregate(middle, float(low), float(high), len(figures))
