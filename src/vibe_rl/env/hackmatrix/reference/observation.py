"""What the player sees, as lists of numbers."""

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import Place, in_line
from vibe_rl.env.hackmatrix.reference.state import Cell, Content, Enemy, State, Transmission

Channels = list[float]
Observation = tuple[list[float], list[int], list[list[Channels]]]


def observation(state: State) -> Observation:
    """10 numbers of the player, 23 flags of programs owned, and 42 numbers of each cell."""
    grid = [
        [_channels(state, (row, col)) for col in range(rules.SIDE)] for row in range(rules.SIDE)
    ]
    owned = [int(program in state.owned) for program in range(rules.N_PROGRAMS)]
    return _player_numbers(state), owned, grid


def _player_numbers(state: State) -> list[float]:
    """Place, hp, possessions, stage, data siphons, attack, and whether SHOW and CALM are on.

    Data siphons and attack have no upper bound; the others are within 0 and 1.
    """
    player, last = state.player, rules.SIDE - 1
    return [
        player.row / last,
        player.col / last,
        player.hp / rules.MAX_HP,
        min(player.credits / 50, 1.0),
        min(player.energy / 50, 1.0),
        (min(state.stage, rules.STAGES) - 1) / (rules.STAGES - 1),
        player.data_siphons / 10,
        (player.attack - 1) / 2,
        float(state.show),
        float(state.calm),
    ]


def _channels(state: State, place: Place) -> Channels:
    """The numbers of a cell."""
    cell = state.at(place)
    return [
        *_enemy_channels(seen_enemy(state, place)),
        *_block_channels(cell),
        timer_channel(state.transmission_at(place)),
        *resource_channels(cell),
        float(cell.content == Content.DATA_SIPHON),
        float(cell.content == Content.EXIT),
        float(cell.siphon_center),
    ]


def seen_enemy(state: State, place: Place) -> Enemy | None:
    """The oldest enemy of a cell, unless it is a cryptog that is hidden."""
    oldest = next((enemy for enemy in state.enemies if enemy.place == place), None)
    return None if oldest is None or is_hidden(state, oldest) else oldest


def is_hidden(state: State, enemy: Enemy) -> bool:
    """Whether it is a cryptog outside the player's row and column, and SHOW is off."""
    lurks = enemy.type == rules.CRYPTOG and not state.show
    return lurks and not in_line(enemy.place, state.player.place)


def _enemy_channels(enemy: Enemy | None) -> Channels:
    """0 to 6: type, hp, stunned, from a siphon."""
    if enemy is None:
        return [0.0] * (len(rules.ENEMIES) + 3)
    states = [float(enemy.stunned), float(enemy.from_siphon)]
    return [*_one_hot(enemy.type, len(rules.ENEMIES)), enemy.hp / rules.MAX_HP, *states]


def _block_channels(cell: Cell) -> Channels:
    """7 to 35: kind, points, siphoned, program, transmissions that it would release."""
    if not cell.is_block:
        return [0.0] * (6 + rules.N_PROGRAMS)
    if cell.hidden:
        return [0.0, 0.0, 1.0, *[0.0] * (3 + rules.N_PROGRAMS)]
    kinds = [float(cell.content == Content.DATA), float(cell.content == Content.PROGRAM), 0.0]
    known = [cell.points / rules.MOST_POINTS, float(cell.siphoned)]
    return [*kinds, *known, *_one_hot(cell.program, rules.N_PROGRAMS), cell.spawn / 9]


def timer_channel(transmission: Transmission | None) -> float:
    """36: how long a transmission takes to hatch."""
    return 0.0 if transmission is None else min(transmission.timer / 4, 1.0)


def resource_channels(cell: Cell) -> Channels:
    """37 and 38: credits and energy, which a block hides until it is siphoned."""
    if cell.is_block and not cell.siphoned:
        return [0.0, 0.0]
    return [cell.credits / 3, cell.energy / 3]


def _one_hot(index: int | None, size: int) -> Channels:
    """1 at an index, 0 elsewhere."""
    return [float(i == index) for i in range(size)]


def flat(seen: Observation) -> list[float]:
    """All numbers in one row: player, programs, cells row by row."""
    player, programs, grid = seen
    cells = (number for row in grid for cell in row for number in cell)
    return [*player, *map(float, programs), *cells]
