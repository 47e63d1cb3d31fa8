"""Siphoning: what the player's cell and its four neighbours yield, and what others would have."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, UInt

from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.bitboard import ONE, RAYS, Bitboard
from vibe_rl.env.hackmatrix.compact.packed import put
from vibe_rl.env.hackmatrix.compact.rows import most, total, union
from vibe_rl.env.hackmatrix.rules import N_CELLS, SHORTEST_INTERVAL, SIDE, SIPHON_DELAY
from vibe_rl.env.hackmatrix.state import DATA, PROGRAM, GameBoard, GameState

ZERO = np.uint32(0)
ROOM = 3
"""Bits in which a number of blocks with the same points is counted: five at most lie in a cross."""


def cross(cells: Bitboard) -> Bitboard:
    """The cells and their neighbours."""
    return cells | cells.neighbours()


def siphon(game: GameState) -> GameState:
    """Takes what lies in the player's cross and has not been siphoned; the turn ends."""
    board, player = game.board, game.player
    here = jnp.arange(N_CELLS, dtype=jnp.int32) == player.cell
    taken = cross(bitboard.single(player.cell)).mask() & ~board.siphoned
    block = taken & board.is_block()
    data, free = block & (board.content == DATA), taken & ~block
    programs = jnp.where(taken, programs_on(board), ZERO)
    left = put(
        board,
        spawn=jnp.where(block, 0, board.spawn),
        hidden=board.hidden & ~block,
        credits=jnp.where(free, 0, board.credits),
        energy=jnp.where(free, 0, board.energy),
        siphoned=board.siphoned | taken,
        siphon_center=board.siphon_center | here,
    )
    return game._replace(
        player=player._replace(
            score=player.score + total(board.value, data),
            credits=player.credits + total(board.credits, free),
            energy=player.energy + total(board.energy, free),
            data_siphons=player.data_siphons - 1,
            owned=player.owned | union(programs),
        ),
        board=left,
        pending=game.pending + total(board.spawn, block),
        interval=jnp.maximum(SHORTEST_INTERVAL, game.interval - 1),
        next_spawn_turn=game.next_spawn_turn + SIPHON_DELAY,
    )


class _Yield(NamedTuple):
    """What siphoning on each cell would yield; uint32 `[cells]`."""

    credits: Array
    energy: Array
    data: Array  # how many blocks of each number of points, in `ROOM` bits each
    programs: Array  # those not owned, a bit each


def yields(game: GameState) -> _Yield:
    """They, of every cell; hidden contents count, and standing on a block yields nothing."""
    board, block = game.board, game.board.is_block()
    fresh, value = ~board.siphoned, board.value.astype(jnp.uint32)
    data = jnp.where(fresh & (board.content == DATA), ONE << ROOM * (value - 1), ZERO)
    programs = jnp.where(fresh, programs_on(board), ZERO) & ~game.player.owned
    resources = [jnp.where(fresh & ~block, x, 0) for x in (board.credits, board.energy)]
    planes = jnp.stack([*[x.astype(jnp.uint32) for x in resources], data])
    sums = _over_cross(planes, jax.lax.add)
    joined = _over_cross(programs[None], jax.lax.bitwise_or)
    return _Yield(*[jnp.where(block, ZERO, x) for x in (*sums, *joined)])


def programs_on(board: GameBoard) -> Array:
    """The program of each cell as a bit, 0 where there is none; uint32 `[cells]`."""
    value = board.value.astype(jnp.uint32)
    return jnp.where(board.content == PROGRAM, ONE << value, ZERO)


def _over_cross(planes: UInt[Array, " planes cells"], join) -> UInt[Array, " planes cells"]:
    """Every cell's value joined with those of its neighbours."""
    boards = planes.reshape(-1, SIDE, SIDE)
    padded = jnp.pad(boards, ((0, 0), (1, 1), (1, 1)))
    shifts = ((2, 1), (0, 1), (1, 0), (1, 2))
    joined = boards
    for row, column in shifts:
        joined = join(joined, padded[:, row : row + SIDE, column : column + SIDE])
    return joined.reshape(-1, N_CELLS)


def comparable(game: GameState) -> Bitboard:
    """The cells with which the player's is compared if it yields data or programs.

    Those without a block, in whose cross lies every fresh block of the player's cross.
    """
    blocks = game.board.blocks()
    fresh = blocks - bitboard.of_mask(game.board.siphoned)
    here = bitboard.single(game.player.cell)
    cells = ~blocks
    for member in (here, *(step(here) for step in RAYS)):
        holds = (member & fresh).any()
        cells = bitboard.choose_set(holds, cells & cross(member), cells)
    return cells


def missed(game: GameState) -> Array:
    """Credits and energy that a dominating cell would have yielded more than the player's; int32.

    A cell dominates if it yields the same data and programs, no less of both resources, and more of
    one. The most credits and the most energy may be those of different cells.
    """
    y = yields(game)
    own = jax.tree.map(lambda x: x[game.player.cell], y)
    blocks = game.board.blocks()
    candidates = bitboard.choose_set((own.data | own.programs) != 0, comparable(game), ~blocks)
    same = (y.data == own.data) & (y.programs == own.programs)
    least = (y.credits >= own.credits) & (y.energy >= own.energy)
    dominates: Bool[Array, " cells"] = candidates.mask() & same & least
    best = [most(jnp.where(dominates, x, ZERO)) for x in (y.credits, y.energy)]
    more = [jnp.maximum(b, o) - o for b, o in zip(best, (own.credits, own.energy), strict=True)]
    return (more[0] + more[1]).astype(jnp.int32)
