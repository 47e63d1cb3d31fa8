"""The enemies' turn: hatching, then moves and attacks in a random order."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.bitboard import RAYS, Bitboard, column_of_cell, row_of_cell
from vibe_rl.env.hackmatrix.compact.packed import Record, put
from vibe_rl.env.hackmatrix.compact.rows import least, some, total
from vibe_rl.env.hackmatrix.compact.slots import before, closed_up
from vibe_rl.env.hackmatrix.rules import (
    DIRECTIONS,
    ENEMIES,
    GLITCH,
    HATCHED_DISABLED,
    MOST_ENEMIES,
    MOST_SPEED,
    SIDE,
)
from vibe_rl.env.hackmatrix.state import (
    Enemies,
    GameState,
    History,
    Snapshot,
)

SPEEDS = tuple(enemy.speed for enemy in ENEMIES)
MAX_HP = tuple(enemy.max_hp for enemy in ENEMIES)
STRIDES = tuple(row * SIDE + column for row, column in DIRECTIONS)
"""By how much a step in each direction changes a cell's number."""
FAR = np.int32(99)
"""More than any distance on the board."""
AGE_BITS = np.uint32(6)
SECOND, NEVER = np.uint32(1 << 30), np.uint32(2**31 - 1)
"""Ranks of the second sub-step begin with one bit more; none is as high as `NEVER`."""


def hatch(game: GameState) -> GameState:
    """Transmissions become enemies when their time is up, as far as there are free slots."""
    eggs, enemies = game.transmissions, game.enemies
    due = eggs.alive & (eggs.timer <= 1)
    slot = enemies.count() + before(due)
    hatches = due & (slot < MOST_ENEMIES)
    born = put(
        Enemies(np.uint32(0)),  # type: ignore[arg-type]
        alive=True,
        kind=eggs.kind,
        cell=eggs.cell,
        hp=of_kind(MAX_HP, eggs.kind),
        disabled=HATCHED_DISABLED,
        from_schedule=eggs.from_schedule,
        from_siphon=eggs.from_siphon,
    )
    slots = jnp.arange(MOST_ENEMIES, dtype=jnp.int32)[:, None]
    goes_to = hatches[None] & (slot[None] == slots)  # [enemies, transmissions]
    arrived = total(jnp.where(goes_to, born.word[None], np.uint32(0)))
    later = jnp.where(eggs.alive & ~due, eggs.timer - 1, eggs.timer)
    waiting = put(eggs, alive=eggs.alive & ~hatches, timer=later)
    return game._replace(enemies=Enemies(enemies.word | arrived), transmissions=closed_up(waiting))


def of_kind(table: tuple[int, ...], kind: Array) -> Array:
    """A number of every enemy that its kind decides, such as `MAX_HP`."""
    result: Any = np.int32(table[0])
    for i, number in enumerate(table[1:], start=1):
        result = jnp.where(kind == i, number, result)
    return result


class Acting(NamedTuple):
    """Enemies while they act one after another."""

    last: Array  # uint32, the rank of the one that acted last
    hp: Array  # of the player
    cell: Int[Array, " enemies"]
    attacked: Bool[Array, " enemies"]


def act_all(game: GameState, order: Array, happens: Array) -> GameState:
    """Every enemy attacks or moves, as often as it is fast; each sub-step in its own order."""
    ranks = visits(game.enemies, order, happens)
    fixed = game.board.blocks(), game.transmissions.where()

    def following(a: Acting) -> Array:
        return least(jnp.minimum(*[jnp.where(x > a.last, x, NEVER) for x in ranks]))

    def visit(a: Acting) -> Acting:
        rank = following(a)
        self = (ranks[0] == rank) | (ranks[1] == rank)
        return visited(a._replace(last=rank), self, game, fixed)

    def left(a: Acting) -> Array:
        return following(a) != NEVER

    nobody = jnp.zeros_like(game.enemies.alive)
    acting = Acting(jnp.uint32(0), game.player.hp, game.enemies.cell, nobody)
    acting = jax.lax.while_loop(left, visit, acting)
    player = game.player._replace(hp=acting.hp)
    return game._replace(player=player, enemies=put(game.enemies, cell=acting.cell))


def visits(enemies: Enemies, order: Array, happens: Array) -> tuple[Array, Array]:
    """Who acts when in both sub-steps: lower numbers before higher ones; uint32 `[enemies]` each.

    By sub-step, then by random number, then by age; `NEVER` for those that do not act.
    """
    age = 1 + jnp.arange(MOST_ENEMIES, dtype=jnp.uint32)
    able = enemies.alive & (enemies.disabled == 0) & ~enemies.stunned & happens
    fast = able & (of_kind(SPEEDS, enemies.kind) == MOST_SPEED)
    first, second = ((k << AGE_BITS) | age for k in order)
    return jnp.where(able, first, NEVER), jnp.where(fast, second | SECOND, NEVER)


