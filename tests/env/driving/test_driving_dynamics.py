"""Vehicles: golden values, and actions that are found again in the motion that they cause."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibe_rl.env.driving.motion import dynamics
from vibe_rl.env.driving.motion.dynamics import Motion, moving

bicycle = jax.jit(dynamics.bicycle, static_argnums=2)
bicycle_inverse = jax.jit(dynamics.bicycle_inverse, static_argnums=2)
unit = st.floats(-1, 1, width=32)


def motion(x, y, yaw, speed):
    return moving(*(jnp.float32(v) for v in (x, y, yaw, speed)))


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        ((0, 0, 0, 10), (0.5, 0.5), (1.015, 0, 0.15225, 10.3)),
        ((0, 0, 0, 0.1), (-1, 0), (0.005, 0, 0, 0)),
        ((1, 2, np.pi / 2, 5), (0, -1), (1, 2.5, 1.420797, 5)),
    ],
)
def test_the_bicycle_moves_as_computed_by_hand(before, action, after):
    moved = bicycle(motion(*before), jnp.array(action, jnp.float32), "curvature")
    np.testing.assert_allclose(moved[:4], after, atol=1e-5)


def test_the_inverse_of_the_first_golden_value_is_its_action():
    before = motion(0, 0, 0, 10)
    after = motion(1.015, 0, 0.15225, 10.3)
    np.testing.assert_allclose(bicycle_inverse(before, after, "curvature"), [0.5, 0.5], atol=1e-4)


@settings(max_examples=200, deadline=None)
@given(unit, unit, st.floats(1.25, 44.375, width=32), st.sampled_from(["curvature", "lateral"]))
def test_the_inverse_finds_every_action_where_no_limit_of_speed_acts(a, u, speed, steering):
    before = motion(3, -4, 2.5, speed)
    after = bicycle(before, jnp.array([a, u], jnp.float32), steering)
    np.testing.assert_allclose(bicycle_inverse(before, after, steering), [a, u], atol=2e-3)


def test_braking_ends_in_standing_still():
    at = motion(0, 0, 0, 0.05)
    for _ in range(3):
        at = bicycle(at, jnp.array([-1.0, 0.0]), "curvature")
    assert at.speed == 0
    assert bicycle(at, jnp.array([0.0, 1.0]), "curvature") == at


def test_lateral_steering_never_asks_for_more_than_five_to_the_side():
    limit = partial(dynamics.curvature_limit, steering="lateral")
    speeds = jnp.array([0.0, 4.0, 10.0, 30.0])
    np.testing.assert_allclose(limit(speeds), [0.3, 0.3, 0.05, 5 / 900], rtol=1e-6)


def test_displacements_are_along_the_heading_or_along_the_axes():
    at = motion(1, 2, np.pi / 2, 0)
    ahead = jnp.array([1.0, 1.0, 0.5])
    local = dynamics.delta_local(at, ahead)
    np.testing.assert_allclose(local[:3], [0, 6.5, np.pi / 2 + 0.25], atol=1e-5)
    np.testing.assert_allclose(local[4:], [-10, 45], atol=1e-4)
    wide = dynamics.delta_global(at, -ahead)
    np.testing.assert_allclose(wide[:3], [-5, -4, 0], atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(unit, unit, unit, st.booleans())
def test_displacements_are_found_again(ahead, left, turn, local):
    at, action = motion(1, 2, 0.7, 3), jnp.array([ahead, left, turn], jnp.float32) * 0.99
    move = dynamics.delta_local if local else dynamics.delta_global
    limits = dynamics.DELTAS if local else dynamics.WIDE_DELTAS
    found = dynamics.delta_inverse(at, move(at, action), local, limits)
    np.testing.assert_allclose(found, action, atol=1e-4)


def test_bins_count_the_last_entry_fastest_and_are_found_again():
    bins = (5, 3)
    values = [dynamics.bin_values(jnp.int32(k), bins) for k in range(15)]
    np.testing.assert_allclose(values[0], [-1, -1])
    np.testing.assert_allclose(values[1], [-1, 0])
    np.testing.assert_allclose(values[14], [1, 1])
    assert [int(dynamics.nearest_bin(value, bins)) for value in values] == [*range(15)]
    np.testing.assert_allclose(dynamics.bin_values(jnp.int32(1), (1, 2)), [0, 1])


def test_a_motion_follows_its_heading():
    assert isinstance(motion(0, 0, 0, 2), Motion)
    np.testing.assert_allclose(motion(0, 0, np.pi / 6, 2)[4:], [3**0.5, 1], rtol=1e-6)
