"""Distances on the board, and where an enemy steps to."""

from collections.abc import Callable, Set

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import NEIGHBOURS, Place, apart
from vibe_rl.env.hackmatrix.reference.state import Enemy, State


def distances(start: Place, enters: Callable[[Place], bool], end: Place) -> dict[Place, int]:
    """Steps from `start` to each place that one reaches through places that `enters` allows.

    `end` counts as reached whatever is on it, and is never passed through.
    """
    found, frontier = {start: 0}, [start]
    while frontier:
        reached = [(near, found[place] + 1) for place in frontier for near in NEIGHBOURS[place]]
        frontier = []
        for place, distance in reached:
            if place not in found and (place == end or enters(place)):
                found[place] = distance
                frontier += [place] if place != end else []
    return found


def path_distance(state: State, start: Place, end: Place) -> int:
    """Steps round the blocks, whoever stands in the way; 0 if there is no path.

    Either end may be a block.
    """
    return distances(start, lambda place: not state.at(place).is_block, end).get(end, 0)


def next_place(state: State, enemy: Enemy) -> Place:
    """Where an enemy that moves now goes to: its own place if it cannot move.

    It takes the shortest way round blocks and others; failing that, the first step of the shortest
    way round blocks alone, if that is free; failing that, what brings it nearest or least far away.
    """
    others = _occupied(state, enemy)
    step = _step(state, enemy, others)
    if step is None:
        step = _step(state, enemy, set())
        step = None if step in others else step
    return _greedy(state, enemy, others) if step is None else step


def _occupied(state: State, enemy: Enemy) -> set[Place]:
    """Where other enemies and transmissions are."""
    others = [other for other in state.enemies if other is not enemy]
    return {each.place for each in [*others, *state.transmissions]}


def _may_stand(state: State, enemy: Enemy, place: Place) -> bool:
    return enemy.type == rules.GLITCH or not state.at(place).is_block


def _step(state: State, enemy: Enemy, occupied: Set[Place]) -> Place | None:
    """The first step of the shortest way to the player; None without one."""
    goal = state.player.place

    def enters(place: Place) -> bool:
        return _may_stand(state, enemy, place) and (place == goal or place not in occupied)

    if not enters(goal):  # the player stands on a block
        return None
    found = distances(goal, enters, enemy.place)
    nearer = found.get(enemy.place, 0) - 1
    return next((near for near in NEIGHBOURS[enemy.place] if found.get(near) == nearer), None)


def _greedy(state: State, enemy: Enemy, occupied: Set[Place]) -> Place:
    """The neighbour nearest to the player, even if it is farther than the enemy is."""
    near = [place for place in NEIGHBOURS[enemy.place] if _may_stand(state, enemy, place)]
    free = [place for place in near if place not in occupied]
    return min(free, key=lambda place: apart(place, state.player.place), default=enemy.place)
