"""The sum tree against NumPy's cumulative sums."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vibe_rl.replay import sum_tree
from vibe_rl.replay.sum_tree import FANOUT

find, change = jax.jit(sum_tree.find_leaf), jax.jit(sum_tree.change)
SIZES = st.sampled_from([1, 2, 31, 32, 33, 700, 1024, 1025, 5000])  # one, two and three levels deep


def tree_of(weights):
    weights = jnp.asarray(weights, jnp.float32)
    return change(sum_tree.init(len(weights)), jnp.arange(len(weights)), weights)


def whole_weights(seed, n, zeros=0.5):
    """Weights 0 .. 9 whose sums are exact in float32."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 10, n) * (rng.random(n) >= zeros)
    weights[rng.integers(n)] = 3  # not all are zero
    return weights


@pytest.mark.parametrize(("n", "depth"), [(1, 1), (32, 1), (33, 2), (1024, 2), (1025, 3)])
def test_every_level_is_32_times_as_wide(n, depth):
    levels = sum_tree.init(n).levels
    assert len(levels) == depth
    assert len(levels[-1]) >= n
    for above, below in pairwise(levels):
        assert len(above) * FANOUT >= len(below)
        assert len(below) % FANOUT == 0


def test_an_empty_tree_weighs_nothing():
    assert sum_tree.init(100).total == 0.0


@settings(max_examples=25, deadline=None)
@given(n=SIZES, seed=st.integers(0, 2**31 - 1), zeros=st.sampled_from([0.0, 0.5, 0.99]))
@example(n=5000, seed=0, zeros=1.0)
def test_a_mass_is_found_where_the_running_sum_passes_it(n, seed, zeros):
    weights = whole_weights(seed, n, zeros)
    tree = tree_of(weights)
    assert tree.total == weights.sum()
    # multiples of a quarter: exact, and on the boundary between two weights one time in four
    mass = np.random.default_rng(seed).integers(0, 4 * weights.sum(), 256) / 4
    expected = np.searchsorted(np.cumsum(weights), mass, side="right")
    np.testing.assert_array_equal(find(tree, jnp.asarray(mass, jnp.float32)), expected)


@settings(max_examples=20, deadline=None)
@given(n=SIZES, seed=st.integers(0, 2**31 - 1))
def test_rounding_finds_no_zero_and_misses_by_no_more_than_itself(n, seed):
    # Boundaries between weights in float32, one representable number to either side of them, and
    # the total, which a share of nearly one may round to.
    rng = np.random.default_rng(seed)
    weights = (rng.random(n) ** 4 * (rng.random(n) < 0.5) + 0.0).astype(np.float32)
    weights[rng.integers(n)] = 1.0
    tree = tree_of(weights)
    ends = np.cumsum(weights, dtype=np.float64)
    edges = rng.choice(ends, 200).astype(np.float32)
    near = [np.nextafter(edges, np.float32(to)) for to in (0, np.inf)]
    mass = np.concatenate([edges, *near, [tree.total, np.nextafter(tree.total, np.inf), 0.0]])
    found = np.asarray(find(tree, jnp.asarray(mass, jnp.float32)))
    assert found.max() < n
    assert (weights[found] > 0).all()
    # each of at most three levels of 32 sums adds a few roundings of the total
    slack = 1e-5 * ends[-1]
    assert (ends[found] - weights[found] - slack <= mass).all()
    assert (mass <= ends[found] + slack).all()


@settings(max_examples=20, deadline=None)
@given(n=SIZES, seed=st.integers(0, 2**31 - 1))
def test_sums_follow_every_change(n, seed):
    weights = whole_weights(seed, n)
    tree, rng = tree_of(weights), np.random.default_rng(seed)
    for _ in range(3):
        index = rng.integers(0, n, 16)
        weights[index] = index * 7 % 5  # an index that occurs twice has one weight
        tree = change(tree, jnp.asarray(index), jnp.asarray(weights[index], jnp.float32))
    assert tree.total == weights.sum()
    np.testing.assert_array_equal(tree.levels[-1][:n], weights)
    for above, below in pairwise(tree.levels):
        sums = np.asarray(below).reshape(-1, FANOUT).sum(1)
        np.testing.assert_array_equal(above[: len(sums)], sums)


def test_a_weight_set_to_zero_is_found_no_more():
    tree = change(tree_of([2.0, 3.0, 4.0]), jnp.array([1]), jnp.array([0.0]))
    np.testing.assert_array_equal(find(tree, jnp.array([0.0, 1.5, 2.0, 5.9])), [0, 0, 2, 2])


@pytest.mark.parametrize("order", [[1.0, 5.0, 2.0], [5.0, 2.0, 1.0], [2.0, 1.0, 5.0]])
def test_of_several_weights_for_one_index_the_largest_counts(order):
    # on a GPU the order of writes is no one's to know; 5 replaces 100, and 7 stays
    tree = change(tree_of([7.0, 100.0]), jnp.array([1, 1, 1]), jnp.array(order))
    np.testing.assert_array_equal(tree.levels[-1][:2], [7.0, 5.0])
    assert tree.total == 12.0


def test_indices_are_found_in_proportion_to_their_weights():
    # a grid of masses through the whole total, 4 to each unit of weight
    weights = whole_weights(0, 1025)
    mass = jnp.arange(4 * weights.sum(), dtype=jnp.float32) / 4
    counts = np.bincount(find(tree_of(weights), mass), minlength=1025)
    np.testing.assert_array_equal(counts, 4 * weights)


def test_a_tree_of_a_thousand_changes_has_gathered_no_error():
    rng = np.random.default_rng(0)

    def step(tree, changes):
        return sum_tree.change(tree, *changes), None

    index = rng.integers(0, 1500, (1000, 8))
    weight = ((index * 0.37 + np.arange(1000)[:, None] * 0.11) % 1.0).astype(np.float32)
    changes = (jnp.asarray(index), jnp.asarray(weight))
    tree = jax.jit(lambda tree: jax.lax.scan(step, tree, changes)[0])(sum_tree.init(1500))
    expected = np.zeros(1500)
    expected[index.ravel()] = weight.ravel()  # the last of each, as NumPy writes in order
    np.testing.assert_allclose(tree.total, expected.sum(), rtol=1e-6)


def test_two_trees_side_by_side_equal_two_trees():
    trees = [tree_of(whole_weights(seed, 100)) for seed in (0, 1)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *trees)
    mass = jnp.array([0.0, 3.5, 20.25])
    found = jax.vmap(sum_tree.find_leaf, in_axes=(0, None))(stacked, mass)
    np.testing.assert_array_equal(found, [find(tree, mass) for tree in trees])
