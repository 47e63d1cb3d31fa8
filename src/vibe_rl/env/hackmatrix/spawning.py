"""Where transmissions appear: on free cells, out of the player's sight where there are such."""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.hackmatrix.chance import Chance, Source, Where, numbers_at, pick_below
from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.bitboard import RAYS, Bitboard
from vibe_rl.env.hackmatrix.compact.packed import put
from vibe_rl.env.hackmatrix.rules import ENEMIES, MOST_TRANSMISSIONS, NEW_TIMER, SIDE
from vibe_rl.env.hackmatrix.state import GameState, Transmissions, choose_tree


class Wave(NamedTuple):
    """How many transmissions appear, and why; int32."""

    scheduled: Array  # 1 or 0
    siphoned: Array  # after the scheduled one
    with_stage: Array  # where there is no enemies' turn

    def size(self) -> Array:
        """All together."""
        return self.scheduled + self.siphoned + self.with_stage


def draw_place(wave: Wave, i: Array, chance: Chance) -> Where:
    """The numbers of the i-th of a wave."""
    turn, stage = chance.turn, chance.stage
    if isinstance(turn.siphoned, Source):
        return numbers_at(turn.siphoned, i)  # from which all are drawn
    of_turn = choose_tree(
        i < wave.scheduled,
        numbers_at(turn.scheduled, 0),
        numbers_at(turn.siphoned, i - wave.scheduled),
    )
    return choose_tree(wave.with_stage > 0, numbers_at(stage.transmissions, i), of_turn)


def line_of_fire(cell: Array, screens: Bitboard) -> Bitboard:
    """The cells in the row and column of a cell from which nothing in `screens` hides it."""

    def further(_: Any, rays: tuple[Bitboard, ...]) -> tuple[Bitboard, ...]:
        on = [step(ray - screens) for step, ray in zip(RAYS, rays[1:], strict=True)]
        return (functools.reduce(operator.or_, on, rays[0]), *on)

    here = bitboard.single(cell)
    rays = tuple(step(here) for step in RAYS)
    seen = functools.reduce(operator.or_, rays)
    return jax.lax.fori_loop(0, SIDE - 2, further, (seen, *rays))[0]


class Spawning(NamedTuple):
    """A wave on its way."""

    i: Array
    free: Bitboard
    transmissions: Transmissions
    count: Array


def spawn(game: GameState, wave: Wave, draw: Callable[[Array], Where]) -> GameState:
    """The game with a wave of transmissions; those for which no cell is free are lost.

    `draw_place` has the numbers of each, by its place in the wave.
    """
    blocks, enemies, eggs = game.board.blocks(), game.enemies.where(), game.transmissions
    in_sight = line_of_fire(game.player.cell, enemies | blocks)
    free = ~(enemies | blocks | eggs.where() | bitboard.single(game.player.cell))
    size = jnp.minimum(wave.size(), MOST_TRANSMISSIONS)

    def another(s: Spawning) -> Spawning:
        safe = s.free - in_sight
        eligible = bitboard.choose_set(safe.any(), safe, s.free)
        possible, numbers = eligible.any(), draw(s.i)
        cell = eligible.nth(pick_below(numbers.cell, eligible.size()))
        scheduled = s.i < wave.scheduled
        egg = put(
            Transmissions(np.uint32(0)),  # type: ignore[arg-type]
            alive=possible,
            kind=pick_below(numbers.kind, len(ENEMIES)),
            cell=cell,
            timer=NEW_TIMER,
            from_schedule=scheduled,
            from_siphon=(wave.siphoned > 0) & ~scheduled,
        )
        here = (jnp.arange(MOST_TRANSMISSIONS, dtype=jnp.int32) == s.count) & possible
        words = jnp.where(here, egg.word, s.transmissions.word)
        taken = bitboard.single(cell)
        return Spawning(s.i + 1, s.free - taken, Transmissions(words), s.count + possible)

    def wanted(s: Spawning) -> Array:
        return s.i < size

    begin = Spawning(jnp.int32(0), free, eggs, eggs.count())
    return game._replace(transmissions=jax.lax.while_loop(wanted, another, begin).transmissions)
