"""Surprising rules that are kept on purpose, each pinned, and the rulings that bound the game."""

from random import Random

import pytest
from worked_examples import action_of, at, data, enemy, given, transmission

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference import game
from vibe_rl.env.hackmatrix.reference.chance import random_chance
from vibe_rl.env.hackmatrix.reference.line_protocol.fixture import load_state
from vibe_rl.env.hackmatrix.reference.paths import next_place
from vibe_rl.env.hackmatrix.reference.siphon import siphon_quality
from vibe_rl.env.hackmatrix.reference.stage import is_valid
from vibe_rl.env.hackmatrix.reference.state import Cell, Content, Enemy, Transmission

RICH = {"credits": 40, "energy": 40}
ALL = tuple(range(rules.N_PROGRAMS))


def rich(row, col, **more):
    return load_state(given(row, col, owned=ALL, **{**RICH, **more}))


def play(state, *actions, seed=0):
    """The outcome of the last of some legal actions; programs by their index are `action_of`."""
    chance, outcome = random_chance(Random(seed)), None
    for action in actions:
        assert action in game.legal(state)
        outcome = game.step(state, action, chance)
    return outcome


def run(state, *programs):
    return play(state, *map(action_of, programs))


def test_q1_attack_survives_a_stage_and_each_stage_allows_two_more():
    state = rich(5, 4)
    run(state, rules.ATK_PLUS, rules.ATK_PLUS)
    assert action_of(rules.ATK_PLUS) not in game.legal(state)
    play(state, rules.RIGHT)
    assert (state.stage, state.player.attack, state.atk_uses) == (2, 3, 0)
    run(state, rules.ATK_PLUS)
    assert state.player.attack == 4


def test_q2_empty_neighbours_are_siphoned_too_and_hack_hits_there():
    state = rich(2, 2, dataSiphons=2, enemies=[enemy("daemon", 5, 5)])
    play(state, rules.SIPHON)
    assert all(state.at(place).siphoned for place in [(2, 2), (3, 2), (1, 2), (2, 1), (2, 3)])
    state.at((3, 2)).credits = 3
    before = state.player.credits
    play(state, rules.SIPHON)
    assert state.player.credits == before
    state.enemies = [Enemy(rules.DAEMON, 1, 2, 3)]
    run(state, rules.HACK)
    assert state.enemies[0].hp == 2


def test_q3_shoving_stacks_and_goes_onto_blocks_and_transmissions():
    state = rich(
        0,
        0,
        enemies=[enemy("virus", 0, 4), enemy("daemon", 2, 0)],
        blocks=[data(0, 5)],
        transmissions=[transmission(3, 0, 5)],
    )
    run(state, rules.PUSH)
    assert [each.place for each in state.enemies] == [(0, 5), (3, 0)]
    assert state.at((0, 5)).is_block
    assert state.transmissions[0].place == (3, 0)


def test_q3_of_two_who_wish_for_a_cell_the_older_gets_it():
    state = rich(0, 0, enemies=[enemy("virus", 2, 2), enemy("daemon", 2, 1)])
    run(state, rules.PULL)
    assert [each.place for each in state.enemies] == [(1, 1), (1, 0)]
    state = rich(0, 3, enemies=[enemy("virus", 2, 2), enemy("daemon", 2, 3), enemy("glitch", 2, 4)])
    run(state, rules.PULL)
    assert [each.place for each in state.enemies] == [(1, 3), (2, 3), (2, 4)]


@pytest.mark.parametrize(
    ("exit_pos", "blocks", "valid"),
    [
        ((0, 0), set(), True),
        ((5, 5), {(4, 4)}, True),
        ((0, 0), {(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)}, True),
        ((0, 5), {(1, 1), (1, 2), (1, 3), (1, 4), (1, 0)}, False),
        ((5, 5), {(1, 1), (1, 2), (1, 3), (1, 4), (1, 0)}, True),
        ((5, 5), {(1, 0), (0, 1)}, False),
        ((5, 5), {(5, 4)}, True),
        ((5, 5), {(3, 3), (2, 3), (4, 3), (3, 2), (3, 4)}, False),
    ],
)
def test_q4_a_layout_is_connected_through_the_exit_only_if_it_is_the_first_corner(
    exit_pos, blocks, valid
):
    assert is_valid(blocks, exit_pos) == valid


