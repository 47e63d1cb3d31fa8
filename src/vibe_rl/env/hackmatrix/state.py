"""What a game remembers: the player, the board, enemies and transmissions in the order of age."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from vibe_rl.env.hackmatrix import bitboard
from vibe_rl.env.hackmatrix.bitboard import Bitboard
from vibe_rl.env.hackmatrix.rules import MOST_ENEMIES, MOST_TRANSMISSIONS, N_CELLS, N_PROGRAMS
from vibe_rl.types import PyTree

EMPTY, EXIT, DATA_SIPHON, DATA, PROGRAM = range(5)
"""What a cell may hold; the last two are blocks, and a block may hide which it is."""


class Player(NamedTuple):
    """The player; numbers are int32 scalars."""

    cell: Array
    hp: Array
    credits: Array
    energy: Array
    data_siphons: Array
    score: Array
    attack: Array
    owned: Array  # bool [programs]


class Board(NamedTuple):
    """The cells, int8 or bool `[cells]`."""

    content: Array
    value: Array  # points of data, or which program; 0 elsewhere
    spawn: Array  # transmissions that siphoning a block releases
    hidden: Array  # whether a block is in question
    credits: Array
    energy: Array
    siphoned: Array
    siphon_center: Array

    def is_block(self) -> Bool[Array, " cells"]:
        """Where the blocks are."""
        return self.content >= DATA

    def blocks(self) -> Bitboard:
        """The same as a set."""
        return bitboard.of_mask(self.is_block())


class Enemies(NamedTuple):
    """Slots of enemies, the oldest first; int8 or bool `[MOST_ENEMIES]`, 0 in free slots."""

    alive: Array
    kind: Array
    cell: Array
    hp: Array
    disabled: Array  # turns
    stunned: Array
    from_schedule: Array
    from_siphon: Array

    def where(self) -> Bitboard:
        """The cells on which one stands."""
        return bitboard.of_cells(self.cell, self.alive)

    def count(self) -> Array:
        """How many there are, int32."""
        return self.alive.sum(dtype=jnp.int32)


class Transmissions(NamedTuple):
    """Slots of transmissions, the oldest first; `[MOST_TRANSMISSIONS]`, 0 in free slots."""

    alive: Array
    kind: Array  # int8, of the enemy that will hatch
    cell: Array  # int8
    timer: Array  # int16, turns
    from_schedule: Array
    from_siphon: Array

    def where(self) -> Bitboard:
        """The cells on which one lies."""
        return bitboard.of_cells(self.cell, self.alive)

    def count(self) -> Array:
        """How many there are, int32."""
        return self.alive.sum(dtype=jnp.int32)


class Snapshot(NamedTuple):
    """What UNDO restores: the beginning of a player's turn."""

    player: Player
    board: Board
    enemies: Enemies  # their origins forgotten
    transmissions: Transmissions  # their origins forgotten
    turn: Array
    show: Array
    calm: Array
    atk_uses: Array


class History(NamedTuple):
    """The latest snapshots, the newest first; leaves `[undo_depth, ...]`."""

    snapshots: Snapshot
    count: Array  # int32


class Game(NamedTuple):
    """All of a game; numbers are int32 scalars, flags bool scalars."""

    player: Player
    board: Board
    enemies: Enemies
    transmissions: Transmissions
    stage: Array  # 1 to 8; 9 has won
    turn: Array
    interval: Array  # turns between scheduled spawns
    next_spawn_turn: Array
    pending: Array  # transmissions that siphoning released and that are not there yet
    show: Array
    calm: Array
    step_armed: Array
    atk_uses: Array
    exit: Array  # cell
    history: History


def no_player() -> Player:
    """One with nothing, on the first cell."""
    zero = jnp.int32(0)
    return Player(zero, zero, zero, zero, zero, zero, zero, jnp.zeros(N_PROGRAMS, bool))


def empty_board() -> Board:
    """Nothing anywhere."""
    numbers, flags = jnp.zeros(N_CELLS, jnp.int8), jnp.zeros(N_CELLS, bool)
    return Board(numbers, numbers, numbers, flags, numbers, numbers, flags, flags)


def no_enemies() -> Enemies:
    """All slots free."""
    numbers, flags = jnp.zeros(MOST_ENEMIES, jnp.int8), jnp.zeros(MOST_ENEMIES, bool)
    return Enemies(flags, numbers, numbers, numbers, numbers, flags, flags, flags)


def no_transmissions() -> Transmissions:
    """All slots free."""
    numbers = jnp.zeros(MOST_TRANSMISSIONS, jnp.int8)
    flags, timers = numbers.astype(bool), numbers.astype(jnp.int16)
    return Transmissions(flags, numbers, numbers, timers, flags, flags)


def no_history(undo_depth: int) -> History:
    """Room for some snapshots, and none."""
    zero, off = jnp.int32(0), jnp.array(False)
    nothing = (no_player(), empty_board(), no_enemies(), no_transmissions())
    one = Snapshot(*nothing, zero, off, off, zero)
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (undo_depth, *x.shape)), one)
    return History(many, zero)


def choose(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    """`yes` where a condition holds, else `no`; leaves that are the same are not touched."""
    return jax.tree.map(lambda y, n: n if y is n else jnp.where(condition, y, n), yes, no)


def changed(condition: Array, new: PyTree, old: PyTree, so_far: PyTree) -> PyTree:
    """`so_far`, but the leaves that `new` has others of than `old` are its where a condition holds.

    Where one of many changes happens, the cost is that of the leaves that they change.
    """
    keep = lambda n, o, s: s if n is o else jnp.where(condition, n, s)  # noqa: E731
    return jax.tree.map(keep, new, old, so_far)


def closed_up(slots: PyTree) -> PyTree:
    """The living of `Enemies` or `Transmissions` in the first slots, their order kept.

    Every slot moves down by the number of free slots before it, a bit of that number at a time, so
    that no index is looked up.
    """
    alive = slots.alive
    gaps = jnp.cumsum(~alive, dtype=jnp.int32) * alive
    columns = jax.tree.map(lambda x: jnp.where(alive, x, jnp.zeros_like(x)), slots)
    size = alive.shape[0]
    for bit in range(size.bit_length()):
        moves = (gaps >> bit) & 1 != 0
        step = min(1 << bit, size)
        columns, gaps = jax.tree.map(partial(_moved, moves, step), (columns, gaps))
    return columns


def _moved(moves: Array, step: int, x: Array) -> Array:
    """Those that move are `step` slots further down, and leave zeros behind."""
    coming = jnp.where(moves, x, jnp.zeros_like(x))[step:]
    stays = jnp.where(moves, jnp.zeros_like(x), x)
    return (
        stays + jnp.pad(coming, (0, step))
        if x.dtype != bool
        else stays | jnp.pad(coming, (0, step))
    )
