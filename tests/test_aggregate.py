"""The interquartile mean and its interval."""

from math import inf

import numpy as np
import pytest
from scipy import stats

from vibe_rl.aggregate import aggregate


def test_the_middle_half_is_averaged():
    # of 8 sorted figures the lowest 2 and the highest 2 are left out: (3 + 4 + 5 + 6) / 4
    found = aggregate([100.0, 1.0, 3.0, 6.0, 2.0, 5.0, 4.0, 7.0])
    assert found.iqm == pytest.approx(4.5)
    assert found.low < 4.5 < found.high
    assert found.n_seeds == 8


def test_equal_figures_have_no_interval_and_so_has_one():
    assert aggregate([3.0] * 5) == (3.0, 3.0, 3.0, 5)
    assert aggregate([7.0]) == (7.0, 7.0, 7.0, 1)


def test_the_interval_covers_the_true_value_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        found = aggregate(rng.normal(size=20).tolist())
        covered += found.low <= 0.0 <= found.high
    # the percentile bootstrap of 20 figures covers a little less than 95 %
    assert covered >= stats.binom.ppf(0.001, 60, 0.9)


def test_the_same_figures_give_the_same_interval():
    figures = [1.0, 5.0, 2.0, 8.0]
    assert aggregate(figures) == aggregate(figures)


def test_a_seed_that_diverged_is_the_lowest_there_is():
    found = aggregate([-inf, 2.0, 4.0, 9.0])  # the lowest and the highest are left out: (2 + 4) / 2
    assert found.iqm == 3.0
    assert found.low == -inf  # of many draws, two of four diverged
    assert found.high == 9.0
    assert aggregate([-inf, -inf, 4.0, 9.0]).iqm == -inf
    assert aggregate([-inf] * 3) == (-inf, -inf, -inf, 3)
