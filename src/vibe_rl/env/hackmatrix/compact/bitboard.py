"""Sets of cells as bits: two words of three rows each, so that a set costs a few operations."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.env.hackmatrix.compact.rows import union
from vibe_rl.env.hackmatrix.rules import CORNERS, N_CELLS, SIDE

HALF = N_CELLS // 2
"""Cells in a word."""
WORD = np.uint32(2**HALF - 1)
FIRST_ROW = np.uint32(2**SIDE - 1)
FIRST_COLUMN = np.uint32(sum(1 << SIDE * row for row in range(HALF // SIDE)))
LAST_COLUMN = np.uint32(FIRST_COLUMN << (SIDE - 1))
ONE = np.uint32(1)


class Bitboard(NamedTuple):
    """A set of cells; its words may be scalars, arrays, or NumPy's."""

    low: Any  # uint32, rows 0 to 2, a bit for each cell in their order
    high: Any  # uint32, rows 3 to 5

    def __or__(self, other: "Bitboard") -> "Bitboard":
        return Bitboard(self.low | other.low, self.high | other.high)

    def __and__(self, other: "Bitboard") -> "Bitboard":
        return Bitboard(self.low & other.low, self.high & other.high)

    def __sub__(self, other: "Bitboard") -> "Bitboard":
        return Bitboard(self.low & ~other.low, self.high & ~other.high)

    def __invert__(self) -> "Bitboard":
        return Bitboard(~self.low & WORD, ~self.high & WORD)

    def up(self) -> "Bitboard":
        """Every cell one row up; what leaves the board is gone."""
        carried = self.low >> (HALF - SIDE)
        return Bitboard((self.low << SIDE) & WORD, ((self.high << SIDE) & WORD) | carried)

    def down(self) -> "Bitboard":
        """Every cell one row down."""
        carried = (self.high & FIRST_ROW) << (HALF - SIDE)
        return Bitboard((self.low >> SIDE) | carried, self.high >> SIDE)

    def left(self) -> "Bitboard":
        """Every cell one column to the left."""
        return Bitboard((self.low & ~FIRST_COLUMN) >> 1, (self.high & ~FIRST_COLUMN) >> 1)

    def right(self) -> "Bitboard":
        """Every cell one column to the right."""
        return Bitboard((self.low & ~LAST_COLUMN) << 1, (self.high & ~LAST_COLUMN) << 1)

    def neighbours(self) -> "Bitboard":
        """The cells beside a member: up, down, left or right of it."""
        return self.up() | self.down() | self.left() | self.right()

    def any(self) -> Any:
        """Whether there is a member."""
        return (self.low | self.high) != 0

    def size(self) -> Any:
        """How many members there are, int32."""
        count = jax.lax.population_count
        return (count(self.low) + count(self.high)).astype(jnp.int32)

    def has(self, cell: Any) -> Any:
        """Whether a cell is a member; False for a cell beyond the board."""
        cell = jnp.asarray(cell, jnp.int32)
        word = jnp.where(cell < HALF, self.low, self.high)
        shift = jnp.where(cell < HALF, cell, cell - HALF).astype(jnp.uint32) & 31
        inside = (cell >= 0) & (cell < N_CELLS)
        return inside & ((word >> shift) & ONE != 0)

    def nth(self, n: Any) -> Array:
        """The cell of the n-th member in the cells' order, int32; any cell if there is none."""
        return nth_of_pair(self.low, self.high, HALF, n)

    def mask(self) -> Bool[Array, " cells"]:
        """Whether each cell is a member, as an array."""
        shifts = jnp.arange(HALF, dtype=jnp.uint32)[None]
        words = jnp.stack([self.low, self.high])[:, None]
        return ((words >> shifts) & ONE != 0).ravel()


def row_of_cell(cell: Any) -> Any:
    """The row of a cell: its number divided by 6, without a division."""
    return (cell * 43) >> 8


def column_of_cell(cell: Any) -> Any:
    """The column of a cell."""
    return cell - SIDE * row_of_cell(cell)


def nth_of_pair(low: Any, high: Any, half: int, n: Any) -> Array:
    """The place of the n-th bit in two words of `half` bits each, int32; any if there is none."""
    in_low = jax.lax.population_count(low).astype(jnp.int32)
    beyond = n >= in_low
    word = jnp.where(beyond, high, low)
    return jnp.where(beyond, np.int32(half), 0) + nth_bit(word, jnp.where(beyond, n - in_low, n))


