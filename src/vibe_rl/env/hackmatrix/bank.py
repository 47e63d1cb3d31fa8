"""A bank of stage layouts, made once: sets of blocks that are valid for some exit.

Laying out a stage means trying again and again, which is dear where many games run in step, for all
wait for the slowest. From the bank a stage takes sets at random until one leaves all occupied cells
free: that is the same law, up to the number of sets. Where none of many fits, blocks are placed one
after another after all.
"""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.hackmatrix.chance import BLOCKS, LATER, Source, drawn_for
from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.bitboard import CORNER_CELLS, HALF, WORD, Bitboard
from vibe_rl.env.hackmatrix.compact.slots import before
from vibe_rl.env.hackmatrix.rules import FEWEST_BLOCKS, MOST_BLOCKS, N_CELLS
from vibe_rl.env.hackmatrix.stage import (
    NOWHERE,
    Layout,
    Site,
    numbered,
    place_one_after_another,
)

SETS = 8192
"""Of each number of blocks, that are valid for each exit."""
TRIES = 256
"""Before blocks are placed one after another."""
SEARCH, CONTENTS, ATTEMPTS = 2 * LATER, 3 * LATER, 4 * LATER
"""The places of the first random numbers of each use."""


class _Bank(NamedTuple):
    """uint32 `[numbers of blocks, exits, SETS]`."""

    low: np.ndarray
    high: np.ndarray


@cache
def bank() -> _Bank:
    """The bank, the same in every process."""
    generator = np.random.Generator(np.random.PCG64(0))
    counts = range(FEWEST_BLOCKS, MOST_BLOCKS + 1)
    sets = [[_sets(generator, n, exit_cell) for exit_cell in CORNER_CELLS] for n in counts]
    words = np.array(sets, np.uint32)  # [counts, exits, words, SETS]
    return _Bank(words[:, :, 0], words[:, :, 1])


def _sets(generator: np.random.Generator, n: int, exit_cell: int) -> np.ndarray:
    """Words `[2, SETS]` of uniform sets of `n` cells that are valid for an exit."""
    free = np.setdiff1d(np.arange(N_CELLS), CORNER_CELLS)
    found: list[np.ndarray] = []
    while sum(words.shape[1] for words in found) < SETS:
        order = generator.random((SETS, free.size)).argsort(axis=1)[:, :n]
        bits = (np.uint64(1) << free[order].astype(np.uint64)).sum(axis=1, dtype=np.uint64)
        low, high = bits & np.uint64(WORD), bits >> np.uint64(HALF)
        words = np.stack([low, high]).astype(np.uint32)
        found.append(words[:, valid_sets(Bitboard(*words), exit_cell)])
    return np.concatenate(found, axis=1)[:, :SETS]


def valid_sets(blocks: Bitboard, exit_cell: int) -> np.ndarray:
    """`stage.valid` of many sets, on the host."""
    free, first = ~blocks, bitboard.of(0)
    exit_only = bitboard.of(exit_cell) - first
    closed = blocks | exit_only
    inside = Bitboard(blocks.low & np.uint32(0) | first.low, blocks.high & np.uint32(0))
    for _ in range(N_CELLS):
        inside = inside | (inside.neighbours() - closed)
    reached = inside | (inside.neighbours() & free)
    lonely = blocks - free.neighbours()
    return ~((free - reached).any() | lonely.any())


class Search(NamedTuple):
    """Sets from the bank until one fits."""

    tries: Array  # int32
    blocks: Bitboard
    fits: Array  # bool


def from_bank(source: Source, site: Site) -> Layout:
    """A layout with the law of the rules; see `stage.Layouts`."""
    search = _searched(source, site)
    placed = place_one_after_another(
        lambda i: drawn_for(source, BLOCKS, ATTEMPTS + i * len(BLOCKS) * MOST_BLOCKS),
        site._replace(wanted=site.wanted & ~search.fits),
    )
    mask = search.blocks.mask()
    found = jnp.where(mask, before(mask), NOWHERE)
    block = jnp.where(search.fits, found, numbered(placed.cells))
    return Layout(block, drawn_for(source, BLOCKS, CONTENTS))


def _searched(source: Source, site: Site) -> Search:
    exits = jnp.asarray(CORNER_CELLS, jnp.int32)
    exit_number = jnp.argmax(exits == site.exit)
    sets = bank()

    def another(s: Search) -> Search:
        number = source.numbers(SEARCH + s.tries)
        place = (site.count - FEWEST_BLOCKS, exit_number, number % SETS)
        blocks = Bitboard(jnp.asarray(sets.low)[place], jnp.asarray(sets.high)[place])
        return Search(s.tries + 1, blocks, ~(blocks & site.occupied).any())

    def unfinished(s: Search) -> Array:
        return site.wanted & ~s.fits & (s.tries < TRIES)

    begin = bitboard.as_arrays(bitboard.NONE)
    return jax.lax.while_loop(unfinished, another, Search(jnp.int32(0), begin, jnp.array(False)))
