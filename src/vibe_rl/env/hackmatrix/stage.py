"""Entering a stage: the exit, the blocks, resources, and the first transmissions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from vibe_rl.env.hackmatrix.chance import Attempt, Resources, StageChance, pick_below
from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.bitboard import AT_CORNERS, CORNER_CELLS, ONE, Bitboard
from vibe_rl.env.hackmatrix.compact.packed import put
from vibe_rl.env.hackmatrix.compact.rows import most
from vibe_rl.env.hackmatrix.rules import (
    AMOUNTS,
    COIN,
    FEWEST_BLOCKS,
    HIDDEN,
    LAYOUT_ATTEMPTS,
    LONGEST_INTERVAL,
    MOST_BLOCKS,
    MOST_POINTS,
    N_CELLS,
    N_PROGRAMS,
    PROGRAMS,
)
from vibe_rl.env.hackmatrix.state import (
    DATA,
    DATA_SIPHON,
    EMPTY,
    EXIT,
    PROGRAM,
    GameBoard,
    GameState,
)
from vibe_rl.types import PyTree

PROGRAM_SPAWNS = np.array([program.spawn for program in PROGRAMS], np.int32)
NOWHERE = np.int32(-1)


class Site(NamedTuple):
    """What the blocks of a stage have to suit."""

    wanted: Array  # bool, whether a layout is needed at all
    count: Array  # of blocks, int32
    exit: Array  # cell
    occupied: Bitboard  # by enemies and transmissions


class Layout(NamedTuple):
    """Where the blocks of a stage are."""

    block: Array  # int32 [cells], the number of the block on each cell; -1 where there is none
    contents: Attempt  # the numbers that decide what the blocks hold


Layouts = Callable[[PyTree, Site], Layout]
"""Chooses the cells of a stage's blocks, from its share of `StageChance`."""


def connected(blocks: Bitboard, exit_cell: Any) -> Any:
    """Whether all cells without a block can be reached from the first without leaving by the exit.

    The way may lead through the exit only where that is the first cell itself.
    """
    free, first = ~blocks, bitboard.single(0)
    through = free - (bitboard.single(exit_cell) - first)
    inside = bitboard.flood(first, through, bitboard.NONE).reached
    reached = inside | (inside.neighbours() & free)
    return ~(free - reached).any()


def siphonable(blocks: Bitboard) -> Any:
    """Whether each block has a cell without a block beside it."""
    return ~(blocks - (~blocks).neighbours()).any()


def valid(blocks: Bitboard, exit_cell: Any) -> Any:
    """Whether a stage may have these blocks."""
    return siphonable(blocks) & connected(blocks, exit_cell)


class Attempts(NamedTuple):
    """Attempts at a layout."""

    made: Array  # int32
    cells: Array  # int32 [blocks], -1 for blocks that are not there
    found: Array  # bool


def place_one_after_another(draw: Callable[[Array], Attempt], site: Site) -> Attempts:
    """Attempts, the numbers of each from `draw`, until one is valid; at last no blocks.

    Each places its blocks on free cells one after another.
    """
    eligible = ~(AT_CORNERS | site.occupied)

    def attempt(attempts: Attempts) -> Attempts:
        cells, blocks = _placed(draw(attempts.made).cell, site.count, eligible)
        return Attempts(attempts.made + 1, cells, valid(blocks, site.exit))

    def unfinished(attempts: Attempts) -> Array:
        return site.wanted & ~attempts.found & (attempts.made < LAYOUT_ATTEMPTS)

    nothing = jnp.full(MOST_BLOCKS, NOWHERE)
    last = jax.lax.while_loop(
        unfinished, attempt, Attempts(jnp.int32(0), nothing, jnp.array(False))
    )
    return last._replace(cells=jnp.where(last.found, last.cells, NOWHERE))


def _placed(draws: Array, count: Array, eligible: Bitboard) -> tuple[Array, Bitboard]:
    """The cells of blocks one after another, and their set."""

    def place(left: Bitboard, block: tuple[Array, Array]) -> tuple[Bitboard, Array]:
        number, k = block
        cell = left.nth(pick_below(k, left.size()))
        cell = jnp.where((number < count) & left.any(), cell, NOWHERE)
        return left - bitboard.single(cell), cell

    left, cells = jax.lax.scan(
        place, bitboard.as_arrays(eligible), (jnp.arange(MOST_BLOCKS, dtype=jnp.int32), draws)
    )
    return cells, eligible - left


def numbered(cells: Array) -> Array:
    """The number of the block on each cell of the board, -1 where there is none."""
    here = cells[:, None] == jnp.arange(N_CELLS, dtype=jnp.int32)[None]
    numbers = jnp.where(here, jnp.arange(MOST_BLOCKS, dtype=jnp.int32)[:, None], NOWHERE)
    return numbers.max(0)


