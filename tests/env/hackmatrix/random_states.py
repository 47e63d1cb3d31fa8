"""Random states of HackMatrix such as games come into, rare ones as often as common ones."""

from random import Random

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import PLACES
from vibe_rl.env.hackmatrix.reference.chance import random_chance
from vibe_rl.env.hackmatrix.reference.stage import enter_stage
from vibe_rl.env.hackmatrix.reference.state import (
    UNDO_DEPTH,
    Content,
    Enemy,
    Player,
    State,
    Transmission,
)
from vibe_rl.env.hackmatrix.reference.undo import remember

CROWD = 0.03
"""How often so many enemies stand about that transmissions wait for room."""


def random_state(random: Random, undo_depth: int = UNDO_DEPTH) -> State:
    """A state in which a game goes on: any stage, board, beings, possessions, flags and history.

    Its layout of blocks is valid for its exit, or was before CRASH took blocks away.
    """
    state = State(Player(*random.choice(rules.CORNERS)), undo_depth=undo_depth)
    state.stage = random.randint(1, rules.STAGES)
    state.interval = rules.LONGEST_INTERVAL - state.stage
    enter_stage(state, random_chance(random))
    wear(state, random)
    for _ in range(random.randint(0, undo_depth)):
        populate(state, random)
        remember(state)
    populate(state, random)
    schedule(state, random)
    return state


def wear(state: State, random: Random) -> None:
    """What CRASH, siphons and REDUC may have done to the board; now and then data on resources."""
    for place in PLACES:
        cell = state.at(place)
        if cell.is_block and random.random() < 0.1:
            cell.clear()
        cell.siphon_center = random.random() < 0.05
        if random.random() < 0.15:
            cell.siphoned, cell.hidden, cell.spawn = True, False, 0
        if cell.is_block:
            cell.spawn = max(0, cell.spawn - random.choice((0, 0, 0, 1, 9)))
            cell.credits = random.choice((0, 0, 0, 2))
        elif cell.content == Content.EMPTY and random.random() < 0.3:
            cell.credits = cell.energy = 0


def populate(state: State, random: Random) -> None:
    """Puts the player and others somewhere, and gives the player anything."""
    free = [place for place in PLACES if not state.at(place).is_block]
    stands = [place for place in free if place != state.exit_pos]
    place = random.choice(PLACES if random.random() < 0.05 else stands)
    place = place if place != state.exit_pos else random.choice(stands)
    state.player = random_player(random, *place)
    state.owned = {
        i for i in range(rules.N_PROGRAMS) if random.random() < random.choice((0.2, 0.9))
    }
    most = rules.MOST_ENEMIES if random.random() < CROWD else 8
    n_enemies = most if most > 8 else random.randint(0, most)
    state.enemies = [random_enemy(state, random) for _ in range(n_enemies)]
    eggs = random.sample([each for each in free if each != place], random.randint(0, 8))
    state.transmissions = [random_egg(random, *each) for each in eggs]
    state.turn = random.randint(0, 40)
    state.show, state.calm = random.random() < 0.3, random.random() < 0.3
    state.atk_uses = random.randint(0, rules.MOST_ATTACK_USES)


def random_player(random: Random, row: int, col: int) -> Player:
    return Player(
        row,
        col,
        hp=random.randint(1, rules.MAX_HP),
        credits=random.choice((0, 1, 3, random.randint(0, 60))),
        energy=random.choice((0, 1, 3, random.randint(0, 60))),
        data_siphons=random.choice((0, 1, 2, 12)),
        score=random.randint(0, 200),
        attack=random.choice((1, 1, 2, 3, 17)),
    )


def random_enemy(state: State, random: Random) -> Enemy:
    """Beside the player, on a cell of another, on a block, or anywhere else."""
    kind = random.randrange(len(rules.ENEMIES))
    walls = kind == rules.GLITCH or random.random() < 0.05
    places = [each for each in PLACES if walls or not state.at(each).is_block]
    if random.random() < 0.97:
        places = [each for each in places if each != state.player.place]
    row, col = random.choice(places)
    return Enemy(
        kind,
        row,
        col,
        random.randint(1, rules.ENEMIES[kind].max_hp),
        disabled=random.choice((0, 0, 0, 1)),
        stunned=random.random() < 0.2,
        from_schedule=random.random() < 0.3,
        from_siphon=random.random() < 0.3,
    )


def random_egg(random: Random, row: int, col: int) -> Transmission:
    origin = random.choice(("schedule", "siphon", "stage", "stage"))
    return Transmission(
        row,
        col,
        random.choice((1, 1, 2, 4, 7)),
        random.randrange(len(rules.ENEMIES)),
        from_schedule=origin == "schedule",
        from_siphon=origin == "siphon",
    )


def schedule(state: State, random: Random) -> None:
    """What is due, and whether STEP was run."""
    state.interval = random.randint(rules.SHORTEST_INTERVAL, rules.LONGEST_INTERVAL - state.stage)
    state.next_spawn_turn = state.turn + random.choice((-2, 0, 1, 2, 5, 12))
    state.pending = random.choice((0, 0, 0, 1, 4, 36, 50))
    state.step_armed = random.random() < 0.1
