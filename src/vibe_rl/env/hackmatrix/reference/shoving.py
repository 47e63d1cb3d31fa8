"""PUSH and PULL."""

from vibe_rl.env.hackmatrix.reference.board import Place, apart, inside, moved
from vibe_rl.env.hackmatrix.reference.state import Enemy, State

AWAY, NEARER = 1, -1


def push(state: State) -> None:
    """Every enemy goes a cell away from the player, if it can."""
    shove(state, AWAY)


def pull(state: State) -> None:
    """Every enemy comes a cell nearer, if it can."""
    shove(state, NEARER)


def shove(state: State, way: int) -> None:
    """Everybody wishes at once; the oldest who wishes for a cell gets it.

    Nobody who is on the cell matters: neither a block nor an enemy that stays where it is.
    """
    wishes = [wish(state, enemy, way) for enemy in state.enemies]
    claimed: set[Place] = set()
    for enemy, place in zip(state.enemies, wishes, strict=True):
        if place is not None and place not in claimed:
            enemy.go(place)
            claimed.add(place)


def wish(state: State, enemy: Enemy, way: int) -> Place | None:
    """The farthest of an enemy's candidates, or the nearest; None if it has none."""
    player = state.player.place
    places = [place for place in candidates(state, enemy, way) if inside(place)]
    if way == NEARER:
        places = [place for place in places if place != player]
    return max(places, key=lambda place: way * apart(place, player), default=None)


def candidates(state: State, enemy: Enemy, way: int) -> list[Place]:
    """Straight or diagonally along the line from the player, then along either axis alone."""
    row = way * sign(enemy.row - state.player.row)
    col = way * sign(enemy.col - state.player.col)
    sides = [side for side in ((row, 0), (0, col)) if side != (0, 0)]
    return [moved(enemy.place, side) for side in ((row, col), *sides)]


def sign(x: int) -> int:
    """-1, 0 or 1."""
    return (x > 0) - (x < 0)
