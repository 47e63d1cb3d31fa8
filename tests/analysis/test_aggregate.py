"""Figures of many seeds by hand, and how often their intervals hold the truth."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vibe_rl.analysis.aggregate import (
    FEW_SEEDS,
    aggregate,
    aggregate_strata,
    bootstrap_interval,
    improvement,
    iqm,
    normalize_scores,
    profile,
)

figures = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8).map(np.array)
strata = st.lists(figures, min_size=2, max_size=2)


def array(*values):
    return np.array(values, float)


def test_the_middle_half_is_averaged():
    # of 8 sorted figures the lowest 2 and the highest 2 are left out: (3 + 4 + 5 + 6) / 4
    found = aggregate([100.0, 1.0, 3.0, 6.0, 2.0, 5.0, 4.0, 7.0])
    assert found.iqm == pytest.approx(4.5)
    assert found.low < 4.5 < found.high
    assert found.n_seeds == 8


def test_equal_figures_have_no_interval_and_so_has_one():
    assert aggregate([3.0] * 5) == (3.0, 3.0, 3.0, 5)
    assert aggregate([7.0]) == (7.0, 7.0, 7.0, 1)


def test_two_figures_reach_from_one_to_the_other():
    # a resample is (1, 1), (1, 2), (2, 1) or (2, 2): a quarter of them lies at either end
    assert aggregate([1.0, 2.0]) == (1.5, 1.0, 2.0, 2)


def test_the_interval_covers_the_true_value_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        found = aggregate(rng.normal(size=20).tolist())
        covered += found.low <= 0.0 <= found.high
    # the percentile bootstrap of 20 figures covers a little less than 95 %
    assert covered >= stats.binom.ppf(0.001, 60, 0.9)


def covered(n_seeds, n_runs=200):
    """How often the interval of `n_seeds` normal figures holds their mean."""
    samples = np.random.default_rng(1).normal(size=(n_runs, n_seeds))
    low, high = bootstrap_interval(iqm, [samples], 1000)
    return np.mean((low <= 0) & (high >= 0))


def test_few_seeds_are_those_whose_interval_promises_too_much():
    assert covered(FEW_SEEDS - 1) < 0.9
    assert covered(FEW_SEEDS) > 0.85


def test_the_same_figures_give_the_same_interval():
    figures = [1.0, 5.0, 2.0, 8.0]
    assert aggregate(figures) == aggregate(figures)


def test_environments_are_pooled_and_drawn_from_apart():
    # (0, 0, 0, 1, 1, 1) without its ends is (0, 0, 1, 1); every resample is the same again
    assert aggregate_strata([np.zeros(3), np.ones(3)]) == (0.5, 0.5, 0.5, 6)
    found = aggregate([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    assert (found.low, found.high) == (0.0, 1.0)


def test_an_environment_of_a_single_seed_counts_as_it_is():
    # (4, 1) or (4, 4) or (4, 7), the mean of all three figures being 4
    found = aggregate_strata([array(4), array(1, 7)])
    assert found == (4.0, 2.0, 6.0, 3)


def test_the_stratified_interval_covers_the_true_value_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):  # symmetric about 0.5, which is therefore the true IQM
        found = aggregate_strata([rng.normal(0, 1, 10), rng.normal(1, 1, 10)])
        hits += found.low <= 0.5 <= found.high
    assert hits >= stats.binom.ppf(0.001, 60, 0.9)


def test_an_improvement_counts_the_pairs_won_and_half_of_the_ties():
    # of 3 x 2 pairs, 3 is above 1 and 2, 2 is above 1 and equal to 2, 0 is above none: 3.5 / 6
    assert improvement([array(3, 2, 0)], [array(1, 2)]).probability == pytest.approx(3.5 / 6)


def test_an_improvement_is_averaged_over_environments_not_over_pairs():
    a, b = [array(2, 2, 2, 2), array(0)], [array(1, 1), array(5)]
    assert improvement(a, b) == (0.5, 0.5, 0.5)  # won all, lost all; nothing else can be drawn


@pytest.mark.parametrize(
    ("a", "b", "known"),
    [
        (array(1), array(1), (0.5, 0.5, 0.5)),
        (array(2), array(1), (1.0, 1.0, 1.0)),
        (array(4, 4), array(4, 4, 4), (0.5, 0.5, 0.5)),
        (array(0, 2), array(1), (0.5, 0.0, 1.0)),
    ],
)
def test_an_improvement_of_few_or_equal_seeds_is_defined(a, b, known):
    assert improvement([a], [b]) == known


def test_the_interval_of_an_improvement_covers_the_true_value_about_as_often_as_it_says():
    rng, truth = np.random.default_rng(0), stats.norm.cdf(0.5 / np.sqrt(2))
    hits = 0
    for _ in range(40):
        found = improvement([rng.normal(0.5, 1, 12)], [rng.normal(0, 1, 12)])
        hits += found.low <= truth <= found.high
    assert hits >= stats.binom.ppf(0.001, 40, 0.9)


def test_a_profile_is_the_fraction_above_each_threshold():
    found = profile([array(1, 2), array(3, 3)], array(0, 1, 2.5, 3))
    np.testing.assert_allclose(found.fraction, [1, 0.75, 0.5, 0])
    # of the first environment one or the other may be drawn twice; of the second always 3
    np.testing.assert_allclose(found.low, [1, 0.5, 0.5, 0])
    np.testing.assert_allclose(found.high, [1, 1, 0.5, 0])


def test_scores_are_brought_to_the_range_of_all_methods_in_each_environment():
    a, b = normalize_scores([[array(0, 10), array(-1)], [array(20), array(-3, -2)]])
    np.testing.assert_allclose(a[0], [0, 0.5])
    np.testing.assert_allclose(b[0], [1])
    np.testing.assert_allclose(a[1], [1])
    np.testing.assert_allclose(b[1], [0, 0.5])


def test_equal_scores_are_in_the_middle_of_their_range():
    assert [x.tolist() for (x,) in normalize_scores([[array(7, 7)], [array(7)]])] == [
        [0.5, 0.5],
        [0.5],
    ]


@settings(max_examples=25, deadline=None)
@given(strata)
def test_an_interval_holds_its_figure(scores):
    found = aggregate_strata(scores)
    assert found.low - 1e-9 <= found.iqm <= found.high + 1e-9


@settings(max_examples=25, deadline=None)
@given(strata, strata)
def test_to_win_is_to_be_beaten_seen_from_the_other_side(a, b):
    there, back = improvement(a, b), improvement(b, a)
    assert there.probability + back.probability == pytest.approx(1)
    assert -1e-9 + there.low <= there.probability <= there.high + 1e-9


@settings(max_examples=25, deadline=None)
@given(strata)
def test_a_profile_never_rises_and_stays_within_its_band(scores):
    thresholds = np.linspace(-1001, 1001, 20)
    found = profile(scores, thresholds)
    assert (np.diff(found.fraction) <= 0).all()
    assert (found.fraction[0], found.fraction[-1]) == (1, 0)
    assert (found.low <= found.fraction).all()
    assert (found.fraction <= found.high).all()


def test_a_seed_that_diverged_is_the_lowest_there_is():
    found = aggregate([-inf, 2.0, 4.0, 9.0])  # the lowest and the highest are left out: (2 + 4) / 2
    assert found.iqm == 3.0
    assert found.low == -inf  # of many draws, two of four diverged
    assert found.high == 9.0
    assert aggregate([-inf, -inf, 4.0, 9.0]).iqm == -inf
    assert aggregate([-inf] * 3) == (-inf, -inf, -inf, 3)
