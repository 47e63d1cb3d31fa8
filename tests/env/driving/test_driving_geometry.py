"""Boxes: golden values, symmetry, agreement with points inside them; corridors and edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibe_rl.env.driving.geometry import (
    Boxes,
    corners,
    obb_overlap,
    offroad_corridor,
    offroad_edge,
    rotate,
    wrap,
)

overlap, corners_of = jax.jit(obb_overlap), jax.jit(corners)
coordinate = st.floats(-6, 6, width=32)
angle = st.floats(-3.25, 3.25, width=32)


def box(x, y, yaw=0.0, length=4.0, width=2.0):
    return Boxes(*(jnp.asarray(v, jnp.float32) for v in ((x, y), yaw, length, width)))


def test_angles_are_wrapped_into_the_half_open_circle():
    given = np.array([0, np.pi, -np.pi, -3.2, 7.0], np.float32)
    expected = [0, np.pi, np.pi, 2 * np.pi - 3.2, 7 - 2 * np.pi]
    np.testing.assert_allclose(wrap(given), expected, atol=1e-6)


def test_a_quarter_turn_leads_from_x_to_y():
    np.testing.assert_allclose(
        rotate(jnp.array([2.0, 1.0]), jnp.float32(np.pi / 2)), [-1, 2], atol=1e-6
    )


def test_corners_go_round_from_the_front_left():
    expected = [[3, 3], [3, 1], [-1, 1], [-1, 3]]
    np.testing.assert_allclose(corners_of(box(1, 2)), expected, atol=1e-6)
    turned = corners_of(box(0, 0, np.pi / 2))
    np.testing.assert_allclose(turned, [[-1, 2], [1, 2], [1, -2], [-1, -2]], atol=1e-6)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((3.9, 0), True),
        ((4.0, 0), False),  # touching
        ((3.2, 1.9), True),
        ((0, 2.9, np.pi / 2), True),
        ((0, 3.1, np.pi / 2), False),
    ],
)
def test_boxes_of_four_by_two_overlap_as_computed_by_hand(other, expected):
    assert overlap(box(0, 0), box(*other)) == expected


def inside(points, b):
    local = rotate(points - b.xy[None], jnp.full(len(points), -b.yaw))
    return (jnp.abs(local[:, 0]) < b.length / 2) & (jnp.abs(local[:, 1]) < b.width / 2)


GRID = jnp.stack(jnp.meshgrid(*[jnp.linspace(-0.499, 0.499, 41)] * 2), -1).reshape(-1, 2)


@jax.jit
def shares_a_point(a, b):
    points = rotate(GRID * jnp.stack([a.length, a.width])[None], jnp.full(len(GRID), a.yaw))
    return inside(points + a.xy[None], b).any()


@settings(max_examples=200, deadline=None)
@given(coordinate, coordinate, angle, angle)
def test_overlap_is_symmetric_and_agrees_with_points_inside(x, y, yaw, other):
    a, b = box(0, 0, yaw), box(x, y, other, 5.0, 1.5)
    found = bool(overlap(a, b))
    assert found == overlap(b, a)
    if shares_a_point(a, b):
        assert found
    shrunk = b._replace(length=b.length - 0.4, width=b.width - 0.4)
    if overlap(a._replace(length=a.length - 0.4, width=a.width - 0.4), shrunk):
        assert shares_a_point(a, b)


LANE = jnp.stack([jnp.arange(40.0), jnp.zeros(40)], -1)


@pytest.mark.parametrize(("y", "expected"), [(1.1, False), (1.2, True), (-1.2, True)])
def test_a_corner_leaves_the_corridor_beyond_half_a_lane_and_the_tolerance(y, expected):
    reach = jnp.full(40, 3.7 / 2 + 0.3)
    assert bool(offroad_corridor(corners_of(box(20, y)), LANE, reach)) == expected
    assert offroad_corridor(corners_of(box(20, 0)), LANE, -reach)


def edges(bend):
    """Along x, then a turn to the left or right by a quarter."""
    along = np.stack([np.arange(10.0), np.zeros(10)], -1)
    after = np.array([10.0, 0]) + np.arange(10)[:, None] * np.array([[0, bend]])
    directions = np.repeat([[1.0, 0], [0, bend]], 10, 0)
    arrays = [jnp.asarray(a, jnp.float32) for a in (np.concatenate([along, after]), directions)]
    return (*arrays, jnp.arange(20) > 0, jnp.ones(20, bool))


@pytest.mark.parametrize(
    ("point", "bend", "outside"),
    [
        ((5, 1), 1, False),
        ((5, -1), 1, True),
        ((11, -1), 1, True),
        ((9, 5), 1, False),
        ((10.5, 0.4), -1, False),  # left of the first side, right of none
        ((9.5, -0.4), -1, True),
    ],
)
def test_the_road_is_on_the_left_of_its_edge(point, bend, outside):
    assert bool(offroad_edge(jnp.array([point], jnp.float32), *edges(bend))) == outside


def test_without_edges_nothing_is_outside():
    points, directions, follows, valid = edges(1)
    corner = jnp.array([[5.0, -1.0]])
    assert not offroad_edge(corner, points, directions, follows, ~valid)
