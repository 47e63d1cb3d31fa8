"""Statistics over seeds, each with a bootstrap interval (Agarwal et al. 2021, arXiv:2108.13264).

Scores of one method are strata: for each environment an array with a score per seed. The bootstrap
is SciPy's and stratified: it resamples seeds within their environment. Environments may differ in
their number of seeds; pooled statistics then count every seed the same.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float

RESAMPLES = 10_000
FEW_SEEDS = 5
"""With fewer, a percentile interval covers the true value clearly less often than 95 %."""

_SCORES_AT_ONCE = 1_000_000  # in all resamples of a batch, which bounds the memory

_LOWEST = -1e150  # stands for -inf in differences and squares

Strata = Sequence[Float[np.ndarray, " _"]]


class Aggregate(NamedTuple):
    """The interquartile mean of a score per seed."""

    iqm: float  # the mean of the middle half
    low: float  # of its 95 % bootstrap interval
    high: float
    n_seeds: int


class Improvement(NamedTuple):
    """The probability that a seed of one method beats a seed of another."""

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

    The interval of a single seed, or of equal ones, is the score itself. A seed that diverged
    counts as -inf: up to a quarter of such seeds are cut off with the lowest.
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

    The mean of U / (n m), with Mann and Whitney's statistic U, over the environments, which `a` and
    `b` have in the same order.
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


def normalize_scores(methods: Sequence[Strata]) -> list[list[Float[np.ndarray, " _"]]]:
    """The scores on a scale that environments share.

    In each environment the lowest score of all methods' seeds becomes 0 and the highest 1; where
    all are equal, each becomes 0.5. A score of -inf stays -inf.
    """
    columns = [_to_unit_range(scores) for scores in zip(*methods, strict=True)]
    return [list(strata) for strata in zip(*columns, strict=True)]


def bootstrap_interval(
    statistic: Callable[..., np.ndarray],
    samples: Sequence[Float[np.ndarray, "*rows _"]],
    resamples: int = RESAMPLES,
) -> tuple[Float[np.ndarray, "*rows"], Float[np.ndarray, "*rows"]]:
    """The ends of the 95 % percentile interval of `statistic(*samples)`.

    Each sample is resampled by itself, along its last axis, over which the statistic reduces. The
    same samples always give the same interval.
    """
    sizes = [sample.shape[-1] for sample in samples]
    # SciPy needs at least two scores: a single one is doubled, and its double left out again
    populations = [x.repeat(2, axis=-1) if x.shape[-1] == 1 else x for x in samples]

    def of_resample(*resample: np.ndarray, axis: int) -> np.ndarray:
        return statistic(*(x[..., :size] for x, size in zip(resample, sizes, strict=True)))

    batch = max(1, _SCORES_AT_ONCE // sum(sample.size for sample in samples))
    options = {"method": "percentile", "axis": -1, "vectorized": True, "batch": batch}
    rng = np.random.default_rng(0)
    result = scipy.stats.bootstrap(
        populations, of_resample, n_resamples=resamples, rng=rng, **options
    )
    low, high = result.confidence_interval
    return np.asarray(low), np.asarray(high)


def iqm(*samples: Float[np.ndarray, "*rows _"]) -> np.ndarray:
    """The mean of the middle half of all samples together, over the last axis."""
    return np.asarray(scipy.stats.trim_mean(np.concatenate(samples, axis=-1), 0.25, axis=-1))


def _pooled_mean(*samples: np.ndarray) -> np.ndarray:
    return np.concatenate(samples, axis=-1).mean(axis=-1)


def _wins(x: np.ndarray, y: np.ndarray) -> np.ndarray | np.float64:
    """The fraction of pairs in which `x` is above `y`, ties as halves, over the last axis."""
    # asymptotic: the p-value, which is not used, is then cheap
    result = scipy.stats.mannwhitneyu(x, y, axis=-1, method="asymptotic")
    return np.asarray(result.statistic) / (x.shape[-1] * y.shape[-1])


def _to_unit_range(scores: Strata) -> Strata:
    pooled = np.concatenate(scores)
    finite = pooled[np.isfinite(pooled)]
    low, span = (finite.min(), np.ptp(finite)) if finite.size else (0.0, 0.0)
    return [(x - low) / span if span else np.where(np.isfinite(x), 0.5, x) for x in scores]
