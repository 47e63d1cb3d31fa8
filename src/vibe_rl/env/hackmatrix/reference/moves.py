"""Moving and attacking in the four directions."""

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import inside, moved
from vibe_rl.env.hackmatrix.reference.damage import Deeds, damage, kill
from vibe_rl.env.hackmatrix.reference.state import Content, Enemy, State, Transmission


def may_move(state: State, direction: int) -> bool:
    """Whether the next cell can be walked on, or an enemy stands on its block."""
    place = moved(state.player.place, rules.DIRECTIONS[direction])
    if not inside(place):
        return False
    return not state.at(place).is_block or bool(state.enemies_at([place]))


def move(state: State, direction: int, deeds: Deeds) -> None:
    """Attacks what is in that direction, however far away, or walks a cell if there is nothing."""
    target = first_target(state, direction)
    if target is None:
        _walk(state, direction, deeds)
    elif isinstance(target, Transmission):
        kill(state, [target], deeds)
    else:
        damage(state, [target], state.player.attack, deeds)


def first_target(state: State, direction: int) -> Enemy | Transmission | None:
    """What an attack hits: the first on the way that stands before or on the first block.

    On a cell that is a transmission, else its oldest enemy.
    """
    place = moved(state.player.place, rules.DIRECTIONS[direction])
    while inside(place):
        here = [state.transmission_at(place), *state.enemies_at([place])]
        target = next((each for each in here if each is not None), None)
        if target is not None or state.at(place).is_block:
            return target
        place = moved(place, rules.DIRECTIONS[direction])
    return None


def _walk(state: State, direction: int, deeds: Deeds) -> None:
    """Walks a cell and takes the data siphon there; credits and energy stay where they are."""
    state.player.go(moved(state.player.place, rules.DIRECTIONS[direction]))
    cell = state.at(state.player.place)
    if cell.content == Content.DATA_SIPHON:
        state.player.data_siphons += 1
        deeds.collected += 1
        cell.clear()
    deeds.exit_reached = cell.content == Content.EXIT
