"""Scenes of the generator: what they are, that they repeat, and that they can be driven."""

from functools import cache

import numpy as np
import pytest

from vibe_rl.env.driving.generate import GENERATED, Knobs, generate
from vibe_rl.env.driving.generate.making import WantedScene
from vibe_rl.env.driving.scenarios.codes import FAMILIES, LANES, PEDESTRIAN, RED
from vibe_rl.env.driving.scenarios.scenario import (
    EGO,
    FIRST_FRAME,
    Dims,
    dims_of,
    dtype_of,
    shape_of,
)
from vibe_rl.errors import ConfigError

COUNT = 24


@cache
def scenes():
    return list(generate(5, COUNT))


def test_families_take_turns_and_groups_name_them():
    groups = [group for group, _ in scenes()]
    assert len(set(groups)) == COUNT
    assert [group.split("/")[0] for group in groups[:4]] == list(GENERATED)
    for group, scene in scenes():
        assert group.split("/")[:2] == [FAMILIES[int(scene.family)], "5"]


def test_every_array_has_its_shape_and_type():
    for _, scene in scenes():
        assert dims_of(scene) == Dims()
        for field, array in zip(scene._fields, scene, strict=True):
            assert np.shape(array) == shape_of(field, Dims()), field
            assert array.dtype == dtype_of(field), field


def test_a_scene_is_the_same_whatever_is_made_beside_it():
    alone = list(generate(5, 3, families=("roundabout",)))
    beside = [pair for pair in scenes() if pair[0].startswith("roundabout")][:3]
    for (group, scene), (other_group, other) in zip(alone, beside, strict=True):
        assert group == other_group
        for field, a, b in zip(scene._fields, scene, other, strict=True):
            np.testing.assert_array_equal(a, b, field)


def test_another_seed_makes_another_scene():
    other = next(generate(6, 1))[1]
    assert not np.array_equal(other.map_xy, scenes()[0][1].map_xy)


def test_no_two_scenes_of_any_seeds_have_one_number():
    each = [(seed, i) for seed in (0, 1, 2, 8191) for i in (*range(100), 65_535)]
    uids = {WantedScene(seed, family, i).uid() for family in GENERATED for seed, i in each}
    assert len(uids) == len(GENERATED) * len(each)
    assert max(uids) < 2**32


def test_the_ego_drives_its_path_on_the_road():
    for _, scene in scenes():
        log = scene.log_xy[EGO]
        path = scene.path_xy[0, scene.path_valid[0]]
        lanes = scene.map_xy[scene.map_valid & np.isin(scene.map_type, LANES)]
        assert scene.log_valid[EGO].all()
        for points, least in ((path, 0.6), (lanes, 0.8)):
            distances = np.hypot(*(log[:, None] - points[None]).transpose(2, 0, 1))
            assert distances.min(1).max() < least
        driven = np.hypot(*np.diff(log[FIRST_FRAME:], axis=0).T).sum()
        assert driven > 9.5


def test_speeds_of_logs_are_those_of_their_positions():
    for _, scene in scenes():
        speed = np.hypot(*scene.log_vel[scene.log_valid.all(1)].transpose(2, 0, 1))
        moved = np.hypot(*np.diff(scene.log_xy[scene.log_valid.all(1)], axis=1).transpose(2, 0, 1))
        np.testing.assert_allclose(moved, (speed[:, 1:] + speed[:, :-1]) / 20, atol=0.05)


def test_the_ego_does_not_pass_a_red_light():
    for _, scene in scenes():
        light = scene.route_light[scene.agent_route[EGO]]
        if light < 0:
            continue
        line = scene.light_xy[light]
        behind = scene.route_stop_s[0] - scene.size[EGO, 0] / 2
        s = np.argmin(
            np.hypot(*(scene.log_xy[EGO][:, None] - scene.route_xy[0]).transpose(2, 0, 1)), 1
        )
        crosses = np.argmax(s > behind)
        assert np.hypot(*(line - scene.route_xy[0, round(float(scene.route_stop_s[0]))])) < 1
        assert crosses == 0 or scene.light_state[light, max(crosses - 2, 0)] != RED


def test_knobs_change_what_they_name():
    knobs = Knobs(fewest_agents=2, most_agents=2, reactive_fraction=0.0, truck_share=1.0)
    _, scene = next(generate(1, 1, ("merge",), knobs))
    assert scene.log_valid.any(1).sum() == 3
    assert not scene.reactive.any()
    assert scene.size[:3, 0].min() >= 7


def test_people_cross_the_road_at_a_constant_speed():
    knobs = Knobs(pedestrian_rate=1.0, most_agents=8)
    _, scene = next(generate(1, 1, ("intersection",), knobs))
    walks = scene.obj_type == PEDESTRIAN
    assert 1 <= walks.sum() <= 3
    assert (scene.agent_route[walks] == -1).all()
    steps = np.diff(scene.log_xy[walks], axis=1)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:, :1], steps.shape), atol=1e-4)
    np.testing.assert_allclose(scene.log_vel[walks][:, 1:] * 0.1, steps, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Knobs(yellow=0.1), "knobs.yellow 0.1"),
        (lambda: Knobs(fewest_agents=9, most_agents=3), "fewest_agents 9"),
        (lambda: generate(0, 1, ("motorway",)), "unknown family 'motorway'"),
        (lambda: generate(0, 1, ()), "families"),
        (lambda: generate(-1, 1), "seed -1"),
        (lambda: next(generate(0, 1, ("merge",), Knobs(merge=0.0))), "shares"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        wrong()
