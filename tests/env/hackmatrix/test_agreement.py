"""The game in JAX does what the reference does: worked examples, and random games with counts."""

from typing import Any

import jax
import numpy as np
import pytest
from agreement import game_of, random_numbers, side_by_side, stack, state_of, unstack
from duel import Duel
from rules_met import MUST_BE_MET, Met
from worked_examples import DISTANCES, EXAMPLES, FACTS, MASKS, Example, data, given

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.chance import STEP
from vibe_rl.env.hackmatrix.reference.line_protocol.fixture import load_state
from vibe_rl.env.hackmatrix.reference.state import Content
from vibe_rl.env.hackmatrix.reward import path_length

N, ROUNDS, FEW_ROUNDS = 64, 110, 15


@pytest.fixture(scope="module")
def both():
    """The game as published, with three turns to take back."""
    return side_by_side(N)


@pytest.fixture(scope="module")
def other():
    """The game with the signed shaping and a single turn to take back."""
    return side_by_side(N, undo_depth=1, shaping="signed")


def filled(trees: list[Any]) -> Any:
    """As many side by side as one program takes."""
    return stack([*trees, *trees[:1] * (N - len(trees))])


def advanced(both, games, actions, seed=0):
    """A step of games that are given side by side."""
    numbers = random_numbers(np.random.default_rng(seed), STEP, N)
    actions = filled([np.int32(action) for action in actions])
    return both.advance(numbers, games, actions, np.zeros(N, np.int32))


def all_played(both, seed=0) -> list[tuple[Example, list[Any]]]:
    """Every example with its steps."""
    games = filled([game_of(load_state(each.given, both.env.undo_depth)) for each in EXAMPLES])
    steps, most = [], max(len(each.actions) for each in EXAMPLES)
    for i in range(most):
        out = advanced(both, games, [(*each.actions, 0, 0)[i] for each in EXAMPLES], seed + i)
        games = out.state.game
        steps.append(unstack(out, N))
    taken = [[every[i] for every in steps[: len(e.actions)]] for i, e in enumerate(EXAMPLES)]
    return list(zip(EXAMPLES, taken, strict=True))


def assert_comes_out(example, steps, **other_parts):
    for step, parts, reward in zip(steps, example.parts, example.rewards, strict=True):
        expected = dict.fromkeys(rules.PARTS, 0.0) | parts | other_parts
        paid = {name: float(step.info["metrics"][name]) for name in rules.PARTS}
        assert paid == pytest.approx(expected, abs=1e-5), example.name
        more = sum(other_parts.values())
        assert step.reward == pytest.approx(reward + more, rel=1e-6, abs=1e-5), example.name
    state = state_of(steps[-1].state.game)
    facts = {name: FACTS[name](state) for name in example.facts}
    assert facts == example.facts, example.name
    ends = [bool(step.terminated) for step in steps]
    assert ends == [False] * (len(steps) - 1) + [example.done], example.name


@pytest.mark.parametrize("seed", [0, 10])
def test_every_example_comes_out_as_the_rules_say(both, seed):
    for example, steps in all_played(both, seed):
        assert_comes_out(example, steps)


def test_signed_shaping_pays_the_same_but_for_moving_away(other):
    for example, steps in all_played(other):
        away = {"distance_shaping": -0.05} if example.name == "moving away" else {}
        assert_comes_out(example, steps, **away)


def test_every_mask_comes_out_as_the_rules_say(both):
    """After an illegal action, which changes nothing."""
    games = filled([game_of(load_state(state)) for _, state, _ in MASKS])
    out = advanced(both, games, [rules.FIRST_PROGRAM] * len(MASKS))
    assert out.info["invalid"].all()
    for step, (name, _, legal) in zip(unstack(out, N), MASKS, strict=False):
        assert np.flatnonzero(step.obs.legal).tolist() == legal, name


def test_what_is_no_action_is_illegal_and_counts_from_no_end(both):
    """Where all moves, and the last program, are legal."""
    state = given(
        2, 2, owned=(rules.HACK,), credits=9, energy=9, blocks=[data(0, 0, siphoned=True)]
    )
    games = filled([game_of(load_state(state))] * 6)
    out = advanced(both, games, [-1, -28, 28, 29, 2**31 - 1, rules.N_ACTIONS - 1])
    assert out.info["invalid"][:6].tolist() == [True] * 5 + [False]
    assert out.terminated[:6].tolist() == [True] * 5 + [False]
    assert not out.reward[:5].any()


def test_every_distance_comes_out_as_the_rules_say():
    games = []
    for _, blocks, start, goal, _ in DISTANCES:
        state = load_state(given(*start))
        state.exit_pos = goal
        for place in blocks:
            state.at(place).content = Content.DATA
        games.append(game_of(state))
    found = jax.jit(jax.vmap(path_length))(stack(games))
    assert found.tolist() == [steps for *_, steps in DISTANCES]


def test_random_games_go_the_same_way_in_both_engines_and_meet_every_rule(both):
    met = Met()
    duel = Duel(both, 0, met)
    duel.play(ROUNDS)
    assert not sorted(MUST_BE_MET - set(met.counts))
    assert duel.set_steps == N * ROUNDS // 2


def test_they_do_so_with_signed_shaping_and_a_single_turn_to_take_back(other):
    met = Met()
    Duel(other, 1, met).play(FEW_ROUNDS)
    assert met.counts["UNDO: 1 turns kept"]
    assert not met.counts["UNDO: 2 turns kept"]


def test_a_difference_is_named_with_the_seed_and_the_step(both):
    duel = Duel(both, 5, Met())
    duel.play(1)
    duel.states[3].player.score += 1
    with pytest.raises(AssertionError, match=r"seed 5, round 1, game 3, .*player\.score \d+ is"):
        duel.play(1)
