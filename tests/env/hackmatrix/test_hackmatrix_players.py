"""The player who knows HackMatrix's rules does what they suggest; what hides changes nothing."""

from functools import cache

import jax
import numpy as np
import pytest
from agreement import game_of

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.env import HackMatrix, HackMatrixState, no_totals
from vibe_rl.env.hackmatrix.facts import facts
from vibe_rl.env.hackmatrix.game import legal_actions
from vibe_rl.env.hackmatrix.players import rules_player
from vibe_rl.env.hackmatrix.reference.line_protocol.fixture import load_state
from vibe_rl.runner.actors import actors_of
from vibe_rl.types import MaskedObs


@cache
def player():
    """The player as one program for all tests: game, key -> action."""

    @jax.jit
    def act(game, key):
        obs = MaskedObs(None, legal_actions(game, facts(game)))
        return rules_player(obs, HackMatrixState(game, 0, no_totals()), (), key)

    return act


def action_in(state, seed=0):
    """What the player does in a state of the reference."""
    return int(player()(game_of(state), jax.random.key(seed)))


def state(row=3, col=3, *, means=None, programs=(), **fields):
    """A state that is fresh but for these fields; the exit is at the upper right."""
    owned = [rules.FIRST_PROGRAM + program for program in programs]
    return load_state(
        {"player": {"row": row, "col": col, **(means or {})}, "ownedPrograms": owned, **fields}
    )


def enemy(kind, row, col, hp=2, **flags):
    return {"type": kind, "row": row, "col": col, "hp": hp, **flags}


def test_the_environment_offers_it_beside_a_random_one():
    env = HackMatrix()
    assert actors_of(env, env.default_params())["rules"] is rules_player


@pytest.mark.parametrize("seed", range(5))
def test_it_goes_for_the_exit_round_walls_whatever_its_key(seed):
    walls = [{"row": row, "col": 4, "type": "data"} for row in range(2, 6)]
    assert action_in(state(2, 3, blocks=walls), seed) == rules.DOWN
    assert action_in(state(5, 4), seed) == rules.RIGHT


def test_it_takes_the_exit_though_enemies_stand_beside_it():
    beside = [enemy("daemon", 4, 5, 3), enemy("daemon", 3, 4, 3)]
    assert action_in(state(5, 4, means={"hp": 1}, enemies=beside)) == rules.RIGHT


def test_it_hits_who_stands_beside_it_or_in_its_line():
    assert action_in(state(enemies=[enemy("daemon", 3, 2, 3)])) == rules.LEFT
    assert action_in(state(enemies=[enemy("virus", 0, 3)])) == rules.DOWN
    egg = {"row": 3, "col": 0, "turnsRemaining": 1, "enemyType": "virus"}
    assert action_in(state(transmissions=[egg])) == rules.LEFT


def test_of_two_beside_it_it_hits_the_one_that_can_hit_back():
    idle = enemy("daemon", 4, 3, 3, stunned=True)
    assert action_in(state(enemies=[idle, enemy("daemon", 3, 2, 3)])) == rules.LEFT
    assert action_in(state(enemies=[enemy("daemon", 4, 3, 3)])) == rules.UP


@pytest.mark.parametrize(("col", "near"), [(4, True), (0, False)])
def test_it_does_not_step_where_a_virus_can_come_and_hit(col, near):
    """From (0, 2) to (0, 3), of which a virus at (1, 4) is two steps away."""
    state_of = state(0, 2, enemies=[enemy("virus", 1, col)], means={"hp": 1})
    assert (action_in(state_of) == rules.RIGHT) != near


def test_it_fetches_a_data_siphon_that_is_near():
    pickup = [{"row": 3, "col": 1, "dataSiphon": True}]
    assert action_in(state(resources=pickup)) == rules.LEFT


def test_it_siphons_what_is_worth_more_than_it_releases():
    means, rich = {"dataSiphons": 1}, [{"row": 3, "col": 2, "credits": 3}]
    rich.append({"row": 2, "col": 3, "energy": 3})
    assert action_in(state(means=means, resources=rich)) == rules.SIPHON
    assert action_in(state(means=means)) != rules.SIPHON
    many = [{"row": 3, "col": 2, "type": "data", "points": 9}]
    assert action_in(state(means=means, blocks=many)) != rules.SIPHON


def test_what_a_block_hides_is_unknown_to_it():
    """RESET is worth more than its block releases; a hidden one is no different from data."""
    reset = {"row": 3, "col": 2, "type": "program", "programType": "reset", "spawnCount": 2}
    open_block = state(means={"dataSiphons": 1}, blocks=[reset])
    assert action_in(open_block) == rules.SIPHON
    open_block.cells[3][2].hidden = True
    assert action_in(open_block) != rules.SIPHON


def test_a_cryptog_that_hides_changes_nothing():
    """At (2, 4) beside the way from (3, 3) to the right; it is out of the player's lines."""
    quiet = state(means={"hp": 1})
    hidden = state(means={"hp": 1}, enemies=[enemy("cryptog", 2, 4)])
    actions = [[action_in(each, seed) for seed in range(8)] for each in (quiet, hidden)]
    assert actions[0] == actions[1]
    hidden.show = True
    shown = {action_in(hidden, seed) for seed in range(8)}
    assert rules.RIGHT in actions[0]
    assert rules.RIGHT not in shown


def program(number):
    return rules.FIRST_PROGRAM + number


def test_it_resets_its_hp_at_1_and_not_at_2():
    means = {"energy": 4, "hp": 1}
    assert action_in(state(means=means, programs=[rules.RESET])) == program(rules.RESET)
    means["hp"] = 2
    assert action_in(state(means=means, programs=[rules.RESET])) != program(rules.RESET)


def test_it_skips_the_enemies_turn_where_every_move_ends_with_a_hit():
    around = [enemy("daemon", *at, 3) for at in ((4, 3), (2, 3), (3, 2), (3, 4))]
    trapped = state(means={"energy": 6}, programs=[rules.STEP], enemies=around)
    assert action_in(trapped) == program(rules.STEP)
    trapped.step_armed = True
    assert action_in(trapped) in rules.MOVES


def test_it_hits_a_row_of_enemies_at_once():
    row = [enemy("daemon", 3, col, 3) for col in (0, 5)]
    means = {"credits": 3, "energy": 1}
    assert action_in(state(means=means, programs=[rules.ROW], enemies=row)) == program(rules.ROW)
    assert action_in(state(means=means, programs=[rules.ROW])) != program(rules.ROW)


def test_its_actions_are_legal_ones():
    env = HackMatrix()
    params = env.default_params()

    @jax.jit
    def episodes(key):
        def body(carry, key):
            obs, state = carry
            action = rules_player(obs, state, params, key)
            step = env.step(key, state, action, params)
            return (step.obs, step.state), (obs.legal[action], step.terminated)

        start, keys = env.reset(key, params), jax.random.split(key, 60)
        return jax.lax.scan(body, start, keys)[1]

    legal, ended = jax.vmap(episodes)(jax.random.split(jax.random.key(0), 8))
    going_on = np.cumsum(ended, 1) == 0
    assert going_on.sum() > 200
    assert np.asarray(legal)[going_on].all()
