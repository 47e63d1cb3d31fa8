"""The shuffle: a bijection for every n, and as random as fixed keys and stated margins can tell.

Thresholds are five standard deviations of the statistic under truly random permutations unless a
comment says otherwise; `jax.random.permutation` passes each of them too.
"""

import math
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from vibe_rl.ops.minibatches import (
    SMALLEST_SIDE,
    add_modulo,
    counting_minibatches,
    factors,
    minibatches,
    permutation,
    permutations,
    split_envs,
    take,
)

compiled = jax.jit(permutation, static_argnums=1)
FAIR = 256, 16 * 31, 1024  # grids of 16 x 16, the smallest there is, a narrow one and 32 x 32
COUNT = {256: 8192, 16 * 31: 8192, 1024: 2048, 16 * 257: 2048}  # permutations drawn of each


@cache
def many(n, count, shuffle=permutation):
    """`count` permutations of n, as NumPy `[count, n]`."""
    keys = jax.random.split(jax.random.key(n), count)
    return np.asarray(jax.jit(jax.vmap(partial(shuffle, n=n)))(keys))


def sorted_permutation(key, n):
    """The reference whose statistics ours must have."""
    return jax.random.permutation(key, n)


@settings(max_examples=4, deadline=None)
@given(n=st.integers(1, 3000), seed=st.integers(0, 2**31 - 1))
@example(n=1, seed=0)
@example(n=256, seed=0)  # the smallest factors
@example(n=97, seed=0)  # a prime falls back to sorting
@example(n=15 * 17, seed=0)  # a small side does too
@example(n=16 * 257, seed=0)  # a narrow factors
@example(n=45 * 77, seed=0)  # odd and composite
@example(n=4096, seed=0)
def test_every_number_appears_once(n, seed):
    shuffled = compiled(jax.random.key(seed), n)
    assert shuffled.dtype == jnp.int32
    np.testing.assert_array_equal(np.sort(shuffled), np.arange(n))


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 10_000))
def test_the_grid_has_the_fairest_factors(n):
    a, b = factors(n)
    assert (a <= b, a * b) == (True, n)
    assert not any(n % d == 0 for d in range(a + 1, math.isqrt(n) + 1))


def test_sums_wrap_around_at_the_modulus():
    x, y = jnp.uint32([0, 3, 4, 4, 2]), jnp.uint32([0, 1, 1, 4, 3])
    np.testing.assert_array_equal(add_modulo(x, y, 5), [0, 4, 0, 3, 0])


def test_only_narrow_grids_are_sorted():
    assert factors(16 * 17)[0] == SMALLEST_SIDE
    assert "stablehlo.sort" not in compiled.lower(jax.random.key(0), 16 * 17).as_text()
    assert "stablehlo.sort" in compiled.lower(jax.random.key(0), 15 * 17).as_text()
    assert "stablehlo.sort" in compiled.lower(jax.random.key(0), 97).as_text()


def test_every_epoch_sees_every_example_once_and_in_another_order():
    indices = minibatches(jax.random.key(0), 256, 3, 4)
    assert indices.shape == (12, 1, 64)
    epochs = np.asarray(indices).reshape(3, 256)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(256), (3, 1)))
    assert (epochs[0] == epochs[1]).sum() < 12


