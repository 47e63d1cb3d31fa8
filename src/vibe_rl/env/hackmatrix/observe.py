"""What a player sees: numbers about itself, the programs that it owns, and 42 for every cell.

Of every cell a few whole numbers are packed into two words first; the 42 channels are then read
from the words by a table, all in the same way, which costs far less than an array for each channel.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt

from vibe_rl.env.hackmatrix.compact.bitboard import column_of_cell, row_of_cell
from vibe_rl.env.hackmatrix.compact.rows import most
from vibe_rl.env.hackmatrix.rules import (
    CRYPTOG,
    ENEMIES,
    MAX_HP,
    MOST_ENEMIES,
    MOST_POINTS,
    N_CELLS,
    N_CHANNELS,
    N_PROGRAMS,
    SIDE,
    STAGES,
)
from vibe_rl.env.hackmatrix.state import DATA, DATA_SIPHON, EXIT, PROGRAM, Enemies, GameState

QUESTION = 3
"""After data and program, what a block may look like."""
LONGEST_TIMER = 4
AGE = np.uint32(16)
"""The first bit of an enemy's word that is free."""
RICH = 50.0
"""Credits or energy that look like any more."""


class Field(NamedTuple):
    """A whole number of a cell, and the channels that show it."""

    bits: int
    choices: int = 0  # as one channel for each number from 1 on
    most: float = 1.0  # else as a single channel, divided by this


FIELDS = {
    "enemy": Field(3, choices=len(ENEMIES)),  # 0: none to be seen
    "hp": Field(2, most=MAX_HP),
    "stunned": Field(1),
    "from_siphon": Field(1),
    "block": Field(2, choices=QUESTION),  # 0: none
    "points": Field(7, most=MOST_POINTS),
    "siphoned": Field(1),
    "program": Field(5, choices=N_PROGRAMS),  # 0: none to be seen
    "spawn": Field(7, most=MOST_POINTS),
    "timer": Field(3, most=LONGEST_TIMER),
    "credits": Field(7, most=3),
    "energy": Field(7, most=3),
    "data_siphon": Field(1),
    "exit": Field(1),
    "siphon_center": Field(1),
}
"""In the order of the channels; a field of 7 bits holds what the rules make, and all int8."""


class Table(NamedTuple):
    """How each channel is read, `[channels]`."""

    second: np.ndarray  # bool, from the second word
    shift: np.ndarray  # uint32
    bits: np.ndarray  # uint32, a mask
    equals: np.ndarray  # uint32, the number that it marks; 0 where it shows a size
    scale: np.ndarray  # float32


def places() -> dict[str, tuple[int, int]]:
    """The word and the first bit of each field."""
    result, used = {}, [0, 0]
    for name, field in FIELDS.items():
        word = 0 if used[0] + field.bits <= 32 else 1
        result[name] = (word, used[word])
        used[word] += field.bits
    return result


PLACES = places()


