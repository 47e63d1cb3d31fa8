"""What a step of the registered game draws has the law of the rules, whichever way it is drawn.

Each law is held against a wrong one too, from which the same draws must differ.
"""

from collections import Counter
from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import jax
import numpy as np
import pytest
from agreement import full, game_of
from laws import NEVER, Law, assert_law, cell, in_chunks, p_value, tallied, uniform
from worked_examples import WAIT, action_of, at, data, enemy, given

from vibe_rl.env import make
from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.compact.bitboard import CORNER_CELLS
from vibe_rl.env.hackmatrix.reference import game as reference
from vibe_rl.env.hackmatrix.reference.board import PLACES
from vibe_rl.env.hackmatrix.reference.line_protocol.fixture import load_state
from vibe_rl.env.hackmatrix.reference.spawning import eligible_places, empty_places
from vibe_rl.env.hackmatrix.reference.state import State, Transmission
from vibe_rl.env.hackmatrix.state import DATA, PROGRAM


@pytest.fixture(scope="module")
def played():
    """Steps of the registered game from a state: its state and action -> games `[N]`."""
    env, params = make("HackMatrix-v0")

    @jax.jit
    def steps(keys, game, action):
        step = lambda key: env.step(key, full(game, np.int32(0)), action, params)  # noqa: E731
        return jax.vmap(step)(keys).state.game._replace(history=None)

    def play(state: State, action: int) -> Any:
        return in_chunks(lambda keys: steps(keys, game_of(state), np.int32(action)))

    return play


def set_state(row: int, col: int, owned: tuple[int, ...] = (), **more: Any) -> State:
    return load_state(given(row, col, owned, credits=9, energy=9, **more), 1)


def test_warp_goes_to_each_enemy_and_transmission_alike(played):
    targets = [(0, 2), (4, 1), (2, 2), (5, 0)]
    more = {"enemies": [enemy("virus", *targets[0]), enemy("glitch", *targets[1])]}
    eggs = [at(*place, turnsRemaining=5, enemyType="virus") for place in targets[2:]]
    state = set_state(3, 3, (rules.WARP,), **more, transmissions=eggs)
    found = tallied(played(state, action_of(rules.WARP)).player.cell)
    right = uniform((cell(place),) for place in targets)
    assert_law(found, right, right | {(cell(targets[0]),): 1.05})


def test_poly_makes_each_other_kind_alike_each_time_anew(played):
    kinds = ("virus", "glitch", "cryptog")
    state = set_state(3, 3, (rules.POLY,), enemies=[enemy(k, 0, i) for i, k in enumerate(kinds)])
    found = tallied(played(state, action_of(rules.POLY)).enemies.kind[:, : len(kinds)])
    own = [each.type for each in state.enemies]
    others = [[k for k in range(4) if k != mine] for mine in own]
    right = uniform(product(*others))
    alike = {kinds: 1.1 if kinds[0] == kinds[1] else 1.0 for kinds in right}
    assert_law(found, right, alike)
    assert p_value(found, uniform(product(range(4), repeat=3))) < NEVER


def spawns(state: State, n: int, eligible: Callable[[State], list]) -> Law:
    """Where and as what `n` transmissions may appear, one after another."""
    law: Law = {}
    if not n:
        return {(): 1.0}
    places = eligible(state)
    for place, kind in product(places, range(len(rules.ENEMIES))):
        state.transmissions.append(Transmission(*place, 1, kind))
        for rest, p in spawns(state, n - 1, eligible).items():
            law[cell(place), kind, *rest] = p / len(places)
        state.transmissions.pop()
    return law


CRAMPED = [data(row, col) for row, col in PLACES if (row + col) % 3 == 0 or row > 3]
"""Blocks that leave little room."""


@pytest.mark.parametrize("scheduled", [False, True])
def test_transmissions_of_a_turn_appear_on_each_cell_out_of_sight_alike(played, scheduled):
    state = set_state(0, 1, (rules.WAIT,), blocks=CRAMPED)
    state.pending, state.next_spawn_turn = 2 - scheduled, 1 if scheduled else 9
    eggs = played(state, WAIT).transmissions
    found = tallied(eggs.cell[:, 0], eggs.kind[:, 0], eggs.cell[:, 1], eggs.kind[:, 1])
    assert (eggs.from_schedule[:, :2] == [scheduled, False]).all()
    right = spawns(state, 2, eligible_places)
    alike = {each: p * (1.2 if each[1] == each[3] else 1) for each, p in right.items()}
    assert_law(found, right, alike)
    assert p_value(found, spawns(state, 2, empty_places)) < NEVER


RACE = [enemy("virus", 0, 5), enemy("daemon", 1, 4), enemy("cryptog", 2, 5), enemy("virus", 3, 4)]
"""Enemies in each other's way."""


