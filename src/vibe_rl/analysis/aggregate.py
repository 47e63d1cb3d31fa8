"""What many seeds come to, each figure with a bootstrap interval (Agarwal et al. 2021,
arXiv:2108.13264), by SciPy.

Scores of one method are strata: for each environment an array with a figure per seed. The bootstrap
is stratified: it draws seeds again within their environment. Environments may differ in their
number of seeds; pooled figures then count every seed the same.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float

RESAMPLES = 10_000
FEW_SEEDS = 5
"""With fewer, a percentile interval holds the true value clearly less often than it says."""

_FIGURES_AT_ONCE = 1_000_000  # of all resamples in work, which bounds the memory

_LOWEST = -1e150  # stands for -inf in differences and squares

Strata = Sequence[Float[np.ndarray, " _"]]


class Aggregate(NamedTuple):
    """Of one figure per seed."""

    iqm: float  # the mean of the middle half
    low: float  # of its 95 % bootstrap interval
    high: float
    n_seeds: int


class Improvement(NamedTuple):
    """How likely a seed of one method is to beat a seed of another."""

    probability: float
    low: float  # of its 95 % bootstrap interval
    high: float


class Profile(NamedTuple):
    """The fraction of seeds whose score is above each threshold."""

    fraction: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"]  # of the 95 % bootstrap interval at each threshold
    high: Float[np.ndarray, " n"]


def aggregate(scores: Sequence[float]) -> Aggregate:
    """The interquartile mean over seeds with its 95 % percentile bootstrap interval.

    The interval of a single seed, or of equal ones, is the figure itself. A seed that diverged
    counts as -inf: while such seeds are no more than a quarter, they are cut off with the lowest.
    """
    return aggregate_strata([np.asarray(scores, np.float64)])


def aggregate_strata(strata: Strata) -> Aggregate:
    """The interquartile mean over the seeds of all environments, with its stratified interval."""
    finite = [np.maximum(scores, _LOWEST) for scores in strata]  # quantiles subtract
    ends = iqm(*finite), *bootstrap_interval(iqm, finite)
    middle, low, high = (-inf if end < _LOWEST * 1e-9 else float(end) for end in ends)
    return Aggregate(middle, low, high, sum(map(len, strata)))


def improvement(a: Strata, b: Strata) -> Improvement:
    """P(A > B): that a random seed of `a` scores above one of `b`, ties as half a win.

    The mean over the environments, which `a` and `b` have in the same order, of U / (n m), Mann and
    Whitney's statistic.
    """

    def probability(*samples: np.ndarray) -> np.ndarray:
        pairs = zip(samples[: len(a)], samples[len(a) :], strict=True)
        return np.asarray(np.mean([_wins(x, y) for x, y in pairs], axis=0))

    low, high = bootstrap_interval(probability, [*a, *b])
    return Improvement(float(probability(*a, *b)), float(low), float(high))


def profile(strata: Strata, thresholds: Float[np.ndarray, " n"]) -> Profile:
    """The performance profile: the fraction of all seeds above each threshold, pointwise bands."""
    above = [np.asarray(x > thresholds[:, None], np.float64) for x in strata]  # each [n, seeds]
    low, high = bootstrap_interval(_pooled_mean, above, RESAMPLES // 10)
    return Profile(_pooled_mean(*above), low, high)


def normalized(methods: Sequence[Strata]) -> list[list[Float[np.ndarray, " _"]]]:
    """The scores on a scale that environments share.

    In each environment the lowest score of all methods' seeds becomes 0 and the highest 1; where
    all are equal, each becomes 0.5. What is -inf stays so.
    """
    columns = [_to_unit_range(scores) for scores in zip(*methods, strict=True)]
    return [list(strata) for strata in zip(*columns, strict=True)]


def bootstrap_interval(
    statistic: Callable[..., np.ndarray],
    samples: Sequence[Float[np.ndarray, "*rows _"]],
    resamples: int = RESAMPLES,
) -> tuple[Float[np.ndarray, "*rows"], Float[np.ndarray, "*rows"]]:
    """The ends of the 95 % percentile interval of `statistic(*samples)`.

    Each sample is drawn again by itself, along its last axis, over which the statistic reduces.
    The same samples always give the same interval.
    """
    sizes = [sample.shape[-1] for sample in samples]
    # SciPy wants two figures or more: a single one is doubled, and its double left out again
    drawn_from = [x.repeat(2, axis=-1) if x.shape[-1] == 1 else x for x in samples]

    def of_drawn(*drawn: np.ndarray, axis: int) -> np.ndarray:
        return statistic(*(x[..., :size] for x, size in zip(drawn, sizes, strict=True)))

    batch = max(1, _FIGURES_AT_ONCE // sum(sample.size for sample in samples))
    how = {"method": "percentile", "axis": -1, "vectorized": True, "batch": batch}
    rng = np.random.default_rng(0)
    found = scipy.stats.bootstrap(drawn_from, of_drawn, n_resamples=resamples, rng=rng, **how)
    low, high = found.confidence_interval
    return np.asarray(low), np.asarray(high)


def iqm(*samples: Float[np.ndarray, "*rows _"]) -> np.ndarray:
    """The mean of the middle half of all samples together, over the last axis."""
    return np.asarray(scipy.stats.trim_mean(np.concatenate(samples, axis=-1), 0.25, axis=-1))


def _pooled_mean(*samples: np.ndarray) -> np.ndarray:
    return np.concatenate(samples, axis=-1).mean(axis=-1)


def _wins(x: np.ndarray, y: np.ndarray) -> np.ndarray | np.float64:
    """The fraction of pairs in which `x` is above `y`, ties as halves, over the last axis."""
    # asymptotic: what it computes beside U, which is not used, is then cheap
    found = scipy.stats.mannwhitneyu(x, y, axis=-1, method="asymptotic")
    return np.asarray(found.statistic) / (x.shape[-1] * y.shape[-1])


def _to_unit_range(scores: Strata) -> Strata:
    together = np.concatenate(scores)
    sound = together[np.isfinite(together)]
    low, span = (sound.min(), np.ptp(sound)) if sound.size else (0.0, 0.0)
    return [(x - low) / span if span else np.where(np.isfinite(x), 0.5, x) for x in scores]