@pytest.mark.parametrize("kind", range(4))
def test_q5_all_types_break_ties_in_the_order_of_directions(kind):
    state = load_state(given(0, 0))
    state.enemies = [Enemy(kind, 3, 3, 2)]
    assert next_place(state, state.enemies[0]) == (2, 3)
    state.player.go((5, 5))
    assert next_place(state, state.enemies[0]) == (4, 3)


def test_q6_an_enemy_that_is_blocked_shuffles_away():
    state = load_state(given(0, 0, blocks=[data(0, 1), data(1, 0)]))
    state.enemies = [Enemy(rules.DAEMON, 1, 1, 3)]
    assert next_place(state, state.enemies[0]) == (2, 1)


def test_an_enemy_goes_round_others_then_waits_behind_them_then_is_greedy():
    corridor = [data(1, col) for col in range(6)]
    state = load_state(given(0, 0, blocks=corridor))
    state.enemies = [Enemy(rules.DAEMON, 0, 1, 3), Enemy(rules.DAEMON, 0, 3, 3)]
    assert next_place(state, state.enemies[1]) == (0, 2)
    state.enemies.append(Enemy(rules.DAEMON, 0, 2, 3))
    assert next_place(state, state.enemies[1]) == (0, 4)
    state.transmissions = [Transmission(0, 4, 5, rules.VIRUS)]
    assert next_place(state, state.enemies[1]) == (0, 3)


def test_q7_and_q8_undo_restores_its_price_and_launders_origins():
    state = rich(0, 0, enemies=[enemy("daemon", 5, 5, isFromScheduledTask=True)])
    state.transmissions = [Transmission(5, 0, 9, rules.VIRUS, from_siphon=True)]
    run(state, rules.WAIT)
    assert state.enemies[0].from_schedule
    assert state.transmissions[0].from_siphon
    credits = state.player.credits
    run(state, rules.SHOW, rules.UNDO)
    assert (state.player.credits, state.show) == (credits, False)
    assert not state.enemies[0].from_schedule
    assert not state.transmissions[0].from_siphon
    state = load_state(given(0, 0, owned=(rules.UNDO,), credits=0))
    state.history = [None]
    assert action_of(rules.UNDO) not in game.legal(state)


def test_undo_takes_a_score_back_but_not_the_schedule():
    state = rich(2, 2, dataSiphons=1, blocks=[data(3, 2, 4)])
    play(state, rules.LEFT, rules.RIGHT, rules.SIPHON)
    interval, next_turn, turn = state.interval, state.next_spawn_turn, state.turn
    outcome = run(state, rules.UNDO)
    assert (state.player.score, outcome.reward) == (4, pytest.approx(-0.01))
    outcome = run(state, rules.UNDO)
    assert (state.player.score, outcome.parts["score_gain"]) == (0, -2.0)
    assert (state.interval, state.next_spawn_turn, state.turn) == (interval, next_turn, turn - 1)
    assert not state.at((3, 2)).siphoned


def test_q9_siphon_quality_peeks_into_hidden_blocks():
    state = load_state(given(2, 2, dataSiphons=1, resources=[at(2, 3, credits=2)]))
    assert siphon_quality(state) == 0
    state.cells[2][1] = Cell(Content.DATA, points=3, hidden=True, spawn=3)
    state.at((3, 1)).energy = 3
    assert siphon_quality(state) == 0
    state.at((2, 3)).credits = 0
    assert siphon_quality(state) == 3


def test_q10_a_program_that_is_owned_releases_its_transmissions_all_the_same():
    block = at(4, 3, type="program", programType="push", spawnCount=4)
    state = load_state(given(3, 3, owned=(rules.PUSH,), dataSiphons=1, blocks=[block]))
    play(state, rules.SIPHON)
    assert (len(state.transmissions), state.owned) == (4, {rules.PUSH})


