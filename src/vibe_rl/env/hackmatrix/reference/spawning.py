"""Where transmissions appear."""

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import PLACES, Place, between, in_line
from vibe_rl.env.hackmatrix.reference.chance import Chance, Slot, pick_below
from vibe_rl.env.hackmatrix.reference.state import State, Transmission

TYPES = range(len(rules.ENEMIES))


def empty_places(state: State) -> list[Place]:
    """Where nobody is and no block stands."""
    taken = {each.place for each in [state.player, *state.enemies, *state.transmissions]}
    return [place for place in PLACES if place not in taken and not state.at(place).is_block]


def in_line_of_fire(state: State, place: Place) -> bool:
    """Whether the player sees it along its row or column; transmissions hide nothing."""
    if not in_line(place, state.player.place):
        return False
    way = between(place, state.player.place)
    return not state.enemies_at(way) and not any(state.at(each).is_block for each in way)


def eligible_places(state: State) -> list[Place]:
    """The empty places out of the line of fire; all empty ones if there are none."""
    empty = empty_places(state)
    return [place for place in empty if not in_line_of_fire(state, place)] or empty


def spawn(
    state: State,
    slot: Slot,
    chance: Chance,
    from_schedule: bool = False,
    from_siphon: bool = False,
) -> None:
    """A new transmission; none if no place is empty.

    Args:
        state: changed.
        slot: what the names of its two draws, its cell and its type, begin with.
        chance: where they come from.
        from_schedule: whether the schedule sends it.
        from_siphon: whether a siphon released it.
    """
    places = eligible_places(state)
    if places:
        row, col = pick_below(chance((*slot, "cell")), places)
        kind = pick_below(chance((*slot, "type")), TYPES)
        new = Transmission(row, col, rules.NEW_TIMER, kind, from_schedule, from_siphon)
        state.transmissions.append(new)
