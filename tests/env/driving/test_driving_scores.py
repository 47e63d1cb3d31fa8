"""Scores, comfort, collisions and rows: golden values and agreement with the obvious way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibe_rl.env.driving import rows
from vibe_rl.env.driving.geometry import Boxes, obb_overlap
from vibe_rl.env.driving.measures import collisions, comfort, scores
from vibe_rl.env.driving.measures.collisions import SeenUsers, at_fault, hits, time_to_collision
from vibe_rl.env.driving.motion.dynamics import Motion, moving
from vibe_rl.env.driving.scenarios.codes import PEDESTRIAN, VEHICLE
from vibe_rl.env.driving.scenarios.scene import Users

ttc = jax.jit(time_to_collision, static_argnums=3)
blamed = jax.jit(
    lambda ego, speed, seen, astride: at_fault(ego, speed, seen, hits(ego, seen), astride)
)


def drive(**changed):
    perfect = dict.fromkeys(scores.Drive._fields, 1.0) | dict.fromkeys(
        ("at_fault", "offroad", "red_light"), 0.0
    )
    return scores.Drive(**{k: jnp.float32(v) for k, v in (perfect | changed).items()})


GOOD = {"progress": 0.8, "comfort": 0.0}


@pytest.mark.parametrize(
    ("score", "changed", "expected"),
    [
        (scores.nuplan_score, {}, 1.0),
        (scores.nuplan_score, GOOD, 0.8125),  # (5 + 4 + 4) / 16
        (scores.nuplan_score, GOOD | {"red_light": 1}, 0.8125),
        (scores.vmax_score, GOOD, 16 / 19),  # (5 + 4 + 4 + 3) / 19
        (scores.vmax_score, GOOD | {"direction": 0.5}, 8 / 19),
        (scores.vmax_score, GOOD | {"progress": 1.7}, 17 / 19),
        *((scores.vmax_score, {name: 1}, 0.0) for name in ("at_fault", "offroad", "red_light")),
        (scores.nuplan_score, {"making_progress": 0}, 0.0),
    ],
)
def test_scores_are_as_computed_by_hand(score, changed, expected):
    assert score(drive(**changed)) == pytest.approx(expected, rel=1e-6)


def test_a_metre_per_second_too_fast_on_the_whole_way_leaves_half_of_the_compliance():
    found = scores.speed_compliance(jnp.float32(81), jnp.float32(8.0))
    assert found == pytest.approx(0.546, abs=5e-4)  # 1 - 0.1 * 81 / (2.23 * 8)
    assert scores.speed_compliance(jnp.float32(1000), jnp.float32(8.0)) == 0


@pytest.mark.parametrize(
    ("graded", "values"),
    [
        (scores.direction_score, {2.0: 1.0, 2.1: 0.5, 6.0: 0.5, 6.1: 0.0}),
        (scores.lanes_score, {3.0: 1.0, 3.2: 0.5, 5.7: 0.5, 5.8: 0.0}),
    ],
)
def test_grades_fall_in_two_steps(graded, values):
    assert [float(graded(jnp.float32(x))) for x in values] == [*values.values()]


def box(x, y, yaw=0.0, length=4.0, width=2.0):
    return Boxes(*(jnp.asarray(v, jnp.float32) for v in ((x, y), yaw, length, width)))


def seen(x, y, yaw=0.0, vx=0.0, vy=0.0, kind=VEHICLE):
    """One other, 4 m by 2 m."""
    one = [jnp.array([v], jnp.float32) for v in (x, y, yaw, vx, vy)]
    users = Users(*one, jnp.ones(1, bool))
    boxes = Boxes(jnp.stack(one[:2], -1), one[2], *(jnp.full(1, v, jnp.float32) for v in (4, 2)))
    return SeenUsers(boxes, users, jnp.ones(1, bool), jnp.full(1, kind, jnp.int32))


def ego(speed, yaw=0.0):
    return moving(*(jnp.float32(v) for v in (0, 0, yaw, speed)))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"x": 30.5, "y": 0}, 2.7),  # 26.5 m at 10 m/s, strictly
        ({"x": 30.5, "y": 0, "vx": 5.0}, 5.0),  # 5.3 s
        ({"x": 30.5, "y": 0, "vx": -10.0}, 1.4),  # 1.325 s
        ({"x": 30.5, "y": 2.1}, 5.0),  # beside its way
        ({"x": -10.0, "y": 0, "vx": 20.0}, 5.0),  # from behind
        ({"x": 3.0, "y": 0}, 0.0),  # already
    ],
)
def test_the_time_to_collision_is_as_computed_by_hand(other, expected):
    assert ttc(box(0, 0), ego(10), seen(**other), 5.0) == pytest.approx(expected, abs=1e-6)


@jax.jit
def ttc_by_trying(a, motion, other):
    """The first of 50 steps at which the boxes overlap."""
    times = jnp.arange(50, dtype=jnp.float32) * np.float32(0.1)
    mine = a.xy[None] + times[:, None] * jnp.stack([motion.vx, motion.vy])[None]
    theirs = jnp.stack([other.users.vx, other.users.vy], -1)
    theirs = other.boxes.xy + times[:, None] * theirs
    many = [jnp.full(50, v) for v in a[1:]], [jnp.full(50, v[0]) for v in other.boxes[1:]]
    found = obb_overlap(Boxes(mine, *many[0]), Boxes(theirs, *many[1]))
    return jnp.where(found.any(), times[jnp.argmax(found)], 5.0)


number = st.floats(-12, 12, width=32)


@settings(max_examples=150, deadline=None)
@given(st.floats(5, 60, width=32), number, number, number, number, st.floats(0, 20, width=32))
def test_the_time_to_collision_is_that_of_trying_all_times(x, y, yaw, vx, vy, speed):
    other = seen(x, y, yaw, vx, vy)
    found = ttc(box(0, 0), ego(speed), other, 5.0)
    if abs(y) < 0.577 * (x + 1.6):  # seen from the rear axle
        tried = float(ttc_by_trying(box(0, 0), ego(speed), other))
        grown = [
            b._replace(length=b.length + d, width=b.width + d)
            for b, d in ((box(0, 0), 1e-3), (box(0, 0), -1e-3))
        ]
        bounds = sorted(float(ttc_by_trying(b, ego(speed), other)) for b in grown)
        assert bounds[0] - 1e-5 <= min(float(found), tried) <= bounds[1] + 1e-5
        assert bounds[0] - 1e-5 <= max(float(found), tried) <= bounds[1] + 1e-5
    elif abs(y) > 0.578 * (x + 1.6):
        assert found == 5


@pytest.mark.parametrize(
    ("other", "speed", "astride", "fault"),
    [
        ({"x": 3.5, "y": 0, "vx": 3.0}, 10, False, True),  # the front hits it
        ({"x": -3.5, "y": 0, "vx": 15.0}, 10, False, False),  # hit from behind
        ({"x": -3.5, "y": 0}, 0, False, True),  # it stands
        ({"x": 0, "y": 1.9, "vx": 5.0}, 10, False, False),  # from the side, in its lane
        ({"x": 0, "y": 1.9, "vx": 5.0}, 10, True, True),  # from the side, astride
        ({"x": 0, "y": 1.9, "vx": 5.0, "kind": PEDESTRIAN}, 0, False, True),
        ({"x": 3.5, "y": 0, "vx": -3.0}, 0, False, False),  # the ego stands
        ({"x": 9.0, "y": 0}, 10, True, False),  # no hit at all
    ],
)
def test_whose_fault_it_is(other, speed, astride, fault):
    found = blamed(box(0, 0), jnp.float32(speed), seen(**other), jnp.array(astride))
    assert bool(found) == fault


def past(yaw, speed):
    """The last ten frames of a drive along x, the newest first."""
    zero = jnp.zeros(10, jnp.float32)
    speed, yaw = (jnp.asarray(x, jnp.float32)[::-1] for x in (speed, yaw))
    return Motion(zero, zero, yaw, speed, speed * jnp.cos(yaw), speed * jnp.sin(yaw))


TIMES = np.arange(10) * 0.1


@pytest.mark.parametrize(
    ("speed", "yaw", "beyond"),
    [
        (10 + 0 * TIMES, 0 * TIMES, set()),
        (10 + 2.3 * TIMES, 0 * TIMES, set()),
        (10 + 2.5 * TIMES, 0 * TIMES, {1}),
        (10 - 4.2 * TIMES, 0 * TIMES, {1}),
        (10 + 0 * TIMES, 0.21 * TIMES, {0}),  # 2.1 m/s2 to the side
        (1 + 0 * TIMES, TIMES, {3}),  # 1 rad/s
        (1 + 0 * TIMES, 1.2 * TIMES**2, {3, 4}),  # 2.4 rad/s2
    ],
)
def test_what_is_not_comfortable(speed, yaw, beyond):
    excess = comfort.excesses(past(yaw, speed), comfort.LIMITS["vmax"])
    assert {i for i, x in enumerate(excess) if x > 0} - {2} == beyond
    assert (comfort.soft(excess) < 1) == bool((excess > 0).any())


def test_soft_comfort_has_the_terms_that_have_limits():
    assert comfort.soft(jnp.full(5, 50.0)) < 1e-6
    worst = np.exp(-1.0)
    weights = np.exp(-np.array([worst, 1, 1, 1, 1]))
    by_hand = (weights * [worst, 1, 1, 1, 1]).sum() / weights.sum()
    soft = comfort.soft(jnp.array([1.0, 0, 0, 0, 0]))
    np.testing.assert_allclose(soft, by_hand, rtol=1e-5)
    terms = {
        name: len(comfort.excesses(past(0 * TIMES, 10 + 0 * TIMES), limits))
        for name, limits in comfort.LIMITS.items()
    }
    assert terms == {"vmax": 5, "nuplan": 6}


def test_derivatives_of_polynomials_are_exact():
    x = jnp.asarray(3 + 2 * TIMES + 1.5 * TIMES**2, jnp.float32)
    np.testing.assert_allclose(comfort.derivative(comfort.FIRST, x), 2 + 3 * TIMES[2:-2], rtol=1e-4)
    np.testing.assert_allclose(comfort.derivative(comfort.SECOND, x), 3, rtol=1e-3)


def test_a_turn_over_half_a_circle_is_no_jump():
    yaw = (3.0 + 0.5 * TIMES + np.pi) % (2 * np.pi) - np.pi
    excess = comfort.excesses(past(yaw, 1 + 0 * TIMES), comfort.LIMITS["vmax"])
    assert (excess <= 0).all()


few = jax.jit(rows._nearest_few_by_bits, static_argnums=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 128))
def test_the_nearest_few_are_those_of_a_sort(seed, missing):
    x = np.random.default_rng(seed).integers(0, 400, 128).astype(np.float32) / 8
    x[:missing] = np.inf
    found = np.asarray(few(jnp.asarray(x), 24))
    np.testing.assert_array_equal(x[found], np.sort(x)[:24])
    assert len(set(found.tolist())) == 24


@pytest.mark.parametrize("n", [7, 20, 81, 128, 320, 2560])
def test_the_nearest_of_a_row_is_a_smallest(n):
    x = np.random.default_rng(n).integers(0, n // 2, (3, n)).astype(np.float32)
    value, place = rows.smallest_entry(jnp.asarray(x))
    np.testing.assert_array_equal(value, x.min(-1))
    np.testing.assert_array_equal(
        np.take_along_axis(x, np.asarray(place)[:, None], -1)[:, 0], value
    )


def test_unions_and_totals_are_those_of_the_whole_row():
    x = np.random.default_rng(0).integers(0, 64, (2, 640)).astype(np.int32)
    np.testing.assert_array_equal(rows.row_union(jnp.asarray(x)), np.bitwise_or.reduce(x, -1))
    np.testing.assert_array_equal(rows.row_total(jnp.asarray(x)), x.sum(-1))


def test_bumpers_are_looked_for_from_the_rear_axle():
    ahead, left = collisions.from_rear_axle(box(0, 0), seen(2.0, 1.0))
    assert (float(ahead[0]), float(left[0])) == pytest.approx((3.6, 1.0))
