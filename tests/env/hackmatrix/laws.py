"""Draws held against a law, exact or drawn itself (chi-square)."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np
from scipy import stats

from vibe_rl.env.hackmatrix import rules

N = 100_000
FEW = 20_000  # where a draw costs much
CHUNK = 10_000  # at once
NEVER = 1e-6
"""As improbable as a test may fail by chance, and as a wrong law must be."""
FEWEST = 5  # expected of a category, others are joined

Law = dict[Hashable, float]
"""The probability, up to a factor, of each outcome."""


def p_value(found: Counter, law: Law) -> float:
    """How probable draws of this law are at least as far from it (chi-square)."""
    if not set(found) <= {outcome for outcome, p in law.items() if p}:
        return 0.0
    n, total = found.total(), sum(law.values())
    pairs = [(found[outcome], n * p / total) for outcome, p in law.items() if p]
    rare = [pair for pair in pairs if pair[1] < FEWEST]
    kept = [pair for pair in pairs if pair[1] >= FEWEST]
    joined = [tuple(map(sum, zip(*rare, strict=True)))] if rare else []
    observed, expected = zip(*kept, *joined, strict=True)
    return stats.chisquare(observed, expected).pvalue


def p_alike(a: Counter, b: Counter) -> float:
    """How probable two draws of one law, whichever, differ at least as much."""
    both = a + b
    kept = [outcome for outcome in both if both[outcome] >= 4 * FEWEST]
    table = np.array([[each[outcome] for outcome in kept] for each in (a, b)])
    rest = np.array([[each.total()] for each in (a, b)]) - table.sum(1, keepdims=True)
    table = np.hstack([table, rest]) if rest.sum() >= 4 * FEWEST else table
    return stats.chi2_contingency(table).pvalue


def assert_law(found: Counter, right: Law, wrong: Law) -> None:
    assert p_value(found, right) > NEVER
    assert p_value(found, wrong) < NEVER


def uniform(outcomes: Any) -> Law:
    return dict.fromkeys(outcomes, 1.0)


def tallied(*columns: Any) -> Counter:
    """How often each combination of some numbers `[N]` or `[N, n]` comes."""
    rows = np.column_stack([np.asarray(column) for column in columns])
    outcomes, counts = np.unique(rows, axis=0, return_counts=True)
    return Counter(dict(zip(map(tuple, outcomes.tolist()), counts.tolist(), strict=True)))


def in_chunks(draw: Callable[[Any], Any], n: int = N) -> Any:
    """What `draw` makes of `n` keys, in the host's memory."""
    keys = jax.random.split(jax.random.key(0), n).reshape(-1, CHUNK)
    return jax.tree.map(lambda *x: np.concatenate(x), *[jax.device_get(draw(k)) for k in keys])


def cell(place: tuple[int, int]) -> int:
    return place[0] * rules.SIDE + place[1]