def ends_of_orders() -> dict[tuple[Any, Any], tuple[int, ...]]:
    """Where the enemies end, by the orders of both sub-steps; in the second only viruses act."""
    ends, second = {}, [(0, 1, 2, 3), (3, 2, 1, 0)]
    for orders in product(permutations(range(len(RACE))), second):
        after = load_state(given(0, 0, (rules.WAIT,), energy=9, enemies=RACE))
        reference.step(after, WAIT, lambda slot, orders=orders: orders[slot[2]][slot[3]])
        ends[orders] = tuple(cell(each.place) for each in after.enemies)
    return ends


def test_enemies_act_in_each_order_alike_in_each_sub_step(played):
    state = set_state(0, 0, (rules.WAIT,), enemies=RACE)
    found = tallied(played(state, WAIT).enemies.cell[:, : len(RACE)])
    ends, right, older_first = ends_of_orders(), Counter(), Counter()
    for (first, second), where in ends.items():
        right[where] += 1
        older_first[where] += 1 + 0.1 * ((first[0] < first[1]) + (second[0] < second[3]))
    assert len(right) > len(RACE)
    assert_law(found, right, older_first)


@pytest.fixture(scope="module")
def entered(played):
    """The second stage, entered by the last corner."""
    return played(set_state(5, 4), rules.RIGHT)


def of_two_blocks(board: Any, *names: str) -> list[np.ndarray]:
    """What is known of the first two blocks, `[N, 2]` each."""
    cells = np.argsort(board.content < DATA, axis=1, kind="stable")[:, :2]
    return [np.take_along_axis(getattr(board, name), cells, 1) for name in names]


def test_a_stage_has_each_exit_and_number_of_blocks_alike(entered):
    found = tallied(entered.exit, (entered.board.content >= DATA).sum(1))
    counts = range(rules.FEWEST_BLOCKS, rules.MOST_BLOCKS + 1)
    right = uniform(product([cell(corner) for corner in rules.CORNERS[:3]], counts))
    assert_law(found, right, right | {(0, 5): 1.3})


def test_resources_are_as_many_as_the_rules_say(entered):
    """On the player's corner and, where it has no exit, on the first."""
    here = entered.exit != 0
    credits, energy = (getattr(entered.board, name)[here] for name in ("credits", "energy"))
    found = tallied(credits[:, 35], energy[:, 35], credits[:, 0], energy[:, 0])
    low, high = rules.AMOUNTS
    amounts = {1: low, 2: high - low, 3: rules.DRAWS - high}
    one = {pair: p for n, p in amounts.items() for pair in ((n, 0), (0, n))}
    right = {(*a, *b): float(p * q) for (a, p), (b, q) in product(one.items(), repeat=2)}
    alike = {each: p * (1.1 if each[:2] == each[2:] else 1) for each, p in right.items()}
    assert_law(found, right, alike)


def test_the_first_transmissions_of_a_stage_are_of_each_kind_alike(entered):
    found = tallied(entered.transmissions.kind[:, :2])
    right = uniform(product(range(len(rules.ENEMIES)), repeat=2))
    assert_law(found, right, right | {(0, 0): 1.3})


def test_half_of_the_blocks_hold_data_and_a_tenth_hide_it(entered):
    found = tallied(*of_two_blocks(entered.board, "content", "hidden"))
    hides = {1: rules.HIDDEN / rules.DRAWS, 0: 1 - rules.HIDDEN / rules.DRAWS}
    right = {
        (*kinds, *each): hides[each[0]] * hides[each[1]]
        for kinds, each in product(product((DATA, PROGRAM), repeat=2), product((0, 1), repeat=2))
    }
    alike = {each: p * (1.1 if each[0] == each[1] else 1) for each, p in right.items()}
    assert_law(found, right, alike)


def test_points_and_programs_of_blocks_are_each_alike_and_programs_distinct(entered):
    content, value = of_two_blocks(entered.board, "content", "value")
    points = tallied(value[(content == DATA).all(1)])
    right = uniform(product(range(1, rules.MOST_POINTS + 1), repeat=2))
    assert_law(points, right, right | {(1, 1): 1.8})
    programs = tallied(value[(content == PROGRAM).all(1)])
    pairs = uniform(permutations(range(rules.N_PROGRAMS), 2))
    assert_law(programs, pairs, uniform(product(range(rules.N_PROGRAMS), repeat=2)))


def test_a_game_begins_on_each_corner_with_each_bonus_alike():
    env, params = make("HackMatrix-v0")
    begin = jax.jit(jax.vmap(lambda key: env.reset(key, params)[1].game._replace(history=None)))
    player = in_chunks(begin).player
    found = tallied(player.cell, player.credits, player.energy, player.data_siphons)
    bonuses = [(10, 0, 0), (0, 11, 0), (0, 0, 1)]
    right = uniform((corner, *bonus) for corner, bonus in product(CORNER_CELLS, bonuses))
    assert_law(found, right, right | {(0, *bonuses[0]): 1.1})
