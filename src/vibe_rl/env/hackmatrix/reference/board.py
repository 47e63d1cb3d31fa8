"""Places of the board and how they lie to each other."""

from collections.abc import Iterable

from vibe_rl.env.hackmatrix import rules

Place = tuple[int, int]
"""A row and a column."""
PLACES = tuple((row, col) for row in range(rules.SIDE) for col in range(rules.SIDE))
"""All of them, row by row."""


def inside(place: Place) -> bool:
    """Whether the board has it."""
    return all(0 <= x < rules.SIDE for x in place)


def moved(place: Place, direction: Place) -> Place:
    """One cell further, perhaps outside."""
    return place[0] + direction[0], place[1] + direction[1]


def _around(place: Place, directions: Iterable[Place]) -> list[Place]:
    """The cells one step away that the board has."""
    return [near for near in (moved(place, each) for each in directions) if inside(near)]


NEIGHBOURS = {place: _around(place, rules.DIRECTIONS) for place in PLACES}
"""Up to four of each place: up, down, left, right."""
ALL_ROUND = [(row, col) for row in (-1, 0, 1) for col in (-1, 0, 1) if (row, col) != (0, 0)]
SURROUNDINGS = {place: _around(place, ALL_ROUND) for place in PLACES}
"""Up to eight of each place, row by row."""


def cross(place: Place) -> list[Place]:
    """What a siphon reaches: a place and its neighbours."""
    return [place, *NEIGHBOURS[place]]


def apart(a: Place, b: Place) -> int:
    """Their Manhattan distance."""
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def between(a: Place, b: Place) -> list[Place]:
    """The places strictly between two of one row or of one column."""
    (low_row, low_col), (high_row, high_col) = min(a, b), max(a, b)
    if low_row == high_row:
        return [(low_row, col) for col in range(low_col + 1, high_col)]
    return [(row, low_col) for row in range(low_row + 1, high_row)]


def in_line(a: Place, b: Place) -> bool:
    """Whether they share a row or a column."""
    return a[0] == b[0] or a[1] == b[1]