def test_q11_step_skips_what_a_siphon_released_even_into_the_next_stage():
    state = rich(5, 4, dataSiphons=1, blocks=[data(4, 4, 3)])
    play(state, action_of(rules.STEP), rules.SIPHON)
    assert (state.pending, state.turn, state.transmissions) == (3, 0, [])
    play(state, rules.RIGHT)
    assert (state.stage, state.pending, len(state.transmissions)) == (2, 3, 2)
    run(state, rules.WAIT)
    assert (state.pending, sum(each.from_siphon for each in state.transmissions)) == (0, 3)


def test_q12_a_hit_every_turn_locks_an_enemy():
    state = rich(3, 3, enemies=[enemy("daemon", 4, 3)])
    play(state, rules.UP, rules.UP)
    assert (state.player.hp, state.enemies[0].hp) == (3, 1)


def test_q13_crash_and_warp_pay_one_kill_a_cell_by_the_oldest():
    stacked = [enemy("virus", 4, 3), enemy("virus", 4, 3, isFromScheduledTask=True)]
    assert run(rich(3, 3, enemies=stacked), rules.CRASH).kills == 1
    assert run(rich(3, 3, enemies=stacked[::-1]), rules.CRASH).kills == 0
    for order, kills in ((stacked, 1), (stacked[::-1], 0)):
        state = rich(0, 0, enemies=order)
        assert run(state, rules.WARP).kills == kills
        assert (state.enemies, state.player.place) == ([], (4, 3))
    state = rich(3, 3, enemies=stacked, transmissions=[transmission(4, 3, 2)])
    assert run(state, rules.CRASH).kills == 2


def test_q14_a_player_on_a_block_siphons_it_and_is_compared_as_if_it_yielded_nothing():
    state = load_state(
        given(2, 2, dataSiphons=1, blocks=[data(2, 2, 4)], resources=[at(5, 0, credits=2)])
    )
    state.enemies = [Enemy(rules.VIRUS, 2, 4, 2), Enemy(rules.GLITCH, 5, 2, 2)]
    assert siphon_quality(state) == 2
    assert next_place(state, state.enemies[0]) == (2, 3)
    state.at((2, 3)).content = Content.DATA
    assert next_place(state, state.enemies[0]) == (3, 4)
    play(state, rules.SIPHON)
    assert state.player.score == 4


def test_q15_the_step_to_the_exit_gives_no_enemy_a_turn():
    state = load_state(given(5, 4, hp=1, enemies=[enemy("virus", 4, 4), enemy("virus", 5, 3)]))
    outcome = play(state, rules.RIGHT)
    assert (outcome.died, state.player.hp, len(state.enemies)) == (False, 2, 2)


def test_q16_poly_keeps_the_damage_and_may_kill():
    state = rich(0, 0, enemies=[enemy("virus", 5, 5, 1), enemy("daemon", 5, 0, 1)])
    assert run(state, rules.POLY).kills == 1
    (left,) = state.enemies
    assert left.type != rules.VIRUS
    assert left.hp == rules.ENEMIES[left.type].max_hp - 1


def test_q17_a_siphon_death_asks_who_is_near_not_who_struck():
    struck = [enemy("virus", 4, 3), enemy("virus", 2, 3, spawnedFromSiphon=True, stunned=True)]
    outcome = run(rich(3, 3, hp=1, enemies=struck), rules.WAIT)
    assert outcome.died
    assert outcome.parts["siphon_death_penalty"] == -10
    far = [struck[0], enemy("virus", 0, 3, spawnedFromSiphon=True, stunned=True)]
    assert run(rich(3, 3, hp=1, enemies=far), rules.WAIT).parts["siphon_death_penalty"] == 0


@pytest.mark.parametrize(
    ("stage", "penalty"), list(enumerate([0, -0.5, -1.5, -3.5, -7.5, -15.5, -31.5, -63.5], 1))
)
def test_q18_a_death_costs_half_of_what_the_stages_before_paid(stage, penalty):
    state = rich(3, 3, hp=1, stage=stage, enemies=[enemy("virus", 4, 3)])
    assert run(state, rules.WAIT).parts["death_penalty"] == penalty


