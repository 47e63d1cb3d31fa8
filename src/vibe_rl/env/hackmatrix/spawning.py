"""Where transmissions appear: on free cells, out of the player's sight where there are such."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.hackmatrix import bitboard
from vibe_rl.env.hackmatrix.bitboard import RAYS, Bitboard
from vibe_rl.env.hackmatrix.chance import Chance, Where, numbers_of, pick
from vibe_rl.env.hackmatrix.packed import put
from vibe_rl.env.hackmatrix.rules import ENEMIES, MOST_TRANSMISSIONS, NEW_TIMER, SIDE
from vibe_rl.env.hackmatrix.state import Game, Transmissions, choose


class Wave(NamedTuple):
    """How many transmissions appear, and why; int32."""

    scheduled: Array  # 1 or 0
    siphoned: Array  # after the scheduled one
    with_stage: Array  # where there is no enemies' turn

    def size(self) -> Array:
        """All together."""
        return self.scheduled + self.siphoned + self.with_stage


def draw(wave: Wave, i: Array, chance: Chance) -> Where:
    """The numbers of the i-th of a wave."""
    turn = chance.turn
    choices = [
        (wave.with_stage > 0, numbers_of(chance.stage.transmissions, i)),
        (i < wave.scheduled, numbers_of(turn.scheduled, 0)),
    ]
    result = numbers_of(turn.siphoned, i - wave.scheduled)
    for condition, numbers in choices:
        result = choose(condition, numbers, result)
    return result


def line_of_fire(cell: Array, screens: Bitboard) -> Bitboard:
    """The cells in the row and column of a cell from which nothing in `screens` hides it."""
    seen = bitboard.NONE
    for step in RAYS:
        ray = step(bitboard.single(cell))
        seen = seen | ray
        for _ in range(SIDE - 2):
            ray = step(ray - screens)
            seen = seen | ray
    return seen


class Spawning(NamedTuple):
    """A wave on its way."""

    i: Array
    free: Bitboard
    transmissions: Transmissions
    count: Array


def spawn(game: Game, wave: Wave, draw: Callable[[Array], Where]) -> Game:
    """The game with a wave of transmissions; those for which no cell is free are lost.

    `draw` has the numbers of each, by its place in the wave.
    """
    blocks, enemies, eggs = game.board.blocks(), game.enemies.where(), game.transmissions
    in_sight = line_of_fire(game.player.cell, enemies | blocks)
    free = ~(enemies | blocks | eggs.where() | bitboard.single(game.player.cell))
    size = jnp.minimum(wave.size(), MOST_TRANSMISSIONS)

    def another(s: Spawning) -> Spawning:
        safe = s.free - in_sight
        eligible = bitboard.choose(safe.any(), safe, s.free)
        possible, numbers = eligible.any(), draw(s.i)
        cell = eligible.nth(pick(numbers.cell, eligible.size()))
        scheduled = s.i < wave.scheduled
        egg = put(
            Transmissions(np.uint32(0)),  # type: ignore[arg-type]
            alive=possible,
            kind=pick(numbers.kind, len(ENEMIES)),
            cell=cell,
            timer=NEW_TIMER,
            from_schedule=scheduled,
            from_siphon=(wave.siphoned > 0) & ~scheduled,
        )
        here = (jnp.arange(MOST_TRANSMISSIONS) == s.count) & possible
        words = jnp.where(here, egg.word, s.transmissions.word)
        taken = bitboard.single(cell)
        return Spawning(s.i + 1, s.free - taken, Transmissions(words), s.count + possible)

    def wanted(s: Spawning) -> Array:
        return s.i < size

    begin = Spawning(jnp.int32(0), free, eggs, eggs.count())
    return game._replace(transmissions=jax.lax.while_loop(wanted, another, begin).transmissions)
