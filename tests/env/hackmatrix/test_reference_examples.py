"""The reference plays every worked example of the rules."""

from random import Random

import pytest
from worked_examples import DISTANCES, EXAMPLES, FACTS, MASKS, SIPHONING, WAIT, at, given

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference import game
from vibe_rl.env.hackmatrix.reference.chance import random_chance
from vibe_rl.env.hackmatrix.reference.line_protocol.fixture import load_state
from vibe_rl.env.hackmatrix.reference.paths import path_distance
from vibe_rl.env.hackmatrix.reference.spawning import in_line_of_fire
from vibe_rl.env.hackmatrix.reference.state import Content


def played(example, seed=0, **options):
    state, chance = load_state(example.given), random_chance(Random(seed))
    return state, [game.step(state, action, chance, **options) for action in example.actions]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_example_comes_out_as_the_rules_say(example, seed):
    state, outcomes = played(example, seed)
    for outcome, parts, reward in zip(outcomes, example.parts, example.rewards, strict=True):
        assert outcome.parts == pytest.approx(dict.fromkeys(rules.PARTS, 0.0) | parts)
        assert outcome.reward == pytest.approx(reward)
    assert {name: FACTS[name](state) for name in example.facts} == example.facts
    assert [outcome.done for outcome in outcomes[:-1]] == [False] * (len(outcomes) - 1)
    assert outcomes[-1].done == example.done


@pytest.mark.parametrize(("name", "state", "legal"), MASKS, ids=[mask[0] for mask in MASKS])
def test_a_mask_comes_out_as_the_rules_say(name, state, legal):
    assert game.legal(load_state(state)) == legal


@pytest.mark.parametrize(
    ("name", "blocks", "start", "goal", "steps"), DISTANCES, ids=[each[0] for each in DISTANCES]
)
def test_a_distance_comes_out_as_the_rules_say(name, blocks, start, goal, steps):
    state = load_state(given(0, 0))
    for place in blocks:
        state.at(place).content = Content.DATA
    assert path_distance(state, start, goal) == steps


def test_signed_shaping_takes_back_what_moving_away_costs():
    away = next(example for example in EXAMPLES if example.name == "moving away")
    _, (outcome,) = played(away, shaping="signed")
    assert outcome.parts["distance_shaping"] == pytest.approx(-0.05)


def test_siphoned_data_releases_transmissions_out_of_the_line_of_fire():
    state, _ = played(SIPHONING[0])
    assert not any(in_line_of_fire(state, each.place) for each in state.transmissions)


def test_a_hatched_enemy_acts_a_turn_later():
    trace = next(example for example in EXAMPLES if example.name.startswith("what a siphon"))
    state, chance = load_state(trace.given), random_chance(Random(0))
    places = []
    for action in (*trace.actions, WAIT):
        game.step(state, action, chance)
        places.append([each.place for each in [*state.enemies, *state.transmissions]])
    assert places[0] == places[1] != places[2]


def test_an_illegal_action_changes_nothing():
    state = load_state(given(0, 0))
    outcome = game.step(state, rules.DOWN, random_chance(Random(0)))
    assert state == load_state(given(0, 0))
    assert outcome.invalid
    assert not outcome.died


def test_a_fresh_state_differs_from_one_with_a_resource():
    assert load_state(given(0, 0)) != load_state(given(0, 0, resources=[at(1, 1, credits=1)]))
