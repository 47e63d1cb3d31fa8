"""Siphoning, and how much better another place would have been for it."""

from dataclasses import dataclass

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import PLACES, Place, cross
from vibe_rl.env.hackmatrix.reference.damage import Deeds
from vibe_rl.env.hackmatrix.reference.state import Cell, Content, State


def siphon(state: State, deeds: Deeds) -> None:
    """Takes what the cells of the player's cross hold, and postpones the next scheduled spawn."""
    state.at(state.player.place).siphon_center = True
    for place in cross(state.player.place):
        if not state.at(place).siphoned:
            _take(state, state.at(place))
    state.player.data_siphons -= 1
    state.interval = max(rules.SHORTEST_INTERVAL, state.interval - 1)
    state.next_spawn_turn += rules.SIPHON_DELAY
    deeds.siphoned += 1


def _take(state: State, cell: Cell) -> None:
    """Takes what a cell holds; a block shows what it was and stays."""
    player = state.player
    if cell.content == Content.DATA:
        player.score += cell.points
    elif cell.program is not None:
        state.owned.add(cell.program)
    else:
        player.credits, player.energy = player.credits + cell.credits, player.energy + cell.energy
        cell.credits = cell.energy = 0
    state.pending += cell.spawn
    cell.spawn, cell.hidden, cell.siphoned = 0, False, True


@dataclass(frozen=True)
class _Yield:
    """What siphoning at a place would bring, hidden contents included."""

    credits: int = 0
    energy: int = 0
    points: tuple[int, ...] = ()  # of its data, in ascending order
    programs: frozenset[int] = frozenset()  # those that the player does not own

    def beats(self, other: "_Yield") -> bool:
        """Whether it brings the same data and programs, and more credits or energy, none less."""
        same = (self.points, self.programs) == (other.points, other.programs)
        no_less = self.credits >= other.credits and self.energy >= other.energy
        return same and no_less and self != other


def siphon_yield(state: State, place: Place) -> _Yield:
    """What siphoning at a place would bring; on a block it counts as nothing."""
    if state.at(place).is_block:
        return _Yield()
    cells = [state.at(each) for each in cross(place) if not state.at(each).siphoned]
    open_cells = [cell for cell in cells if not cell.is_block]
    programs = {cell.program for cell in cells if cell.program is not None}
    return _Yield(
        sum(cell.credits for cell in open_cells),
        sum(cell.energy for cell in open_cells),
        tuple(sorted(cell.points for cell in cells if cell.content == Content.DATA)),
        frozenset(programs - state.owned),
    )


def rivals(state: State, mine: _Yield) -> list[Place]:
    """The places that the player's is compared with.

    If it yields data or programs, those whose cross has all its blocks; otherwise all open ones.
    """
    open_places = [place for place in PLACES if not state.at(place).is_block]
    if not mine.points and not mine.programs:
        return open_places
    near = [place for place in cross(state.player.place) if state.at(place).is_block]
    wanted = {place for place in near if not state.at(place).siphoned}
    return [place for place in open_places if wanted <= set(cross(place))]


def siphon_quality(state: State) -> int:
    """Credits and energy that a siphon of the player misses now; 0 if no place is better."""
    mine = siphon_yield(state, state.player.place)
    yields = [siphon_yield(state, place) for place in rivals(state, mine)]
    better = [mine, *(each for each in yields if each.beats(mine))]
    missed_credits = max(each.credits for each in better) - mine.credits
    missed_energy = max(each.energy for each in better) - mine.energy
    return missed_credits + missed_energy
