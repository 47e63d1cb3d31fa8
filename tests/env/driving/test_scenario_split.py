"""Groups are held out by a hash of their names, so that adding scenarios moves none."""

import hashlib

import pytest

from vibe_rl.env.driving.io.split import (
    Members,
    SplitRule,
    at_most,
    check_disjoint,
    is_held_out,
    members_of_split,
)
from vibe_rl.errors import ConfigError

GROUPS = [f"highway/{i}" for i in range(2000)]


def test_a_group_is_held_out_by_the_published_formula():
    for group in GROUPS[:50]:
        bucket = int(hashlib.sha256(f"salt:{group}".encode()).hexdigest()[:8], 16) % 10000
        assert is_held_out(group, SplitRule("salt", 0.25)) == (bucket < 2500)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
def test_about_the_fraction_is_held_out(fraction):
    held_out = members_of_split(range(2000), GROUPS, SplitRule("s", fraction), "valid")
    assert len(held_out.ids) == pytest.approx(2000 * fraction, abs=70)


def test_adding_scenarios_moves_none():
    few = members_of_split(range(100), GROUPS[:100], SplitRule(), "valid")
    many = members_of_split(range(2000), GROUPS, SplitRule(), "valid")
    assert many.groups[: len(few.groups)] == few.groups


def test_windows_of_one_scene_stay_together():
    groups = [f"scene/{i // 4}" for i in range(400)]
    train, valid = (
        members_of_split(range(400), groups, SplitRule("s", 0.5), s) for s in ("train", "valid")
    )
    check_disjoint(train, valid)
    assert len(train.ids) % 4 == len(valid.ids) % 4 == 0
    assert len(train.ids) + len(valid.ids) == 400


def test_a_scenario_or_group_on_both_sides_is_named():
    train = members_of_split([1, 2], ["a", "b"], SplitRule(), "all")
    with pytest.raises(ConfigError, match=r"the scenario 2 \(and 0 more\)"):
        check_disjoint(train, Members(train.places, [2, 3], ["c", "d"]))
    with pytest.raises(ConfigError, match=r"the group a \(and 1 more\)"):
        check_disjoint(train, Members(train.places, [3, 4], ["a", "b"]))


def test_a_limited_draw_is_contained_in_a_larger_one_and_covers_regular_families():
    everything = members_of_split(range(2000), GROUPS, SplitRule(), "all")
    few, more = at_most(everything, 100, SplitRule()), at_most(everything, 300, SplitRule())
    assert len(few.ids) == 100
    assert {*few.ids} < {*more.ids}
    families = [sum(i % 4 == family for i in few.ids) for family in range(4)]
    assert min(families) > 10  # a stride of 20 would take one of four families only
    assert at_most(everything, 3000, SplitRule()) is everything
