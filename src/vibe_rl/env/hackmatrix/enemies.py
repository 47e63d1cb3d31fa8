"""The enemies' turn: hatching, then moves and attacks in a random order."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from vibe_rl.env.hackmatrix import bitboard
from vibe_rl.env.hackmatrix.bitboard import RAYS, Bitboard
from vibe_rl.env.hackmatrix.packed import put
from vibe_rl.env.hackmatrix.rules import (
    DIRECTIONS,
    ENEMIES,
    GLITCH,
    HATCHED_DISABLED,
    MOST_ENEMIES,
    MOST_SPEED,
    SIDE,
)
from vibe_rl.env.hackmatrix.slots import before, closed_up
from vibe_rl.env.hackmatrix.state import (
    Enemies,
    Game,
    History,
    Snapshot,
    Transmissions,
)

SPEEDS = tuple(enemy.speed for enemy in ENEMIES)
MAX_HP = tuple(enemy.max_hp for enemy in ENEMIES)
STRIDES = tuple(row * SIDE + column for row, column in DIRECTIONS)
"""By how much a step in each direction changes a cell's number."""
FAR = np.int32(99)
"""More than any distance on the board."""
NEVER = np.int32(-1)


def hatch(game: Game) -> Game:
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
    goes_to = hatches[None] & (slot[None] == jnp.arange(MOST_ENEMIES)[:, None])  # [enemies, transmissions]
    arrived = jnp.where(goes_to, born.word, np.uint32(0)).sum(1, dtype=jnp.uint32)
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

    visit: Array  # int32
    hp: Array  # of the player
    cell: Int[Array, " enemies"]
    attacked: Bool[Array, " enemies"]


def act_all(game: Game, order: Array, happens: Array) -> Game:
    """Every enemy attacks or moves, as often as it is fast; each sub-step in its own order."""
    enemies, walls = game.enemies, game.board.blocks()
    eggs = game.transmissions.where()
    awake = enemies.alive & (enemies.disabled == 0) & ~enemies.stunned & happens
    n, visits = jnp.int32(0), []
    for sub_step in range(MOST_SPEED):
        able = awake & (of_kind(SPEEDS, enemies.kind) > sub_step)
        visits.append(jnp.where(able, n + places(order[sub_step], able), NEVER))
        n = n + able.sum(dtype=jnp.int32)

    def visit(a: Acting) -> Acting:
        self = visits[0] == a.visit
        for of_sub_step in visits[1:]:
            self = self | (of_sub_step == a.visit)
        return visited(a, self, game, (walls, eggs))

    def left(a: Acting) -> Array:
        return a.visit < n

    nobody = jnp.zeros_like(awake)
    acting = Acting(jnp.int32(0), game.player.hp, enemies.cell, nobody)
    acting = jax.lax.while_loop(left, visit, acting)
    player = game.player._replace(hp=acting.hp)
    return game._replace(player=player, enemies=put(enemies, cell=acting.cell))


def places(order: Array, able: Bool[Array, " enemies"]) -> Int[Array, " enemies"]:
    """The place of each in the order of their numbers among those able; older ones win ties."""
    index = jnp.arange(MOST_ENEMIES)
    ties = (order[None] == order[:, None]) & (index[None] < index[:, None])
    earlier = (order[None] < order[:, None]) | ties
    return (earlier & able[None]).sum(1, dtype=jnp.int32)


def visited(
    acting: Acting, self: Bool[Array, " enemies"], game: Game, fixed: tuple[Bitboard, Bitboard]
) -> Acting:
    """One enemy attacks if it is beside the player, else moves."""
    (walls, eggs), player, alive = fixed, game.player.cell, game.enemies.alive
    cell = jnp.where(self, acting.cell, 0).sum(dtype=jnp.int32)
    glitch = (self & (game.enemies.kind == GLITCH)).any()
    attacked = (self & acting.attacked).any()
    beside = manhattan(cell, player) == 1
    walls = bitboard.choose(glitch, bitboard.NONE, walls)
    occupied = bitboard.of_cells(acting.cell, alive & ~self) | eggs
    goal = next_cell(cell, player, walls, occupied, ~(beside | attacked))
    moves, hits = ~beside & ~attacked, beside & ~attacked
    return Acting(
        visit=acting.visit + 1,
        hp=jnp.maximum(acting.hp - hits, 0),
        cell=jnp.where(self & moves, goal, acting.cell),
        attacked=acting.attacked | (self & hits),
    )


def manhattan(a: Array, b: Array) -> Array:
    """Steps between two cells on an empty board."""
    a, b = jnp.asarray(a, jnp.int32), jnp.asarray(b, jnp.int32)
    return jnp.abs(a // SIDE - b // SIDE) + jnp.abs(a % SIDE - b % SIDE)


def next_cell(
    cell: Array, player: Array, walls: Bitboard, occupied: Bitboard, wanted: Array
) -> Array:
    """Where an enemy goes from its cell, which is not beside the player's.

    Along the shortest path round those in its way; else along the shortest path that ignores them,
    if its first cell is free; else to whichever free neighbour is nearest to the player.
    """
    occupied = occupied - bitboard.single(player)
    around, own = first_step(cell, player, ~(walls | occupied), wanted)
    through, there = first_step(cell, player, ~walls, wanted & ~own)
    there = there & ~occupied.has(through)
    nearest = nearest_neighbour(cell, player, walls | occupied)
    return jnp.where(own, around, jnp.where(there, through, nearest))


def first_step(
    cell: Array, player: Array, enterable: Bitboard, wanted: Array
) -> tuple[Array, Array]:
    """The first cell of the shortest path to the player, and whether there is a path."""
    here = bitboard.single(cell)
    start = bitboard.single(player) & enterable
    start = bitboard.choose(wanted, start, bitboard.NONE)
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


def wake(game: Game) -> Game:
    """Nobody is stunned any more, and new enemies are nearly ready."""
    enemies = game.enemies
    disabled = jnp.maximum(enemies.disabled - 1, 0)
    return game._replace(enemies=put(enemies, disabled=disabled, stunned=False))


def with_snapshot(game: Game) -> Game:
    """The game with the beginning of this turn of the player's on top of its history."""
    newest = snapshot(game)
    depth = jax.tree.leaves(game.history.snapshots)[0].shape[0]
    pushed = jax.tree.map(
        lambda new, old: jnp.concatenate([new[None], old[:-1]]), newest, game.history.snapshots
    )
    return game._replace(history=History(pushed, jnp.minimum(game.history.count + 1, depth)))


def snapshot(game: Game) -> Snapshot:
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


def without_origins(slots: Enemies | Transmissions) -> Enemies | Transmissions:
    """As if nobody had come by schedule or siphon."""
    return put(slots, from_schedule=False, from_siphon=False)