def visited(
    acting: Acting, self: Bool[Array, " enemies"], game: GameState, fixed: tuple[Bitboard, Bitboard]
) -> Acting:
    """One enemy attacks if it is beside the player, else moves."""
    (walls, eggs), player, alive = fixed, game.player.cell, game.enemies.alive
    cell = total(acting.cell, self)
    glitch = some(self & (game.enemies.kind == GLITCH))
    attacked = some(self & acting.attacked)
    beside = manhattan(cell, player) == 1
    walls = bitboard.choose_set(glitch, bitboard.NONE, walls)
    occupied = bitboard.of_cells(acting.cell, alive & ~self) | eggs
    goal = next_cell(cell, player, walls, occupied, ~(beside | attacked))
    moves, hits = ~beside & ~attacked, beside & ~attacked
    return acting._replace(
        hp=jnp.maximum(acting.hp - hits, 0),
        cell=jnp.where(self & moves, goal, acting.cell),
        attacked=acting.attacked | (self & hits),
    )


def manhattan(a: Array, b: Array) -> Array:
    """Steps between two cells on an empty board."""
    a, b = jnp.asarray(a, jnp.int32), jnp.asarray(b, jnp.int32)
    return jnp.abs(row_of_cell(a) - row_of_cell(b)) + jnp.abs(column_of_cell(a) - column_of_cell(b))


def next_cell(
    cell: Array, player: Array, walls: Bitboard, occupied: Bitboard, wanted: Array
) -> Array:
    """Where an enemy goes from its cell, which is not beside the player's.

    Along the shortest path round those in its way; else along the shortest path that ignores them,
    if its first cell is free; else to whichever free neighbour is nearest to the player.
    """
    occupied = occupied - bitboard.single(player)
    around, own = _first_step(cell, player, ~(walls | occupied), wanted)
    through, there = _first_step(cell, player, ~walls, wanted & ~own)
    there = there & ~occupied.has(through)
    nearest = nearest_neighbour(cell, player, walls | occupied)
    return jnp.where(own, around, jnp.where(there, through, nearest))


def _first_step(
    cell: Array, player: Array, enterable: Bitboard, wanted: Array
) -> tuple[Array, Array]:
    """The first cell of the shortest path to the player, and whether there is a path."""
    here = bitboard.single(cell)
    start = bitboard.single(player) & enterable
    start = bitboard.choose_set(wanted, start, bitboard.NONE)
    reached = bitboard.flood(start, enterable - here, here).reached
    found = (reached & here.neighbours()).any() & (cell != player)
    return first_neighbour(cell, reached), found


def first_neighbour(cell: Array, among: Bitboard) -> Array:
    """The first of a cell's neighbours, in the order of directions, that is in a set."""
    result, here = cell, bitboard.single(cell)
    for step, stride in reversed(list(zip(RAYS, STRIDES, strict=True))):
        result = jnp.where((step(here) & among).any(), cell + stride, result)
    return result


def nearest_neighbour(cell: Array, player: Array, closed: Bitboard) -> Array:
    """The free neighbour nearest to the player, the first of equals; the cell if there is none."""
    best, nearest, here = cell, FAR, bitboard.single(cell)
    for step, stride in zip(RAYS, STRIDES, strict=True):
        is_free = (step(here) - closed).any()
        distance = jnp.where(is_free, manhattan(cell + stride, player), FAR)
        best = jnp.where(distance < nearest, cell + stride, best)
        nearest = jnp.minimum(distance, nearest)
    return best


def wake(game: GameState) -> GameState:
    """Nobody is stunned any more, and new enemies are nearly ready."""
    enemies = game.enemies
    disabled = jnp.maximum(enemies.disabled - 1, 0)
    return game._replace(enemies=put(enemies, disabled=disabled, stunned=False))


def with_snapshot(game: GameState) -> GameState:
    """The game with the beginning of this turn of the player's on top of its history."""
    newest = _snapshot(game)
    depth = jax.tree.leaves(game.history.snapshots)[0].shape[0]
    pushed = jax.tree.map(
        lambda new, old: jnp.concatenate([new[None], old[:-1]]), newest, game.history.snapshots
    )
    return game._replace(history=History(pushed, jnp.minimum(game.history.count + 1, depth)))


def _snapshot(game: GameState) -> Snapshot:
    """What UNDO will restore; where enemies and transmissions came from is not kept."""
    return Snapshot(
        player=game.player,
        board=game.board,
        enemies=without_origins(game.enemies),
        transmissions=without_origins(game.transmissions),
        turn=game.turn,
        show=game.show,
        calm=game.calm,
        atk_uses=game.atk_uses,
    )


def without_origins(slots: Record) -> Record:
    """As if nobody had come by schedule or siphon."""
    return put(slots, from_schedule=False, from_siphon=False)
