"""What holds after every step of the reference, in games from a start and from random states."""

from copy import deepcopy
from random import Random

import pytest
from random_states import random_state

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference import game
from vibe_rl.env.hackmatrix.reference.board import PLACES
from vibe_rl.env.hackmatrix.reference.chance import random_chance
from vibe_rl.env.hackmatrix.reference.stage import enter_stage, is_valid
from vibe_rl.env.hackmatrix.reference.state import Content

SHOVES = {rules.FIRST_PROGRAM + each for each in (rules.PUSH, rules.PULL, rules.WARP)}
UNDO = rules.FIRST_PROGRAM + rules.UNDO
SEEDS = range(12)


def steps(state, random, most=60):
    """Random legal steps: the state before, the action, what it brought, the state after."""
    chance = random_chance(random)
    for _ in range(most):
        before, action = deepcopy(state), random.choice(game.legal(state))
        outcome = game.step(state, action, chance)
        yield before, action, outcome, deepcopy(state)
        if outcome.done:
            return


def of_games(seed):
    random = Random(seed)
    yield from steps(game.reset(random_chance(random), 3), random, 200)


def of_states(seed):
    random = Random(seed)
    for _ in range(4):
        yield from steps(random_state(random), random, 15)


@pytest.fixture(scope="module", params=[of_games, of_states])
def played(request):
    """Steps of many games."""
    return [step for seed in SEEDS for step in request.param(seed)]


def turn_ran(before, action, outcome):
    ends = game.ends_turn(action) and not outcome.stage_complete
    return ends and not before.step_armed


def places(beings):
    return [each.place for each in beings]


def test_the_parts_sum_to_the_reward(played):
    for _, _, outcome, _ in played:
        assert set(outcome.parts) == set(rules.PARTS)
        assert outcome.reward == pytest.approx(sum(outcome.parts.values()))
        assert outcome.parts["step_penalty"] == -0.01


def test_nothing_is_negative_and_hp_stays_within_bounds(played):
    for before, action, _, after in played:
        player = after.player
        held = (player.credits, player.energy, player.data_siphons, player.score, after.pending)
        assert min(held) >= 0
        assert 0 <= player.hp <= rules.MAX_HP
        assert all(each.timer >= 1 for each in after.transmissions)
        assert all(after.at(place).spawn >= 0 for place in PLACES)
        assert action == UNDO or player.score >= before.player.score


def test_there_is_one_exit(played):
    for _, _, _, after in played:
        exits = [place for place in PLACES if after.at(place).content == Content.EXIT]
        assert exits == [after.exit_pos]


def test_transmissions_never_share_a_cell_and_appear_on_empty_ones(played):
    for before, action, _, after in played:
        found = places(after.transmissions)
        assert len(found) == len(set(found))
        assert not set(found) & set(after.blocks())
        if action != UNDO:
            new = set(found) - set(places(before.transmissions))
            assert not new & {after.player.place, *places(after.enemies)}


def test_no_enemy_stands_where_it_must_not_unless_it_was_shoved():
    shoved = False
    for before, action, _, after in (step for seed in SEEDS for step in of_games(seed)):
        shoved = action in SHOVES or (shoved and before.turn > 0)
        walkers = [enemy for enemy in after.enemies if enemy.type != rules.GLITCH]
        if not shoved:
            assert after.player.place not in places(after.enemies)
            assert not set(places(walkers)) & set(after.blocks())


def test_the_mask_is_never_empty_and_what_it_allows_is_never_invalid(played):
    for _, _, outcome, after in played:
        assert not outcome.invalid
        assert outcome.done or game.legal(after)


def test_the_turn_counts_the_enemies_turns(played):
    for before, action, outcome, after in played:
        if outcome.stage_complete and not outcome.won:
            assert after.turn == 0
        elif action != UNDO:
            assert after.turn == before.turn + turn_ran(before, action, outcome)


def test_nobody_is_stunned_and_a_snapshot_is_kept_after_a_turn(played):
    for before, action, outcome, after in played:
        if turn_ran(before, action, outcome):
            assert not any(enemy.stunned for enemy in after.enemies)
            assert after.history[-1].player == after.player
            assert len(after.history) == min(3, len(before.history) + 1)


def test_an_observation_has_its_shape_and_its_range(played):
    for _, _, _, after in played:
        player, programs, grid = game.observation(after)
        flat = game.flat((player, programs, grid))
        assert (len(player), len(programs)) == (rules.N_PLAYER, rules.N_PROGRAMS)
        assert [len(cell) for row in grid for cell in row] == [rules.N_CHANNELS] * rules.N_CELLS
        assert len(flat) == rules.OBSERVATION_SIZE
        del flat[6:8]
        assert all(0 <= number <= 1 for number in flat)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stage_is_laid_out_as_the_rules_say(seed):
    random = Random(seed)
    state = random_state(random)
    state.player.go(random.choice(rules.CORNERS))
    beings = [*state.enemies, *state.transmissions]
    enter_stage(state, random_chance(random))
    blocks = [state.at(place) for place in state.blocks()]
    programs = [block.program for block in blocks if block.content == Content.PROGRAM]
    contents = [state.at(corner).content for corner in rules.CORNERS]
    assert contents.count(Content.DATA_SIPHON) == 2
    room = len(set(PLACES) - set(rules.CORNERS) - set(places(beings)))
    assert len(blocks) in {0, *range(min(rules.FEWEST_BLOCKS, room), rules.MOST_BLOCKS + 1)}
    assert len(programs) == len(set(programs))
    assert all(block.spawn == block.points for block in blocks if block.points)
    assert is_valid(set(state.blocks()), state.exit_pos)
    assert not set(state.blocks()) & set(places(beings))
    held = [each for each in PLACES if state.at(each).credits or state.at(each).energy]
    assert set(held) == set(PLACES) - set(state.blocks()) - {state.exit_pos}


def test_equal_draws_make_equal_games():
    for seed in range(3):
        pairs = zip(of_states(seed), of_states(seed), strict=True)
        assert all(a == b for a, b in pairs)


def test_random_states_cover_what_games_seldom_reach():
    random, states = Random(0), []
    for _ in range(400):
        states.append(random_state(random))
    legal = {action for state in states for action in game.legal(state)}
    assert legal == set(range(rules.N_ACTIONS))
    assert {state.stage for state in states} == set(range(1, rules.STAGES + 1))
    assert max(len(state.enemies) for state in states) == rules.MOST_ENEMIES
    assert any(state.pending and state.step_armed for state in states)
    assert any(state.at(state.player.place).is_block for state in states)
    assert any(state.at(place).hidden for state in states for place in PLACES)


def test_each_draw_has_a_slot_of_its_own():
    random, seen, drawn = Random(0), set(), set()

    def chance(slot):
        assert slot not in seen, slot
        seen.add(slot)
        return random.randrange(rules.DRAWS)

    for state in (random_state(random) for _ in range(200)):
        action = random.choice(game.legal(state))
        seen.clear()
        game.step(state, action, chance)
        drawn |= {slot[0] for slot in seen}
    assert drawn == {"gen", "turn", "prog"}
