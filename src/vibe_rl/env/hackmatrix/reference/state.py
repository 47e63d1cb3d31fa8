"""The state of a game: everything that its rules may change."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import PLACES, Place

UNDO_DEPTH = 3
"""How many turns UNDO can go back, unless a game says otherwise."""


class Content(IntEnum):
    """What stands on a cell; the last two are blocks."""

    EMPTY = 0
    EXIT = 1
    DATA_SIPHON = 2
    DATA = 3
    PROGRAM = 4


@dataclass(slots=True)
class Player:
    """The player, and what it has for the whole game."""

    row: int
    col: int
    hp: int = rules.MAX_HP
    credits: int = 0
    energy: int = 0
    data_siphons: int = 0
    score: int = 0
    attack: int = 1

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.row, self.col

    def go(self, place: Place) -> None:
        """Puts it elsewhere."""
        self.row, self.col = place


@dataclass(slots=True)
class Cell:
    """A cell: its content, and what lies there whatever the content."""

    content: Content = Content.EMPTY
    points: int = 0  # of data
    program: int | None = None  # of a program
    hidden: bool = False  # a block whose contents cannot be seen
    spawn: int = 0  # transmissions that siphoning it releases
    credits: int = 0
    energy: int = 0
    siphoned: bool = False
    siphon_center: bool = False  # the player siphoned standing here

    @property
    def is_block(self) -> bool:
        """Whether the player cannot walk there."""
        return self.content >= Content.DATA

    def clear(self) -> None:
        """Takes the content away, nothing else."""
        self.content, self.points, self.program = Content.EMPTY, 0, None
        self.hidden, self.spawn = False, 0


@dataclass(slots=True)
class Enemy:
    """An enemy; `type` is its place in `rules.ENEMIES`."""

    type: int
    row: int
    col: int
    hp: int
    disabled: int = 0  # turns in which it does nothing
    stunned: bool = False
    from_schedule: bool = False
    from_siphon: bool = False

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.row, self.col

    @property
    def kind(self) -> rules.EnemyKind:
        """What all enemies of its type have."""
        return rules.ENEMIES[self.type]

    def go(self, place: Place) -> None:
        """Puts it elsewhere."""
        self.row, self.col = place


@dataclass(slots=True)
class Transmission:
    """What an enemy of a type will hatch from."""

    row: int
    col: int
    timer: int
    type: int
    from_schedule: bool = False
    from_siphon: bool = False

    @property
    def place(self) -> Place:
        """Where it lies."""
        return self.row, self.col


Cells = list[list[Cell]]


def empty_cells() -> Cells:
    """A board with nothing on it."""
    return [[Cell() for _ in range(rules.SIDE)] for _ in range(rules.SIDE)]


def copied_game(cells: Cells) -> Cells:
    """A board that shares nothing with the other."""
    return [[replace(cell) for cell in row] for row in cells]


@dataclass(slots=True)
class Snapshot:
    """What UNDO brings back; nobody in it knows where it came from."""

    player: Player
    owned: set[int]
    turn: int
    show: bool
    calm: bool
    atk_uses: int
    cells: Cells
    enemies: list[Enemy]
    transmissions: list[Transmission]


@dataclass(slots=True)
class State:
    """A game. Enemies and transmissions are ordered by age, the oldest first."""

    player: Player
    owned: set[int] = field(default_factory=set)  # programs, by their place in `rules.PROGRAMS`
    stage: int = 1
    turn: int = 0
    interval: int = rules.LONGEST_INTERVAL - 1  # turns between scheduled transmissions
    next_spawn_turn: int = rules.LONGEST_INTERVAL - 1
    pending: int = 0  # transmissions that siphoning released, which come with the next turn
    show: bool = False
    calm: bool = False
    step_armed: bool = False
    atk_uses: int = 0
    exit_pos: Place = rules.CORNERS[-1]
    undo_depth: int = UNDO_DEPTH
    history: list[Snapshot] = field(default_factory=list)
    cells: Cells = field(default_factory=empty_cells)
    enemies: list[Enemy] = field(default_factory=list)
    transmissions: list[Transmission] = field(default_factory=list)

    def at(self, place: Place) -> Cell:
        """The cell of a place."""
        return self.cells[place[0]][place[1]]

    def blocks(self) -> list[Place]:
        """Where blocks stand, row by row."""
        return [place for place in PLACES if self.at(place).is_block]

    def enemies_at(self, places: Iterable[Place]) -> list[Enemy]:
        """Those on any of the places, the oldest first."""
        among = set(places)
        return [enemy for enemy in self.enemies if enemy.place in among]

    def transmission_at(self, place: Place) -> Transmission | None:
        """The one there, if any: two never share a cell."""
        return next((each for each in self.transmissions if each.place == place), None)

    def remove(self, gone: Sequence[Enemy | Transmission]) -> None:
        """Takes these very ones away; the others keep their order."""
        ids = {id(each) for each in gone}
        self.enemies = [each for each in self.enemies if id(each) not in ids]
        self.transmissions = [each for each in self.transmissions if id(each) not in ids]