def nth_bit(word: Array, n: Array) -> Array:
    """The place of the n-th bit that is set in a word."""
    place = jnp.int32(0)
    for width in (16, 8, 4, 2, 1):
        below = word & np.uint32(2**width - 1)
        count = jax.lax.population_count(below).astype(jnp.int32)
        beyond = n >= count
        word = jnp.where(beyond, word >> width, word)
        n = jnp.where(beyond, n - count, n)
        place = place + jnp.where(beyond, np.int32(width), 0)
    return place


def single(cell: Any) -> Bitboard:
    """One cell, or none for a cell beyond the board."""
    cell = jnp.asarray(cell, jnp.int32)
    bit = ONE << (jnp.where(cell < HALF, cell, cell - HALF).astype(jnp.uint32) & 31)
    low = jnp.where((cell >= 0) & (cell < HALF), bit, np.uint32(0))
    return Bitboard(low, jnp.where((cell >= HALF) & (cell < N_CELLS), bit, np.uint32(0)))


def of_mask(mask: Bool[Array, " cells"]) -> Bitboard:
    """The cells where a mask holds."""
    bits = mask.reshape(2, HALF).astype(jnp.uint32) << jnp.arange(HALF, dtype=jnp.uint32)[None]
    words = bits.sum(1, dtype=jnp.uint32)
    return Bitboard(words[0], words[1])


def of_cells(cells: Array, present: Bool[Array, " n"]) -> Bitboard:
    """The cells of those that are present; several may share one."""
    each = single(cells)
    none = np.uint32(0)
    low = jnp.where(present, each.low, none)
    high = jnp.where(present, each.high, none)
    return Bitboard(union(low), union(high))


def of(*cells: int) -> Bitboard:
    """A constant set."""
    bits = sum(1 << cell for cell in set(cells))
    return Bitboard(np.uint32(bits & int(WORD)), np.uint32(bits >> HALF))


NONE = of()
CORNER_CELLS = tuple(row * SIDE + column for row, column in CORNERS)
AT_CORNERS = of(*CORNER_CELLS)


def as_arrays(cells: Bitboard) -> Bitboard:
    """A constant set as the state of a loop."""
    return Bitboard(jnp.asarray(cells.low), jnp.asarray(cells.high))


def choose_set(condition: Any, yes: Bitboard, no: Bitboard) -> Bitboard:
    """One of two sets."""
    return Bitboard(jnp.where(condition, yes.low, no.low), jnp.where(condition, yes.high, no.high))


def around(cells: Bitboard) -> Bitboard:
    """The eight neighbours of every member, corners included, and members beside others."""
    beside = cells.left() | cells.right()
    row = beside | cells
    return beside | row.up() | row.down()


RAYS = (Bitboard.up, Bitboard.down, Bitboard.left, Bitboard.right)
"""A step in each direction, in their order."""


class Flood(NamedTuple):
    """Cells reached so far from a beginning, one step more in every round."""

    reached: Bitboard
    rounds: Array  # int32
    growing: Array  # bool


ROUNDS = 4
"""Of a flood at a time: checking whether to go on costs as much as a few rounds."""


def flood(start: Bitboard, open_cells: Bitboard, until: Bitboard) -> Flood:
    """Spreads from `start` over `open_cells` until beside a cell of `until`, or no further.

    Where it ends beside one, the cells of `reached` next to it are `rounds` steps from `start`, and
    no cell next to it is nearer.
    """
    wanted = until.neighbours()

    def unfinished(f: Flood) -> Array:
        return f.growing & ~(f.reached & wanted).any()

    def spread(f: Flood) -> Flood:
        for _ in range(ROUNDS):
            beside = (f.reached & wanted).any()
            further = f.reached | (f.reached.neighbours() & open_cells)
            grown = ~beside & ((further.low ^ f.reached.low) | (further.high ^ f.reached.high) != 0)
            f = Flood(choose_set(beside, f.reached, further), f.rounds + grown, grown)
        return f

    begin = as_arrays(start)
    return jax.lax.while_loop(unfinished, spread, Flood(begin, jnp.int32(0), jnp.array(True)))
