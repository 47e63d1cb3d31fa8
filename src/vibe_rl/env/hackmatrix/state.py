"""What a game remembers: the player, the board, enemies and transmissions in the order of age."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.bitboard import Bitboard
from vibe_rl.env.hackmatrix.compact.packed import Number
from vibe_rl.env.hackmatrix.compact.rows import total
from vibe_rl.env.hackmatrix.rules import MOST_ENEMIES, MOST_TRANSMISSIONS, N_CELLS
from vibe_rl.types import PyTree

EMPTY, EXIT, DATA_SIPHON, DATA, PROGRAM = range(5)
"""What a cell may hold; the last two are blocks, and a block may hide which it is."""


class Player(NamedTuple):
    """The player; int32 scalars, and a set."""

    cell: Array
    hp: Array
    credits: Array
    energy: Array
    data_siphons: Array
    score: Array
    attack: Array
    owned: Array  # uint32, a bit for each program


class GameBoard(NamedTuple):
    """The cells."""

    word: Array  # uint32 [cells]

    content = Number(0, 3)
    value = Number(3, 5)  # points of data, or which program; 0 elsewhere
    spawn = Number(8, 7)  # transmissions that siphoning a block releases
    credits = Number(15, 7)
    energy = Number(22, 7)
    hidden = Number(29, 1)  # whether a block is in question
    siphoned = Number(30, 1)
    siphon_center = Number(31, 1)

    def is_block(self) -> Bool[Array, " cells"]:
        """Where the blocks are."""
        return self.content >= DATA

    def blocks(self) -> Bitboard:
        """The same as a set."""
        return bitboard.of_mask(self.is_block())


class Enemies(NamedTuple):
    """Slots of enemies, the oldest first."""

    word: Array  # uint32 [MOST_ENEMIES], 0 in free slots

    alive = Number(0, 1)
    kind = Number(1, 2)
    cell = Number(3, 6)
    hp = Number(9, 2)
    disabled = Number(11, 2)  # turns
    stunned = Number(13, 1)
    from_schedule = Number(14, 1)
    from_siphon = Number(15, 1)

    def where(self) -> Bitboard:
        """The cells on which one stands."""
        return bitboard.of_cells(self.cell, self.alive)

    def count(self) -> Array:
        """How many there are, int32."""
        return total(self.alive)


class Transmissions(NamedTuple):
    """Slots of transmissions, the oldest first."""

    word: Array  # uint32 [MOST_TRANSMISSIONS], 0 in free slots

    alive = Number(0, 1)
    kind = Number(1, 2)  # of the enemy that will hatch
    cell = Number(3, 6)
    from_schedule = Number(14, 1)
    from_siphon = Number(15, 1)
    timer = Number(16, 16)  # turns

    def where(self) -> Bitboard:
        """The cells on which one lies."""
        return bitboard.of_cells(self.cell, self.alive)

    def count(self) -> Array:
        """How many there are, int32."""
        return total(self.alive)


class Snapshot(NamedTuple):
    """What UNDO restores: the beginning of a player's turn."""

    player: Player
    board: GameBoard
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


class GameState(NamedTuple):
    """All of a game; numbers are int32 scalars, flags bool scalars."""

    player: Player
    board: GameBoard
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
    nothing = jnp.int32(0)
    return Player(*[nothing] * (len(Player._fields) - 1), owned=jnp.uint32(0))


def empty_board() -> GameBoard:
    """Nothing anywhere."""
    return GameBoard(jnp.zeros(N_CELLS, jnp.uint32))


def no_enemies() -> Enemies:
    """All slots free."""
    return Enemies(jnp.zeros(MOST_ENEMIES, jnp.uint32))


def no_transmissions() -> Transmissions:
    """All slots free."""
    return Transmissions(jnp.zeros(MOST_TRANSMISSIONS, jnp.uint32))


def no_history(undo_depth: int) -> History:
    """Room for some snapshots, and none."""
    zero, off = jnp.int32(0), jnp.array(False)
    nothing = (no_player(), empty_board(), no_enemies(), no_transmissions())
    one = Snapshot(*nothing, zero, off, off, zero)
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (undo_depth, *x.shape)), one)
    return History(many, zero)


def choose_tree(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    """`yes` where a condition holds, else `no`; leaves that are the same are not touched."""
    return jax.tree.map(lambda y, n: n if y is n else jnp.where(condition, y, n), yes, no)


def changed(condition: Array, new: PyTree, old: PyTree, so_far: PyTree) -> PyTree:
    """`so_far`, but the leaves that `new` has others of than `old` are its where a condition holds.

    Where one of many changes happens, the cost is that of the leaves that they change.
    """
    keep = lambda n, o, s: s if n is o else jnp.where(condition, n, s)  # noqa: E731
    return jax.tree.map(keep, new, old, so_far)


def only_if_any(
    condition: Array, change: Callable[[PyTree, PyTree], PyTree], inputs: PyTree, tree: PyTree
) -> PyTree:
    """`change(inputs, tree)` where a condition holds, else the tree as it is.

    Of games side by side, the change is computed only if the condition holds for any of them, which
    `where` and `cond` cannot do. The inputs hang on the loop's own state, for XLA would compute
    what does not in advance.
    """
    off = jnp.array(False)

    def body(carry: tuple[Array, PyTree]) -> tuple[Array, PyTree]:
        wanted, before = carry
        held = jax.tree.map(lambda x: jnp.where(wanted, x, jnp.zeros_like(x)), inputs)
        return off, change(held, before)

    return jax.lax.while_loop(lambda carry: carry[0], body, (condition, tree))[1]