def test_shards_share_every_minibatch_and_exchange_nothing():
    rollout = {"x": jnp.arange(8 * 12).reshape(8, 12)}  # [T, N]
    shards = split_envs(rollout, 3)["x"]
    assert shards.shape == (3, 32)
    indices = minibatches(jax.random.key(0), 32, 2, 4, 3)
    assert indices.shape == (8, 3, 8)
    batches = np.stack([take({"x": shards}, chosen)["x"] for chosen in indices])
    assert batches.shape == (8, 24)
    np.testing.assert_array_equal(batches % 12 // 4, np.tile(np.repeat([0, 1, 2], 8), (8, 1)))
    epochs = np.sort(batches.reshape(2, -1), axis=1)
    np.testing.assert_array_equal(epochs, np.tile(np.arange(96), (2, 1)))
    alone = take({"x": shards[:1]}, indices[0, :1])["x"]
    np.testing.assert_array_equal(alone, batches[0, :8])


def test_equal_keys_shuffle_alike_and_others_do_not():
    one, same, other = (compiled(jax.random.key(seed), 256) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one == other).sum() < 12  # about one is expected


def test_compilation_and_vmap_change_no_permutation():
    keys = jax.random.split(jax.random.key(256), 8192)[:3]
    one_by_one = [compiled(key, 256) for key in keys]
    np.testing.assert_array_equal(permutation(keys[0], 256), one_by_one[0])
    np.testing.assert_array_equal(many(256, 8192)[:3], one_by_one)


def test_every_number_is_equally_likely_at_every_place():
    # Both margins of the 256 x 256 table of (place, number) are fixed: 255/256 of Pearson's
    # statistic is chi-square with 255^2 degrees of freedom, standard deviation sqrt(2) 255 = 361.
    shuffled = many(256, 8192)
    table = np.stack([np.bincount(column, minlength=256) for column in shuffled.T])
    expected = 8192 / 256
    statistic = ((table - expected) ** 2 / expected).sum() * 255 / 256
    assert abs(statistic - 255**2) < 5 * 361
    by_place = stats.chisquare(table, axis=1).pvalue
    assert by_place.min() > 1e-5  # of 256 places


@pytest.mark.parametrize("n", [*FAIR, 16 * 257])
def test_neighbours_stay_neighbours_no_more_than_chance(n):
    # 2 / n of the n - 1 pairs by chance. Neighbours in a row of the grid keep their distance if
    # all three rounds that move rows agree: 1 / a^3 more, which is b / 2 a^2 of chance, 3 % for
    # 16 x 16 and 6 % for 16 x 31. The standard deviation is 0.8 %, for 2048 permutations 1.6 %.
    shuffled = many(n, COUNT[n])
    pairs = (np.abs(np.diff(shuffled, axis=1)) == 1).sum()
    expected = 2 * (n - 1) / n * len(shuffled)
    assert 0.92 < pairs / expected < 1.1


@pytest.mark.parametrize("n", FAIR)
def test_pairs_keep_no_difference(n):
    # Differences modulo n of two places in one row, in one column and across: each of the n - 1
    # differences is as likely as the next. They are counted in 63 classes.
    shuffled = many(n, COUNT[n])
    side = factors(n)[1]
    for other in (1, side, side + 1, n - 1):
        difference = (shuffled[:, other] - shuffled[:, 0]) % n
        bins = np.bincount((difference - 1) * 63 // (n - 1), minlength=63)
        widths = np.bincount(np.arange(n - 1) * 63 // (n - 1), minlength=63)
        expected = len(shuffled) * widths / (n - 1)
        assert stats.chisquare(bins, expected).pvalue > 1e-4


@pytest.mark.parametrize("n", FAIR)
def test_fixed_points_are_poisson(n):
    # the number of fixed points of a random permutation is Poisson(1) up to 1/n!
    shuffled = many(n, COUNT[n])
    fixed = np.minimum((shuffled == np.arange(n)).sum(1), 5)
    law = stats.poisson(1.0)
    expected = len(shuffled) * np.array([*law.pmf(range(5)), law.sf(4)])
    assert stats.chisquare(np.bincount(fixed, minlength=6), expected).pvalue > 1e-4


BLOCKS = {
    "rows of the grid": lambda x: x < 128,
    "columns of the grid": lambda x: x % 32 < 4,
    "every eighth number": lambda x: x % 8 == 0,
    "scattered numbers": lambda x: (x * 37 + x // 7) % 8 == 0,
}


@pytest.mark.parametrize("shuffle", [permutation, sorted_permutation])
@pytest.mark.parametrize("block", BLOCKS)
def test_minibatches_draw_from_a_block_as_from_an_urn(block, shuffle):
    # Of K = 128 marked numbers among n = 1024, a minibatch of m = 256 holds hypergeometrically
    # many: mean m K / n = 32, variance 32 (1 - K / n)(n - m) / (n - 1) = 21.02
    marked = BLOCKS[block](many(1024, 2048, shuffle))
    law = stats.hypergeom(1024, BLOCKS[block](np.arange(1024)).sum(), 256)
    drawn = marked.reshape(len(marked), 4, 256).sum(2)
    for minibatch in drawn.T:
        assert abs(minibatch.mean() - law.mean()) < 5 * law.std() / math.sqrt(2048)
        # the variance of 2048 nearly normal draws has relative standard deviation sqrt(2 / 2048)
        assert abs(minibatch.var() / law.var() - 1) < 5 * math.sqrt(2 / 2048)


def test_elements_of_one_row_meet_in_a_minibatch_as_often_as_chance_has_it():
    # Two of n numbers share one of four minibatches with probability (m - 1) / (n - 1) = 0.2493.
    shuffled = many(1024, 2048)
    minibatch = np.argsort(shuffled, axis=1) // 256
    for other in (1, 31, 32, 33, 1023):
        together = (minibatch[:, other] == minibatch[:, 0]).mean()
        assert abs(together - 255 / 1023) < 5 * math.sqrt(0.25 * 0.75 / 2048)


@pytest.mark.parametrize(("even", "sizes"), [(False, [4, 4, 2, 0]), (True, [4, 3, 3, 0])])
def test_minibatches_of_what_counts_hold_it_once_an_epoch_and_nothing_else(even, sizes):
    counts = jnp.arange(16) % 3 > 0
    orders = permutations(jax.random.key(0), 16, 3, 1)
    index, holds = counting_minibatches(orders, counts[None], 4, even)
    assert index.shape == holds.shape == (12, 1, 4)
    np.testing.assert_array_equal(holds.sum((1, 2)).reshape(3, 4), [sizes] * 3)
    for epoch in range(3):
        batches = slice(4 * epoch, 4 * epoch + 4)
        held = np.asarray(index[batches])[np.asarray(holds[batches])]
        np.testing.assert_array_equal(np.sort(held), np.flatnonzero(counts))
    first = np.asarray(index[:4])[np.asarray(holds[:4])]
    assert not np.array_equal(first, np.asarray(index[4:8])[np.asarray(holds[4:8])])


def test_minibatches_keep_the_order_of_their_epoch():
    order = permutations(jax.random.key(1), 16, 1, 1)
    counts = jnp.arange(16) < 10
    index, holds = counting_minibatches(order, counts[None], 4)
    expected = [i for i in np.asarray(order).ravel() if i < 10]
    assert np.asarray(index)[np.asarray(holds)].tolist() == expected


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("total", [0, 1, 16])
def test_minibatches_of_nothing_one_and_all(total, even):
    orders = permutations(jax.random.key(0), 16, 1, 1)
    index, holds = counting_minibatches(orders, (jnp.arange(16) < total)[None], 4, even)
    assert holds.sum() == total
    held = np.asarray(index)[np.asarray(holds)]
    np.testing.assert_array_equal(np.sort(held), np.arange(total))


def test_shards_with_fewer_examples_leave_places_empty():
    counts = jnp.stack([jnp.arange(8) < 7, jnp.arange(8) < 2])
    orders = permutations(jax.random.key(0), 8, 2, 2)
    index, holds = counting_minibatches(orders, counts, 2)
    assert index.shape == (4, 2, 4)
    np.testing.assert_array_equal(holds.sum(2), [[4, 2], [3, 0]] * 2)