def from_tape(tape: Attempt, site: Site) -> Layout:
    """A layout as the rules say, from numbers `[attempts, blocks]` for every attempt."""
    attempts = place_one_after_another(lambda i: jax.tree.map(lambda x: x[i], tape), site)
    last = jnp.maximum(attempts.made - 1, 0)
    return Layout(numbered(attempts.cells), jax.tree.map(lambda x: x[last], tape))


def furnished(layout: Layout) -> GameBoard:
    """A board with blocks, what they hold drawn one after another, and nothing else."""
    contents, there = layout.contents, layout.block >= 0
    data, blocks = contents.data < COIN, jnp.arange(MOST_BLOCKS, dtype=jnp.int32)
    programs = distinct_programs(contents.value, ~data & (blocks <= most(layout.block)))
    points = 1 + pick_below(contents.value, MOST_POINTS)
    spawns = jnp.where(data, points, jnp.asarray(PROGRAM_SPAWNS)[programs])
    each = put(
        GameBoard(np.uint32(0)),  # type: ignore[arg-type]
        content=jnp.where(data, np.int32(DATA), np.int32(PROGRAM)),
        value=jnp.where(data, points, programs),
        spawn=spawns,
        hidden=contents.hidden < HIDDEN,
    )
    return GameBoard(jnp.where(there, each.word[layout.block], np.uint32(0)))


def distinct_programs(draws: Array, wanted: Bool[Array, " blocks"]) -> Int[Array, " blocks"]:
    """A program for each block that wants one, none of them twice."""

    def choose(left: Array, block: tuple[Array, Array]) -> tuple[Array, Array]:
        k, wants = block
        size = jax.lax.population_count(left)
        program = bitboard.nth_bit(left, pick_below(k, size))
        used = jnp.where(wants, ONE << program.astype(jnp.uint32), np.uint32(0))
        return left & ~used, program

    return jax.lax.scan(choose, jnp.uint32(2**N_PROGRAMS - 1), (draws, wanted))[1]


def with_resources(board: GameBoard, draws: Resources) -> GameBoard:
    """Credits or energy on every cell without block or exit."""
    amount = 1 + sum((draws.amount >= limit).astype(jnp.int32) for limit in AMOUNTS)
    there = (board.content == EMPTY) | (board.content == DATA_SIPHON)
    credits = draws.kind < COIN
    return put(
        board,
        credits=jnp.where(there & credits, amount, 0),
        energy=jnp.where(there & ~credits, amount, 0),
    )


def exit_corner(player: Array, k: Array) -> Array:
    """One of the corners where the player is not."""
    corners = jnp.asarray(CORNER_CELLS, jnp.int32)
    own = jnp.argmax(corners == player).astype(jnp.int32)
    choice = pick_below(k, len(CORNER_CELLS) - 1)
    return corners[choice + (choice >= own)]


def new_board(
    game: GameState, exit_cell: Array, chance: StageChance, blocks: GameBoard
) -> GameBoard:
    """The board of a stage: its blocks, exit, data siphons and resources."""
    cells = jnp.arange(N_CELLS, dtype=jnp.int32)
    corner = AT_CORNERS.mask() & (cells != game.player.cell)
    content = jnp.where(corner, DATA_SIPHON, blocks.content)
    content = jnp.where(cells == exit_cell, EXIT, content)
    return with_resources(put(blocks, content=content), chance.resources)


def enter_stage(
    game: GameState, chance: StageChance, layouts: Layouts, entering: Array
) -> GameState:
    """The stage that the game is at, newly laid out, before its first transmissions.

    The player stands on a corner. Player, enemies, transmissions and what is pending are kept.

    Args:
        game: at the stage to enter.
        chance: numbers for it.
        layouts: chooses where the blocks are.
        entering: whether the result will be used; where not, it means nothing.
    """
    exit_cell = exit_corner(game.player.cell, chance.exit)
    count = FEWEST_BLOCKS + pick_below(chance.count, MOST_BLOCKS - FEWEST_BLOCKS + 1)
    occupied = game.enemies.where() | game.transmissions.where()
    blocks = furnished(layouts(chance.layouts, Site(entering, count, exit_cell, occupied)))
    off, zero = jnp.array(False), jnp.int32(0)
    return game._replace(
        board=new_board(game, exit_cell, chance, blocks),
        turn=zero,
        interval=LONGEST_INTERVAL - game.stage,
        next_spawn_turn=LONGEST_INTERVAL - game.stage,
        show=off,
        calm=off,
        step_armed=off,
        atk_uses=zero,
        exit=exit_cell,
        history=game.history._replace(count=zero),
    )


def n_transmissions(stage: Array, scale: Any) -> Array:
    """How many a stage begins with: its number, times `scale`, rounded to even."""
    return jnp.round(stage * jnp.float32(scale)).astype(jnp.int32)
