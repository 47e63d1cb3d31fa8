"""PUSH and PULL: every enemy a cell away from the player, or nearer to it."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.packed import put
from vibe_rl.env.hackmatrix.compact.rows import some
from vibe_rl.env.hackmatrix.enemies import manhattan
from vibe_rl.env.hackmatrix.rules import N_CELLS, SIDE
from vibe_rl.env.hackmatrix.state import Enemies, GameState


def shoved(game: GameState, sign: int) -> Enemies:
    """The enemies a cell further from the player (1) or nearer to it (-1); see `wishes`.

    An enemy whose wish an older one has claimed stays, and claims nothing.
    """
    enemies = game.enemies
    wish, wants = wishes(enemies.cell, game.player.cell, sign)
    wants = wants & enemies.alive
    older = jnp.asarray(np.tri(wish.shape[0], k=-1, dtype=bool))
    # an older one with the same wish has it, or one before that has: the first who wants it gets it
    taken = some(older & wants[None] & (wish[None] == wish[:, None]))
    return put(enemies, cell=jnp.where(wants & ~taken, wish, enemies.cell))


def wishes(cell: Array, player: Array, sign: int) -> tuple[Array, Bool[Array, " enemies"]]:
    """The cell to which each would be shoved, and whether there is any.

    Of the diagonal, vertical and horizontal neighbour away from the player, or towards it, the
    farthest or the nearest; the first of equals.
    """
    at, to = jnp.asarray(cell, jnp.int32), jnp.asarray(player, jnp.int32)
    rows, columns = bitboard.row_of_cell(at), bitboard.column_of_cell(at)
    down = sign * jnp.sign(rows - bitboard.row_of_cell(to))
    right = sign * jnp.sign(columns - bitboard.column_of_cell(to))
    options = ((down, right, True), (down, 0, down != 0), (0, right, right != 0))
    best, farthest = at, jnp.full_like(at, -N_CELLS)
    for vertical, horizontal, open_way in options:
        r, c = rows + vertical, columns + horizontal
        there = r * SIDE + c
        inside = (r >= 0) & (r < SIDE) & (c >= 0) & (c < SIDE)
        allowed = inside & open_way & ((sign > 0) | (there != to))
        worth = jnp.where(allowed, sign * manhattan(there, to), -N_CELLS)
        best = jnp.where(worth > farthest, there, best)
        farthest = jnp.maximum(worth, farthest)
    return best, farthest > -N_CELLS
