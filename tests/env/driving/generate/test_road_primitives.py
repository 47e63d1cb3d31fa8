"""Curves, paces, edges and conflicts of the generated roads."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial import KDTree

from vibe_rl.env.driving.generate import GENERATED, curves, signals
from vibe_rl.env.driving.generate.conflicts import conflicts_of
from vibe_rl.env.driving.generate.edges import road_edges
from vibe_rl.env.driving.generate.families import TABLE
from vibe_rl.env.driving.generate.network import WIDTH, paces, route_of
from vibe_rl.env.driving.scenarios.codes import GREEN, RED, YELLOW


def network_of(family: str, seed: int = 0):
    return TABLE[family].build(np.random.default_rng([seed, 5]), 1.0)


def test_an_arc_has_its_length_and_stays_at_its_radius():
    xy = curves.arc(np.zeros(2), 0.0, -50.0, 40.0)
    assert curves.lengths_along(xy)[-1] == pytest.approx(40, abs=0.01)
    np.testing.assert_allclose(np.hypot(*(xy - [0, -50]).T), 50)
    assert xy[-1, 1] < 0  # a negative radius turns to the right


def test_a_bezier_curve_begins_and_ends_with_its_headings():
    xy = curves.bezier(np.zeros(2), 0.0, np.array([20.0, 15.0]), np.pi / 2)
    np.testing.assert_allclose(xy[[0, -1]], [[0, 0], [20, 15]], atol=1e-9)
    ends = np.arctan2(*np.diff(xy, axis=0)[[0, -1]].T[::-1])
    np.testing.assert_allclose(ends, [0, np.pi / 2], atol=0.05)


def test_points_of_a_line_offset_to_the_left_lie_there():
    xy = curves.straight(np.zeros(2), 0.0, 10.0)
    np.testing.assert_allclose(curves.offset(xy, 2.0), xy + np.array([0, 2]))


def test_one_slows_down_in_time_for_a_bend():
    yaw = np.concatenate([np.zeros(60), np.arange(20) / 10, np.full(20, 1.9)])  # a radius of 10 m
    pace = paces(yaw, np.full(100, 15.0))
    assert pace[70] == pytest.approx(np.sqrt(2.0 * 10))
    assert pace[0] == pytest.approx(np.sqrt(20 + 3 * 60), abs=0.7)  # v0^2 = v^2 + 2 * 1.5 * s
    assert np.all(pace[:-1] ** 2 <= pace[1:] ** 2 + 3.0 + 1e-9)


@pytest.mark.parametrize("family", GENERATED)
def test_routes_are_lanes_that_follow_each_other_in_steps_of_a_metre(family):
    network = network_of(family)
    for lanes in network.routes:
        ends = [network.lanes[i].xy for i in lanes]
        for before, after in pairwise(ends):
            np.testing.assert_allclose(before[-1], after[0], atol=1e-6)
        route = route_of(network, lanes)
        steps = np.hypot(*np.diff(route.xy, axis=0).T)
        assert steps.min() > 0.97
        assert steps.max() < 1.0001
        assert np.abs(np.diff(route.yaw)).max() < 0.35


@pytest.mark.parametrize("family", GENERATED)
def test_the_road_lies_left_of_its_edges_away_from_mouths(family):
    network, rng = network_of(family), np.random.default_rng(1)
    lanes = np.concatenate([lane.xy for lane in network.lanes])
    edges = road_edges(network)
    xy, ahead = (np.concatenate([getattr(e, f) for e in edges]) for f in ("xy", "direction"))
    points = lanes[rng.integers(len(lanes), size=4000)] + rng.uniform(-4, 4, (4000, 2))
    to_lane = KDTree(lanes).query(points)[0]
    to_edge, nearest = KDTree(xy).query(points)
    clear = (np.abs(to_lane - WIDTH / 2) > 0.25) & (to_edge < 1.5)
    offset = points - xy[nearest]
    left = ahead[nearest, 0] * offset[:, 1] - ahead[nearest, 1] * offset[:, 0] > 0
    assert clear.sum() > 300
    assert np.mean((left == (to_lane < WIDTH / 2))[clear]) > 0.98


@pytest.mark.parametrize("family", ["merge", "intersection", "roundabout"])
def test_conflicts_are_the_first_places_where_ways_come_near(family):
    network = network_of(family)
    routes = [route_of(network, lanes) for lanes in network.routes]
    found = conflicts_of(network, routes)
    assert found.must_yield.any()
    assert not (found.must_yield & found.must_yield.T).any()
    for a, first in enumerate(routes[:4]):
        for b, second in enumerate(routes):
            near = KDTree(second.xy).query(first.xy)[0] < 2.4
            if first.lanes[0] == second.lanes[0] or not near.any():
                assert np.isinf(found.s[a, b])
            else:
                assert found.s[a, b] == pytest.approx(np.argmax(near), abs=1.5)


def test_who_enters_a_roundabout_lets_those_on_it_pass():
    network = network_of("roundabout")
    routes = [route_of(network, lanes) for lanes in network.routes]
    passes = {lanes: set(lanes) for lanes in network.routes}
    yields = conflicts_of(network, routes).must_yield
    for _, b in np.argwhere(yields):
        circle = set(range(16, 24))  # arcs across arms and between them
        assert passes[routes[b].lanes] & circle


def test_lights_of_the_two_roads_are_never_both_open():
    plan = signals.signal_plan_of(np.random.default_rng(0), 3.0, None)
    first, second = (signals.states(plan, phase, 600) for phase in (0, 1))
    assert not ((first != RED) & (second != RED)).any()
    assert {GREEN, YELLOW, RED} <= set(first)
    runs = np.diff(np.flatnonzero(np.diff(first == YELLOW)))
    assert 30 in runs  # 3 s


@pytest.mark.parametrize("phase", [0, 1])
def test_a_light_is_red_when_the_ego_arrives_where_that_is_asked_for(phase):
    for seed in range(20):
        plan = signals.signal_plan_of(np.random.default_rng(seed), 3.0, (phase, 4.0))
        assert signals.states(plan, phase, 91)[40] == RED
