"""The enemies' turn: hatching, moves and attacks in a random order, and what appears after them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from vibe_rl.env.hackmatrix import bitboard
from vibe_rl.env.hackmatrix.bitboard import Bitboard
from vibe_rl.env.hackmatrix.chance import TurnChance
from vibe_rl.env.hackmatrix.rules import (
    ENEMIES,
    GLITCH,
    HATCHED_DISABLED,
    MOST_ENEMIES,
    MOST_SPEED,
    SIDE,
)
from vibe_rl.env.hackmatrix.spawning import RAYS, spawn
from vibe_rl.env.hackmatrix.state import (
    Enemies,
    Game,
    History,
    Snapshot,
    Transmissions,
    choose,
    closed_up,
)

SPEEDS = np.array([enemy.speed for enemy in ENEMIES], np.int8)
MAX_HP = np.array([enemy.max_hp for enemy in ENEMIES], np.int8)
FAR = np.int32(99)
"""More than any distance on the board."""


def enemy_turn(game: Game, chance: TurnChance, due: Array) -> Game:
    """All that happens after an action that ends the player's turn, where it is due.

    Where STEP is armed, it only disarms it.
    """
    happens = due & ~game.step_armed
    moved = act(hatch(game._replace(turn=game.turn + 1)), chance.order, happens)
    moved = spawn_scheduled(moved, chance, happens)
    moved = spawn_pending(moved, chance, happens)
    moved = with_snapshot(wake(moved))
    return choose(happens, moved, game)._replace(step_armed=game.step_armed & ~due)


def hatch(game: Game) -> Game:
    """Transmissions become enemies when their time is up, as far as there are free slots."""
    eggs, enemies = game.transmissions, game.enemies
    due = eggs.alive & (eggs.timer <= 1)
    rank = jnp.cumsum(due, dtype=jnp.int32) - due
    slot = enemies.count() + rank
    hatches = due & (slot < MOST_ENEMIES)
    born = Enemies(
        alive=eggs.alive,
        kind=eggs.kind,
        cell=eggs.cell,
        hp=jnp.asarray(MAX_HP)[eggs.kind],
        disabled=jnp.full_like(eggs.kind, HATCHED_DISABLED),
        stunned=jnp.zeros_like(eggs.alive),
        from_schedule=eggs.from_schedule,
        from_siphon=eggs.from_siphon,
    )
    goes_to = hatches & (slot == jnp.arange(MOST_ENEMIES)[:, None])  # [enemies, transmissions]
    appended = jax.tree.map(lambda x, new: _appended(x, new, goes_to), enemies, born)
    waiting = eggs._replace(
        alive=eggs.alive & ~hatches, timer=jnp.where(due, eggs.timer, eggs.timer - eggs.alive)
    )
    return game._replace(enemies=appended, transmissions=closed_up(waiting))


def _appended(old: Array, new: Array, goes_to: Bool[Array, " enemies transmissions"]) -> Array:
    if old.dtype == bool:
        return old | (goes_to & new).any(1)
    return old + jnp.where(goes_to, new, jnp.zeros_like(new)).sum(1, dtype=old.dtype)


class Acting(NamedTuple):
    """Enemies while they act one after another."""

    visit: Array  # int32
    hp: Array  # of the player
    cell: Int[Array, " enemies"]
    attacked: Bool[Array, " enemies"]


def act(game: Game, order: Array, happens: Array) -> Game:
    """Every enemy attacks or moves, as often as it is fast; each sub-step in its own order."""
    enemies, walls = game.enemies, game.board.blocks()
    eggs = game.transmissions.where()
    able = enemies.alive & (enemies.disabled == 0) & ~enemies.stunned & happens
    attacked = jnp.zeros_like(able)
    acting = Acting(jnp.int32(0), game.player.hp, enemies.cell, attacked)
    for sub_step in range(MOST_SPEED):
        able = able & (jnp.asarray(SPEEDS)[enemies.kind] > sub_step)
        place = places(order[sub_step], able)
        n = able.sum(dtype=jnp.int32)

        def visit(a: Acting, place: Array = place, able: Array = able) -> Acting:
            return visited(a, (place == a.visit) & able, game, (walls, eggs))

        def left(a: Acting, n: Array = n) -> Array:
            return a.visit < n

        acting = jax.lax.while_loop(left, visit, acting._replace(visit=jnp.int32(0)))
    return game._replace(
        player=game.player._replace(hp=acting.hp), enemies=enemies._replace(cell=acting.cell)
    )


def places(order: Array, able: Bool[Array, " enemies"]) -> Int[Array, " enemies"]:
    """The place of each in the order of their numbers among those able; older ones win ties."""
    index = jnp.arange(MOST_ENEMIES)
    earlier = (order < order[:, None]) | ((order == order[:, None]) & (index < index[:, None]))
    return (earlier & able).sum(1, dtype=jnp.int32)


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
        cell=jnp.where(self & moves, goal.astype(jnp.int8), acting.cell),
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
    return first_neighbour(here, reached), found


def first_neighbour(here: Bitboard, among: Bitboard) -> Array:
    """The first of a cell's neighbours, in the order of directions, that is in a set."""
    result = here.nth(0)
    for step in reversed(RAYS):
        neighbour = step(here) & among
        result = jnp.where(neighbour.any(), neighbour.nth(0), result)
    return result


def nearest_neighbour(cell: Array, player: Array, closed: Bitboard) -> Array:
    """The free neighbour nearest to the player, the first of equals; the cell if there is none."""
    best, nearest = jnp.asarray(cell, jnp.int32), FAR
    here = bitboard.single(cell)
    for step in RAYS:
        neighbour = step(here) - closed
        there = neighbour.nth(0)
        distance = jnp.where(neighbour.any(), manhattan(there, player), FAR)
        best = jnp.where(distance < nearest, there, best)
        nearest = jnp.minimum(distance, nearest)
    return best


def spawn_scheduled(game: Game, chance: TurnChance, happens: Array) -> Game:
    """A transmission where the time for one has come and CALM is off."""
    due = happens & ~game.calm & (game.turn >= game.next_spawn_turn)
    spawned = spawn(game, due.astype(jnp.int32), chance.scheduled, from_schedule=True)
    following = jnp.where(due, game.turn + game.interval, game.next_spawn_turn)
    return spawned._replace(next_spawn_turn=following)


def spawn_pending(game: Game, chance: TurnChance, happens: Array) -> Game:
    """The transmissions that siphoning has released."""
    n = jnp.where(happens, game.pending, 0)
    spawned = spawn(game, n, chance.siphoned, from_siphon=True)
    return spawned._replace(pending=jnp.int32(0))


def wake(game: Game) -> Game:
    """Nobody is stunned any more, and new enemies are nearly ready."""
    enemies = game.enemies
    return game._replace(
        enemies=enemies._replace(
            disabled=jnp.maximum(enemies.disabled - 1, 0), stunned=jnp.zeros_like(enemies.stunned)
        )
    )


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
    none = jnp.zeros_like(slots.alive)
    return slots._replace(from_schedule=none, from_siphon=none)