def _table() -> Table:
    """The table of all channels."""
    rows = []
    for name, field in FIELDS.items():
        (word, shift), mask = PLACES[name], 2**field.bits - 1
        for number in range(1, field.choices + 1) if field.choices else (0,):
            rows.append((word == 1, shift, mask, number, 1.0 / field.most))
    kinds = (bool, np.uint32, np.uint32, np.uint32, np.float32)
    return Table(
        *[np.array(x, kind) for x, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    )


TABLE = _table()


def player_vector(game: GameState) -> Float[Array, " 10"]:
    """Place, health, means, stage and what is switched on; all but two entries from 0 to 1."""
    player = game.player
    numbers = [
        row_of_cell(player.cell) / (SIDE - 1),
        column_of_cell(player.cell) / (SIDE - 1),
        player.hp / MAX_HP,
        jnp.minimum(player.credits.astype(jnp.float32) / RICH, 1.0),
        jnp.minimum(player.energy.astype(jnp.float32) / RICH, 1.0),
        (jnp.minimum(game.stage, STAGES) - 1) / (STAGES - 1),
        player.data_siphons.astype(jnp.float32) / 10.0,
        (player.attack - 1).astype(jnp.float32) / 2.0,
        game.show,
        game.calm,
    ]
    return jnp.stack([jnp.asarray(number, jnp.float32) for number in numbers])


def cell_words(game: GameState) -> UInt[Array, " 2 cells"]:
    """The fields of all cells, packed as `PLACES` says."""
    words = [jnp.zeros(N_CELLS, jnp.uint32), jnp.zeros(N_CELLS, jnp.uint32)]
    for name, numbers in cell_fields(game).items():
        word, shift = PLACES[name]
        words[word] = words[word] | (numbers.astype(jnp.uint32) << shift)
    return jnp.stack(words)


def cell_fields(game: GameState) -> dict[str, Array]:
    """Every field of all cells, `[cells]`."""
    board = game.board
    block, shown = board.is_block(), ~board.hidden
    data, program = shown & (board.content == DATA), shown & (board.content == PROGRAM)
    lying = ~block | board.siphoned
    looks = jnp.where(board.hidden, QUESTION, board.content - DATA + 1)
    return enemies_seen(game) | {
        "block": jnp.where(block, looks, 0),
        "points": jnp.where(data, board.value, 0),
        "siphoned": block & board.siphoned,
        "program": jnp.where(program, board.value + 1, 0),
        "spawn": jnp.where(block & shown, board.spawn, 0),
        "timer": timers(game),
        "credits": jnp.where(lying, board.credits, 0),
        "energy": jnp.where(lying, board.energy, 0),
        "data_siphon": board.content == DATA_SIPHON,
        "exit": board.content == EXIT,
        "siphon_center": board.siphon_center,
    }


def timers(game: GameState) -> Int[Array, " cells"]:
    """Of the transmission on each cell, 0 where there is none; long ones look the same."""
    eggs = game.transmissions
    here = eggs.alive[None] & (eggs.cell[None] == jnp.arange(N_CELLS, dtype=jnp.int32)[:, None])
    return most(jnp.where(here, jnp.minimum(eggs.timer, LONGEST_TIMER)[None], 0))


def enemies_seen(game: GameState) -> dict[str, Array]:
    """The fields of the oldest enemy of each cell; a cryptog out of the player's lines hides."""
    enemies, player = game.enemies, game.player.cell
    age = jnp.arange(MOST_ENEMIES, 0, -1, dtype=jnp.uint32) << AGE
    here = enemies.alive[None] & (
        enemies.cell[None] == jnp.arange(N_CELLS, dtype=jnp.int32)[:, None]
    )
    oldest = Enemies(most(jnp.where(here, (enemies.word | age)[None], np.uint32(0))))
    cells = np.arange(N_CELLS, dtype=np.int32)
    in_line = (row_of_cell(cells) == row_of_cell(player)) | (
        column_of_cell(cells) == column_of_cell(player)
    )
    seen = oldest.alive & (game.show | in_line | (oldest.kind != CRYPTOG))
    return {
        "enemy": jnp.where(seen, oldest.kind + 1, 0),
        "hp": jnp.where(seen, oldest.hp, 0),
        "stunned": seen & oldest.stunned,
        "from_siphon": seen & oldest.from_siphon,
    }


def grid(words: UInt[Array, " 2 cells"]) -> Float[Array, " cells channels"]:
    """The channels of all cells, from their words."""
    row = Table(*[column[None] for column in TABLE])
    word = jnp.where(row.second, words[1][:, None], words[0][:, None])
    number = (word >> row.shift) & row.bits
    marked = row.equals > 0
    shown = jnp.where(marked, number == row.equals, number).astype(jnp.float32)
    return shown * row.scale


class _Seen(NamedTuple):
    """An observation in its parts."""

    player: Any  # float32 [10]
    programs: Any  # int32 [23], 0 or 1
    grid: Any  # float32 [rows, columns, channels]


def seen_by_player(game: GameState) -> _Seen:
    """What the player sees."""
    cells = grid(cell_words(game)).reshape(SIDE, SIDE, N_CHANNELS)
    owned = (game.player.owned >> np.arange(N_PROGRAMS, dtype=np.uint32)) & 1
    return _Seen(player_vector(game), owned.astype(jnp.int32), cells)


def flat(parts: _Seen) -> Float[Array, " 1545"]:
    """The parts end to end."""
    head = jnp.concatenate([parts.player, parts.programs.astype(jnp.float32)])
    return jnp.concatenate([head, on_its_own(parts.grid).ravel()])


def on_its_own(x: Array) -> Array:
    """An array that XLA computes before it is joined with others.

    Otherwise it computes each entry of the joined array by itself, on a CPU far more slowly.
    """
    once = x.ravel()[0] < jnp.inf  # always, which the compiler does not know
    begin = (once, jnp.zeros_like(x))
    return jax.lax.while_loop(lambda c: c[0], lambda c: (~c[0], x), begin)[1]
