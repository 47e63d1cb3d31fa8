"""Starting a game, and entering and completing a stage."""

from collections.abc import Set

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import NEIGHBOURS, PLACES, Place
from vibe_rl.env.hackmatrix.reference.chance import Chance, Slot, amount, coin, hides, pick_below
from vibe_rl.env.hackmatrix.reference.paths import distances
from vibe_rl.env.hackmatrix.reference.spawning import spawn
from vibe_rl.env.hackmatrix.reference.state import (
    UNDO_DEPTH,
    Cell,
    Content,
    Player,
    State,
    empty_cells,
)


def new_game(chance: Chance, undo_depth: int = UNDO_DEPTH) -> State:
    """The state at the start of a game."""
    player = Player(*pick_below(chance(("reset", "corner")), rules.CORNERS))
    bonus, units = pick_below(chance(("reset", "bonus")), rules.STARTING_BONUS)
    setattr(player, bonus, units)
    state = State(player, undo_depth=undo_depth)
    enter_stage(state, chance)
    return state


def complete_stage(state: State, chance: Chance) -> None:
    """What reaching the exit does; everybody follows the player into the next stage."""
    state.player.hp = min(rules.MAX_HP, state.player.hp + 1)
    state.stage += 1
    if state.stage < rules.WON:
        state.interval = rules.LONGEST_INTERVAL - state.stage
        enter_stage(state, chance)


def enter_stage(state: State, chance: Chance) -> None:
    """A new board round the player, who stands on a corner, and those who are there already."""
    state.turn, state.next_spawn_turn = 0, state.interval
    state.show = state.calm = state.step_armed = False
    state.atk_uses, state.history = 0, []
    state.cells = empty_cells()
    place_corners(state, chance)
    place_blocks(state, chance)
    place_resources(state, chance)
    for i in range(state.stage):
        spawn(state, ("gen", "tx", i), chance)


def place_corners(state: State, chance: Chance) -> None:
    """The exit on a corner without the player, data siphons on the other two."""
    corners = [corner for corner in rules.CORNERS if corner != state.player.place]
    state.exit_pos = pick_below(chance(("gen", "exit")), corners)
    for corner in corners:
        state.at(corner).content = Content.DATA_SIPHON
    state.at(state.exit_pos).content = Content.EXIT


def place_blocks(state: State, chance: Chance) -> None:
    """The first of up to 100 layouts that is valid; no block without one."""
    counts = range(rules.FEWEST_BLOCKS, rules.MOST_BLOCKS + 1)
    count = pick_below(chance(("gen", "count")), counts)
    for attempt in range(rules.LAYOUT_ATTEMPTS):
        blocks = draw_blocks(state, count, ("gen", "att", attempt), chance)
        if is_valid(set(blocks), state.exit_pos):
            for (row, col), block in blocks.items():
                state.cells[row][col] = block
            return


def draw_blocks(state: State, count: int, slot: Slot, chance: Chance) -> dict[Place, Cell]:
    """A layout: blocks on places that are no corner and where nobody is, as far as there are."""
    taken = {each.place for each in [*state.enemies, *state.transmissions]}
    places = [place for place in PLACES if place not in taken and place not in rules.CORNERS]
    programs = list(range(rules.N_PROGRAMS))
    blocks = {}
    for j in range(min(count, len(places))):
        place = pick_below(chance((*slot, "blk", j, "cell")), places)
        places.remove(place)
        blocks[place] = draw_block((*slot, "blk", j), programs, chance)
    return blocks


def draw_block(slot: Slot, programs: list[int], chance: Chance) -> Cell:
    """Data or one of the programs, which is taken out of the list."""
    value, hidden = chance((*slot, "val")), hides(chance((*slot, "q")))
    if coin(chance((*slot, "data"))):
        points = pick_below(value, range(1, rules.MOST_POINTS + 1))
        return Cell(Content.DATA, points=points, hidden=hidden, spawn=points)
    program = pick_below(value, programs)
    programs.remove(program)
    spawns = rules.PROGRAMS[program].spawn
    return Cell(Content.PROGRAM, program=program, hidden=hidden, spawn=spawns)


def is_valid(blocks: Set[Place], exit_pos: Place) -> bool:
    """Whether a layout is connected and all its blocks can be siphoned.

    The flood starts at the first corner, so that it goes through an exit there, and nowhere else.
    """
    reached = distances(rules.CORNERS[0], lambda place: place not in blocks, exit_pos)
    siphonable = all(set(NEIGHBOURS[block]) - blocks for block in blocks)
    return siphonable and len(reached) == rules.N_CELLS - len(blocks)


def place_resources(state: State, chance: Chance) -> None:
    """Credits or energy on every cell but the blocks and the exit."""
    for number, place in enumerate(PLACES):
        cell, slot = state.at(place), ("gen", "res", number)
        if cell.content in (Content.EMPTY, Content.DATA_SIPHON):
            units = amount(chance((*slot, "amount")))
            kind = "credits" if coin(chance((*slot, "kind"))) else "energy"
            setattr(cell, kind, units)
