"""Running moments against NumPy's, and sums over episodes one can count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibe_rl.ops.normalization import (
    initial_statistics,
    normalize,
    standardize_obs,
    update_statistics,
)
from vibe_rl.runner.episodes import summarize_episodes
from vibe_rl.types import MaskedObs

update = jax.jit(update_statistics)


def batch_of(seed, shape=(4, 6), mean=0.0, std=1.0):
    rng = np.random.default_rng(seed)
    return {
        "a": jnp.asarray(mean + std * rng.normal(size=(*shape, 3)), jnp.float32),
        "b": jnp.asarray(mean - std * rng.normal(size=shape), jnp.float32),
    }


def example(batch):
    return jax.tree.map(lambda x: x[0, 0], batch)


def assert_trees_close(one, other, **tolerances):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerances), one, other)


def test_statistics_of_nothing_leave_numbers_as_they_are():
    statistics = initial_statistics(jnp.zeros(2))
    assert statistics.count == 0
    # the variance of 1 has 1e-8 added, which float32 does not see
    np.testing.assert_array_equal(normalize(statistics, jnp.array([-2.0, 3.0])), [-2.0, 3.0])


def test_the_first_batch_gives_its_own_moments():
    # 1 2 3 6: mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5
    statistics = update_statistics(
        initial_statistics(jnp.zeros(())), jnp.array([[1.0, 2.0], [3.0, 6.0]])
    )
    np.testing.assert_allclose(statistics.count, 4)
    np.testing.assert_allclose(statistics.mean, 3.0)
    np.testing.assert_allclose(statistics.var, 3.5, rtol=1e-6)


def test_a_second_batch_is_weighted_by_its_size():
    # 0 0 0 0 then 5 10: mean 15 / 6 = 2.5, variance (4 * 6.25 + 6.25 + 56.25) / 6 = 14.5833
    statistics = initial_statistics(jnp.zeros(()))
    statistics = update_statistics(statistics, jnp.zeros((2, 2)))
    statistics = update_statistics(statistics, jnp.array([[5.0, 10.0]]))
    np.testing.assert_allclose(statistics.mean, 2.5, rtol=1e-6)
    np.testing.assert_allclose(statistics.var, 14.583333, rtol=1e-6)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    mean=st.floats(-100, 100),
    std=st.floats(0.1, 100),
    axis=st.integers(0, 1),
)
def test_two_batches_equal_one(seed, mean, std, axis):
    whole = batch_of(seed, (4, 6), mean, std)
    start = initial_statistics(example(whole))
    halves = [jax.tree.map(lambda x, i=i: jnp.split(x, 2, axis)[i], whole) for i in range(2)]
    in_two, in_one = update(update(start, halves[0]), halves[1]), update(start, whole)
    np.testing.assert_array_equal(in_two.count, in_one.count)
    assert_trees_close(in_two.mean, in_one.mean, rtol=1e-4, atol=1e-4 * std)
    assert_trees_close(in_two.var, in_one.var, rtol=1e-4)
    numpy_var = jax.tree.map(lambda x: np.asarray(x, np.float64).var((0, 1)), whole)
    assert_trees_close(in_one.var, numpy_var, rtol=1e-3)


def test_many_batches_far_from_zero_keep_their_variance():
    # a mean of 1000 standard deviations: the sum of squares would be off by one in 1e6 / 1e7
    batches = [batch_of(seed, (4, 6), mean=1000.0) for seed in range(50)]
    statistics = initial_statistics(example(batches[0]))
    for batch in batches:
        statistics = update(statistics, batch)
    together = jax.tree.map(lambda *x: np.concatenate(x).astype(np.float64), *batches)
    assert_trees_close(statistics.mean, jax.tree.map(lambda x: x.mean((0, 1)), together), rtol=1e-6)
    assert_trees_close(statistics.var, jax.tree.map(lambda x: x.var((0, 1)), together), rtol=1e-3)


def test_integers_are_counted_as_numbers():
    batch = jnp.array([[0, 200]], jnp.uint8)
    statistics = update_statistics(initial_statistics(batch[0, 0]), batch)
    np.testing.assert_allclose([statistics.mean, statistics.var], [100.0, 10_000.0])


def test_compilation_changes_no_statistics():
    batch = batch_of(0)
    start = initial_statistics(example(batch))
    assert_trees_close(update_statistics(start, batch), update(start, batch), rtol=1e-6)


def test_statistics_per_seed_by_vmap_equal_a_loop():
    seeds = [batch_of(seed) for seed in range(3)]
    start = initial_statistics(example(seeds[0]))
    mapped = jax.vmap(update_statistics, in_axes=(None, 0))(
        start, jax.tree.map(lambda *x: jnp.stack(x), *seeds)
    )
    for i, batch in enumerate(seeds):
        one = jax.tree.map(lambda x, i=i: x[i], mapped)
        assert_trees_close(one, update(start, batch), rtol=1e-5, atol=1e-7)


def test_normalized_observations_have_mean_zero_and_variance_one():
    batch = batch_of(0, (16, 16), mean=5.0, std=3.0)
    statistics = update(initial_statistics(example(batch)), batch)
    normal = jax.vmap(jax.vmap(lambda x: normalize(statistics, x)))(batch)
    for leaf in jax.tree.leaves(normal):
        np.testing.assert_allclose(leaf.mean((0, 1)), 0.0, atol=1e-5)
        np.testing.assert_allclose(leaf.var((0, 1)), 1.0, rtol=1e-4)


def test_one_number_is_normalized_by_hand():
    # mean 3, variance 4: (7 - 3) / 2 = 2
    statistics = initial_statistics(jnp.zeros(()))._replace(
        mean=jnp.float32(3.0), var=jnp.float32(4.0)
    )
    np.testing.assert_allclose(normalize(statistics, jnp.float32(7.0)), 2.0, rtol=1e-6)


@pytest.mark.parametrize(("clip", "expected"), [(10.0, 10.0), (5.0, 5.0)])
def test_outliers_are_clipped(clip, expected):
    statistics = initial_statistics(jnp.zeros(1))
    np.testing.assert_allclose(normalize(statistics, jnp.array([1e9]), clip), expected)
    np.testing.assert_allclose(normalize(statistics, jnp.array([-1e9]), clip), -expected)


def test_an_entry_that_never_changes_becomes_zero():
    statistics = update(initial_statistics(jnp.zeros(1)), jnp.full((4, 4, 1), 7.0))
    np.testing.assert_array_equal(normalize(statistics, jnp.full(1, 7.0)), [0.0])


def test_observations_are_standardised_where_there_are_statistics_and_masks_are_kept():
    # mean 3, variance 4: (7 - 3) / 2 = 2
    statistics = initial_statistics(jnp.zeros(1))._replace(
        mean=jnp.full(1, 3.0), var=jnp.full(1, 4.0)
    )
    obs, legal = jnp.full(1, 7.0), jnp.array([True, False])
    np.testing.assert_allclose(standardize_obs(statistics, obs), [2.0], rtol=1e-6)
    masked = standardize_obs(statistics, MaskedObs(obs, legal))
    np.testing.assert_allclose(masked.view, [2.0], rtol=1e-6)
    np.testing.assert_array_equal(masked.legal, legal)
    assert standardize_obs(None, obs) is obs


def test_episodes_are_summed_where_they_finish():
    # finished: returns 5 and -1, lengths 10 and 4
    summary = summarize_episodes(
        jnp.array([[True, False], [False, True]]),
        jnp.array([[5.0, 100.0], [-100.0, -1.0]]),
        jnp.array([[10, 7], [8, 4]]),
    )
    assert (summary.episodes, summary.episodes.dtype) == (2, jnp.int32)
    np.testing.assert_allclose(summary.return_sum, 4.0)
    np.testing.assert_allclose([summary.return_min, summary.return_max], [-1.0, 5.0])
    np.testing.assert_allclose(summary.length_sum, 14.0)


def test_without_a_finished_episode_the_extremes_are_infinite():
    summary = summarize_episodes(jnp.zeros(3, bool), jnp.ones(3), jnp.ones(3, jnp.int32))
    np.testing.assert_array_equal([summary.episodes, summary.return_sum, summary.length_sum], 0)
    assert summary.return_min == jnp.inf
    assert summary.return_max == -jnp.inf


def test_summaries_of_parts_add_up_to_that_of_the_whole():
    rng = np.random.default_rng(0)
    done = jnp.asarray(rng.random((8, 3)) < 0.3)
    episode_return = jnp.asarray(rng.integers(-9, 9, (8, 3)), jnp.float32)
    length = jnp.asarray(rng.integers(1, 9, (8, 3)), jnp.int32)
    whole = summarize_episodes(done, episode_return, length)
    first = summarize_episodes(done[:3], episode_return[:3], length[:3])
    second = summarize_episodes(done[3:], episode_return[3:], length[3:])
    assert whole.episodes == first.episodes + second.episodes > 0
    assert whole.return_sum == first.return_sum + second.return_sum
    assert whole.length_sum == first.length_sum + second.length_sum
    assert whole.return_min == min(first.return_min, second.return_min)
    assert whole.return_max == max(first.return_max, second.return_max)
    assert_trees_close(jax.jit(summarize_episodes)(done, episode_return, length), whole)
