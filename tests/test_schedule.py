"""Schedules: the line, its two ends and what lies beyond them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.schedule import interpolate, linear_schedule, scheduled


@pytest.mark.parametrize(
    ("fraction", "expected"),
    # 4 + (8 - 4) * fraction, clamped
    [(0.0, 4.0), (0.25, 5.0), (1.0, 8.0), (-0.5, 4.0), (1.5, 8.0)],
)
def test_interpolation_is_a_clamped_line(fraction, expected):
    np.testing.assert_allclose(interpolate(4.0, 8.0, fraction), expected)


@pytest.mark.parametrize(
    ("step", "expected"),
    # from 1 down to 0.2 in 10 steps: 1 - 0.08 * step
    [(0, 1.0), (1, 0.92), (5, 0.6), (10, 0.2), (11, 0.2), (1000, 0.2)],
)
def test_a_linear_schedule_falls_in_equal_steps_and_stays(step, expected):
    np.testing.assert_allclose(linear_schedule(1.0, 0.2, 10)(step), expected, rtol=1e-6)


def test_a_schedule_of_no_steps_counts_as_one_of_one():
    schedule = linear_schedule(3.0, 7.0, 0)
    np.testing.assert_allclose([schedule(0), schedule(1), schedule(2)], [3.0, 7.0, 7.0])


def test_steps_beyond_int32_are_understood():
    # 3e9 of 6e9 steps is half the way from 0 to 1
    np.testing.assert_allclose(linear_schedule(0.0, 1.0, 6_000_000_000)(3_000_000_000), 0.5)


def test_compilation_and_vmap_change_no_schedule():
    schedule = linear_schedule(1.0, 0.2, 10)
    steps = jnp.arange(15)
    expected = np.stack([schedule(step) for step in steps])
    compiled = jax.jit(schedule)
    np.testing.assert_allclose([compiled(step) for step in steps], expected, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(schedule)(steps), expected, rtol=1e-6)


def test_the_ends_of_a_schedule_may_be_traced():
    traced = jax.jit(interpolate)(jnp.float32(4.0), jnp.float32(8.0), jnp.float32(0.25))
    np.testing.assert_allclose(traced, 5.0)


@pytest.mark.parametrize(("end", "expected"), [(None, 2.0), (4.0, 2.5), (0.0, 1.5)])
def test_a_hyperparameter_is_scheduled_only_where_it_has_an_end(end, expected):
    assert scheduled(2.0, end, 0.25) == expected
