"""Entering a stage: the exit, the blocks, resources, and the first transmissions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vibe_rl.env.hackmatrix import bitboard
from vibe_rl.env.hackmatrix.bitboard import AT_CORNERS, CORNER_CELLS, Bitboard
from vibe_rl.env.hackmatrix.chance import Attempt, Resources, StageChance, pick
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
from vibe_rl.env.hackmatrix.spawning import spawn
from vibe_rl.env.hackmatrix.state import (
    DATA,
    DATA_SIPHON,
    EMPTY,
    EXIT,
    PROGRAM,
    Board,
    Game,
    empty_board,
)
from vibe_rl.types import PyTree

PROGRAM_SPAWNS = np.array([program.spawn for program in PROGRAMS], np.int8)


class Site(NamedTuple):
    """What the blocks of a stage have to suit."""

    wanted: Array  # bool, whether a layout is needed at all
    count: Array  # of blocks, int32
    exit: Array  # cell
    occupied: Bitboard  # by enemies and transmissions


class Layout(NamedTuple):
    """Cells of the blocks, `[blocks]`; those from `count` on mean nothing."""

    cells: Array
    count: Array
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
    layout: Layout
    found: Array  # bool


def place_one_after_another(draw: Callable[[Array], Attempt], site: Site) -> Layout:
    """Attempts, the numbers of each from `draw`, until one is valid; at last no blocks.

    Each places its blocks on free cells one after another.
    """
    eligible = ~(AT_CORNERS | site.occupied)

    def attempt(attempts: Attempts) -> Attempts:
        numbers = draw(attempts.made)
        cells, blocks = _placed(numbers.cell, site.count, eligible)
        layout = Layout(cells, blocks.size(), numbers)
        return Attempts(attempts.made + 1, layout, valid(blocks, site.exit))

    def unfinished(attempts: Attempts) -> Array:
        return site.wanted & ~attempts.found & (attempts.made < LAYOUT_ATTEMPTS)

    nothing = jnp.zeros(MOST_BLOCKS, jnp.int32)
    empty = Layout(nothing, jnp.int32(0), Attempt(*[nothing.astype(jnp.uint32)] * 4))
    begin = Attempts(jnp.int32(0), empty, jnp.array(False))
    last = jax.lax.while_loop(unfinished, attempt, begin)
    return last.layout._replace(count=jnp.where(last.found, last.layout.count, 0))


def _placed(draws: Array, count: Array, eligible: Bitboard) -> tuple[Array, Bitboard]:
    """The cells of blocks one after another, and their set."""
    cells, left = [], eligible
    for j in range(MOST_BLOCKS):
        cell = left.nth(pick(draws[j], left.size()))
        cell = jnp.where((j < count) & left.any(), cell, -1)
        cells.append(cell)
        left = left - bitboard.single(cell)
    return jnp.stack(cells), eligible - left


def from_tape(tape: Attempt, site: Site) -> Layout:
    """A layout as the rules say, from numbers `[attempts, blocks]` for every attempt."""
    return place_one_after_another(lambda i: jax.tree.map(lambda x: x[i], tape), site)


def furnished(layout: Layout) -> Board:
    """A board with blocks, what they hold drawn one after another, and nothing else."""
    j = jnp.arange(MOST_BLOCKS)
    there, data = j < layout.count, layout.contents.data < COIN
    programs = distinct_programs(layout.contents.value, there & ~data)
    points = 1 + pick(layout.contents.value, MOST_POINTS)
    value = jnp.where(data, points, programs)
    spawn_counts = jnp.where(data, points, jnp.asarray(PROGRAM_SPAWNS)[programs])
    here = (layout.cells[:, None] == jnp.arange(N_CELLS)) & there[:, None]

    def on_cells(of_block: Array) -> Array:
        return jnp.where(here, of_block[:, None], 0).sum(0, dtype=jnp.int32).astype(jnp.int8)

    return empty_board()._replace(
        content=on_cells(jnp.where(data, DATA, PROGRAM)),
        value=on_cells(value),
        spawn=on_cells(spawn_counts),
        hidden=(here & (layout.contents.hidden < HIDDEN)[:, None]).any(0),
    )


def distinct_programs(draws: Array, wanted: Bool[Array, " blocks"]) -> Int[Array, " blocks"]:
    """A program for each block that wants one, none of them twice."""
    left, chosen = jnp.uint32(2**N_PROGRAMS - 1), []
    for j in range(MOST_BLOCKS):
        size = jax.lax.population_count(left)
        program = bitboard.nth_bit(left, pick(draws[j], size))
        chosen.append(program)
        used = jnp.uint32(1) << program.astype(jnp.uint32)
        left = jnp.where(wanted[j], left & ~used, left)
    return jnp.stack(chosen)


def with_resources(board: Board, draws: Resources) -> Board:
    """Credits or energy on every cell without block or exit."""
    amount = 1 + sum((draws.amount >= limit).astype(jnp.int8) for limit in AMOUNTS)
    there = (board.content == EMPTY) | (board.content == DATA_SIPHON)
    credits = there & (draws.kind < COIN)
    zero = jnp.int8(0)
    return board._replace(
        credits=jnp.where(credits, amount, zero), energy=jnp.where(there & ~credits, amount, zero)
    )


def exit_corner(player: Array, k: Array) -> Array:
    """One of the corners where the player is not."""
    corners = jnp.asarray(CORNER_CELLS, jnp.int32)
    own = jnp.argmax(corners == player)
    choice = pick(k, len(CORNER_CELLS) - 1)
    return corners[choice + (choice >= own)]


def new_board(game: Game, exit_cell: Array, chance: StageChance, blocks: Board) -> Board:
    """The board of a stage: its blocks, exit, data siphons and resources."""
    cells = jnp.arange(N_CELLS)
    corner = AT_CORNERS.mask() & (cells != game.player.cell)
    content = jnp.where(corner, jnp.int8(DATA_SIPHON), blocks.content)
    content = jnp.where(cells == exit_cell, jnp.int8(EXIT), content)
    return with_resources(blocks._replace(content=content), chance.resources)


def enter_stage(
    game: Game,
    chance: StageChance,
    layouts: Layouts,
    entering: Array,
    transmission_scale: Float[Array, ""] | float = 1.0,
) -> Game:
    """The stage that the game is at, newly laid out; the player stands on a corner.

    Player, enemies, transmissions and what is pending are kept.

    Args:
        game: at the stage to enter.
        chance: numbers for it.
        layouts: chooses where the blocks are.
        entering: whether the result will be used; where not, it means nothing.
        transmission_scale: how many new transmissions there are, as a share of the stage's number.
    """
    exit_cell = exit_corner(game.player.cell, chance.exit)
    count = FEWEST_BLOCKS + pick(chance.count, MOST_BLOCKS - FEWEST_BLOCKS + 1)
    occupied = game.enemies.where() | game.transmissions.where()
    blocks = furnished(layouts(chance.layouts, Site(entering, count, exit_cell, occupied)))
    off = jnp.array(False)
    entered = game._replace(
        board=new_board(game, exit_cell, chance, blocks),
        turn=jnp.int32(0),
        interval=LONGEST_INTERVAL - game.stage,
        next_spawn_turn=LONGEST_INTERVAL - game.stage,
        show=off,
        calm=off,
        step_armed=off,
        atk_uses=jnp.int32(0),
        exit=exit_cell,
        history=game.history._replace(count=jnp.int32(0)),
    )
    n = jnp.round(game.stage * jnp.float32(transmission_scale)).astype(jnp.int32)
    return spawn(entered, jnp.where(entering, n, 0), chance.transmissions)