def test_history_is_bounded_and_ends_with_the_stage():
    state = rich(5, 0)
    play(state, *[rules.RIGHT] * 4)
    assert len(state.history) == state.undo_depth == 3
    play(state, rules.RIGHT)
    assert (state.stage, state.history) == (2, [])


def test_a_transmission_without_room_waits():
    state = rich(0, 0, enemies=[enemy("daemon", 5, 5, stunned=True)] * rules.MOST_ENEMIES)
    state.transmissions = [Transmission(3, 3, 1, rules.VIRUS)]
    run(state, rules.WAIT)
    assert (len(state.enemies), state.transmissions[0].timer) == (rules.MOST_ENEMIES, 1)


def test_kills_of_what_the_schedule_sent_are_not_paid():
    state = rich(0, 0, enemies=[enemy("virus", 0, 4, 1, isFromScheduledTask=True)])
    outcome = play(state, rules.RIGHT)
    assert (state.enemies, outcome.parts["kills"]) == ([], 0)


def test_reset_for_one_hp_is_a_waste():
    assert run(rich(0, 0, hp=2), rules.RESET).parts["program_waste"] == -0.3
    assert run(rich(0, 0, hp=1), rules.RESET).parts["program_waste"] == 0


def test_crash_takes_blocks_and_leaves_what_lies_under_them():
    state = rich(3, 3, blocks=[data(4, 4, siphoned=True)], resources=[at(4, 4, credits=2)])
    run(state, rules.CRASH)
    cell = state.at((4, 4))
    assert (cell.content, cell.siphoned, cell.credits, state.player.score) == (0, True, 2, 0)


@pytest.mark.parametrize("program", [i for i in ALL if max(rules.PROGRAMS[i][1:3])])
def test_a_program_that_cannot_be_paid_for_is_not_allowed(program):
    price = rules.PROGRAMS[program]
    state = rich(2, 2, hp=1, dataSiphons=1, blocks=[data(3, 3)], enemies=[enemy("glitch", 3, 3)])
    state.enemies += [Enemy(rules.DAEMON, 2, 5, 3), Enemy(rules.VIRUS, 5, 2, 2)]
    state.transmissions = [Transmission(5, 5, 9, rules.VIRUS)]
    state.at((0, 0)).siphoned, state.history = True, [None]
    state.player.credits, state.player.energy = price.credits, price.energy
    assert action_of(program) in game.legal(state)
    for purse in ("credits", "energy"):
        if getattr(price, purse):
            setattr(state.player, purse, getattr(price, purse) - 1)
            assert action_of(program) not in game.legal(state)
            setattr(state.player, purse, getattr(price, purse))
    state.owned.remove(program)
    assert action_of(program) not in game.legal(state)


def test_a_program_that_would_do_nothing_is_not_allowed():
    state = rich(2, 2, stage=8)
    state.show = state.calm = True
    state.atk_uses = rules.MOST_ATTACK_USES
    allowed = {rules.WAIT, rules.STEP, rules.SIPH_PLUS, rules.EXCH}
    programs = {action - rules.FIRST_PROGRAM for action in game.legal(state) if action > 4}
    assert programs == allowed


def test_calm_holds_the_schedule_back_and_delay_the_transmissions():
    state = rich(0, 0, turn=20, transmissions=[transmission(5, 5, 1)])
    run(state, rules.CALM, rules.DELAY, rules.WAIT)
    assert [each.timer for each in state.transmissions] == [3]
    assert (state.turn, state.next_spawn_turn) == (21, 12)


def test_reduc_takes_one_transmission_from_each_block_that_was_not_siphoned():
    state = rich(0, 0, blocks=[data(2, 2, 3), data(4, 4, 3, siphoned=True), data(3, 3, 1)])
    state.at((2, 2)).hidden = True
    run(state, rules.REDUC)
    assert [state.at(place).spawn for place in ((2, 2), (3, 3), (4, 4))] == [2, 0, 3]
    assert state.at((2, 2)).points == 3
