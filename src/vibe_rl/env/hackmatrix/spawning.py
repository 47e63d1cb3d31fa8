"""Where transmissions appear: on free cells, out of the player's sight where there are such."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.env.hackmatrix import bitboard
from vibe_rl.env.hackmatrix.bitboard import Bitboard
from vibe_rl.env.hackmatrix.chance import Where, pick
from vibe_rl.env.hackmatrix.rules import ENEMIES, NEW_TIMER, SIDE
from vibe_rl.env.hackmatrix.state import Game, Transmissions

RAYS = (Bitboard.up, Bitboard.down, Bitboard.left, Bitboard.right)


def line_of_fire(cell: Array, screens: Bitboard) -> Bitboard:
    """The cells in the row and column of a cell from which nothing in `screens` hides it."""
    start = bitboard.single(cell)
    seen = bitboard.NONE
    for step in RAYS:
        ray = start
        for _ in range(SIDE - 1):
            ray = step(ray - screens) if ray is not start else step(ray)
            seen = seen | ray
    return seen


def free_cells(game: Game) -> Bitboard:
    """Those without player, enemy, transmission or block."""
    taken = game.enemies.where() | game.transmissions.where() | game.board.blocks()
    return ~(taken | bitboard.single(game.player.cell))


class Spawning(NamedTuple):
    """Transmissions while some appear one after another."""

    i: Array
    free: Bitboard
    transmissions: Transmissions
    count: Array


def spawn(
    game: Game, n: Array, draws: Where, *, from_schedule: bool = False, from_siphon: bool = False
) -> Game:
    """`n` new transmissions, at most as many as there are draws; fewer where no cell is free."""
    screens = game.enemies.where() | game.board.blocks()
    in_sight = line_of_fire(game.player.cell, screens)
    cells, kinds = jnp.atleast_1d(draws.cell), jnp.atleast_1d(draws.kind)
    flags = (from_schedule, from_siphon)

    def another(s: Spawning) -> Spawning:
        safe = s.free - in_sight
        eligible = bitboard.choose(safe.any(), safe, s.free)
        cell = eligible.nth(pick(cells[s.i], eligible.size()))
        kind = pick(kinds[s.i], len(ENEMIES))
        slot = jnp.where(eligible.any(), s.count, -1)
        added = _added(s.transmissions, slot, cell, kind, flags)
        return Spawning(s.i + 1, s.free - bitboard.single(cell), added, s.count + eligible.any())

    def wanted(s: Spawning) -> Array:
        return s.i < n

    transmissions = game.transmissions
    begin = Spawning(jnp.int32(0), free_cells(game), transmissions, transmissions.count())
    return game._replace(transmissions=jax.lax.while_loop(wanted, another, begin).transmissions)


def _added(
    old: Transmissions, slot: Array, cell: Array, kind: Array, flags: tuple[bool, bool]
) -> Transmissions:
    new: Any = Transmissions(True, kind, cell, NEW_TIMER, *flags)
    here = jnp.arange(old.alive.shape[0]) == slot
    return jax.tree.map(lambda o, n: jnp.where(here, jnp.asarray(n, o.dtype), o), old, new)
