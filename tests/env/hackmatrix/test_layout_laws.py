"""Layouts from the bank have the law of tries until one is valid, and each set of it is valid.

Each law is held against a wrong one too, from which the same draws must differ.
"""

from collections import Counter
from itertools import combinations, product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import FEW, NEVER, Law, N, assert_law, cell, in_chunks, p_alike, tallied

from vibe_rl.env.hackmatrix import bank, rules
from vibe_rl.env.hackmatrix.chance import source
from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.bitboard import CORNER_CELLS, Bitboard
from vibe_rl.env.hackmatrix.reference.board import PLACES
from vibe_rl.env.hackmatrix.reference.stage import is_valid
from vibe_rl.env.hackmatrix.stage import Site, valid

FREE = [place for place in PLACES if place not in rules.CORNERS]
COUNTS = range(rules.FEWEST_BLOCKS, rules.MOST_BLOCKS + 1)
ALL_VALID = jax.jit(jax.vmap(valid, (0, None)))


def places_of(sets: Bitboard, i: int) -> set[tuple[int, int]]:
    bits = int(sets.low[i]) | int(sets.high[i]) << bitboard.HALF
    return {place for place in PLACES if bits >> cell(place) & 1}


def test_every_set_of_the_bank_is_valid():
    sets = bank.bank()
    generator = np.random.default_rng(0)
    for n, e in product(range(len(COUNTS)), range(len(rules.CORNERS))):
        blocks = Bitboard(sets.low[n, e], sets.high[n, e])
        assert ALL_VALID(blocks, CORNER_CELLS[e]).all()
        assert (blocks.size() == COUNTS[n]).all()
        for i in generator.integers(0, bank.SETS, 40):
            assert is_valid(places_of(blocks, i), rules.CORNERS[e])


def subsets(generator: np.random.Generator, n: int, size: int) -> Bitboard:
    """Uniform sets of `n` cells that are no corners."""
    chosen = generator.random((size, len(FREE))).argsort(1)[:, :n]
    cells = np.array([cell(place) for place in FREE])[chosen]
    bits = (np.uint64(1) << cells.astype(np.uint64)).sum(1, dtype=np.uint64)
    words = bits & np.uint64(bitboard.WORD), bits >> np.uint64(bitboard.HALF)
    return Bitboard(*[word.astype(np.uint32) for word in words])


@pytest.mark.parametrize("e", range(len(rules.CORNERS)))
def test_sets_are_valid_in_both_engines_or_in_neither(e):
    generator, seen = np.random.default_rng(e), set()
    for n in COUNTS:
        blocks = subsets(generator, n, 100)
        ours = bank.valid_sets(blocks, CORNER_CELLS[e])
        traced = ALL_VALID(blocks, CORNER_CELLS[e])
        theirs = [is_valid(places_of(blocks, i), rules.CORNERS[e]) for i in range(100)]
        assert ours.tolist() == traced.tolist() == theirs
        seen |= set(theirs)
    assert seen == {False, True}


def features(blocks: Bitboard, generator: np.random.Generator) -> tuple[Counter, Counter]:
    """Pairs of neighbouring blocks, and the cell of a random block, of each set."""
    beside = [blocks & blocks.up(), blocks & blocks.right()]
    pairs = sum(np.bitwise_count(each.low) + np.bitwise_count(each.high) for each in beside)
    bits = (blocks.low.astype(np.uint64) | blocks.high.astype(np.uint64) << np.uint64(18))[:, None]
    there = (bits >> np.arange(rules.N_CELLS, dtype=np.uint64)[None]) & np.uint64(1)
    return tallied(pairs), tallied((generator.random(there.shape) * there).argmax(1))


def test_the_sets_of_the_bank_have_the_law_of_tries_until_one_is_valid():
    """And not that of a single try, whether or not it is valid."""
    sets, generator, differ = bank.bank(), np.random.default_rng(1), []
    for i, n in enumerate(COUNTS):
        tried = subsets(generator, n, FEW if n < 9 else N)
        wrong = features(tried, generator)
        for e, exit_cell in enumerate(CORNER_CELLS):
            ok = bank.valid_sets(tried, exit_cell)
            right = features(Bitboard(tried.low[ok], tried.high[ok]), generator)
            banked = features(Bitboard(sets.low[i, e], sets.high[i, e]), generator)
            assert min(map(p_alike, banked, right)) > NEVER
            differ += [p_alike(*pair) < NEVER for pair in zip(banked, wrong, strict=True)]
    assert np.mean(differ) > 0.4


def laid_out(occupied: Bitboard, n: int, draws: int = N) -> Counter:
    """The `n` blocks of layouts for the last exit, as sets of cells in two words."""
    site = Site(jnp.array(True), jnp.int32(n), jnp.int32(CORNER_CELLS[3]), occupied)

    @jax.jit
    def draw(keys):
        layout = jax.vmap(lambda key: bank.from_bank(source(key), site).block)(keys)
        return jax.vmap(bitboard.of_mask)(layout >= 0)

    blocks = in_chunks(draw, draws)
    return tallied(blocks.low, blocks.high)


def test_a_layout_is_each_set_of_the_bank_alike_that_leaves_the_occupied_cells_free():
    occupied = bitboard.of(*[cell(place) for place in FREE[::5]])
    sets, n = bank.bank(), 7
    blocks = Bitboard(sets.low[n - 5, 3], sets.high[n - 5, 3])
    fits = ~(blocks & occupied).any()
    right: Law = dict(tallied(blocks.low[fits], blocks.high[fits]))
    wrong = {each: p * (1 + 0.2 * (i % 2)) for i, (each, p) in enumerate(right.items())}
    assert_law(laid_out(occupied, n), right, wrong)


LEFT_FREE = [(0, 4), (1, 5), (2, 0), (3, 1), (4, 0), (5, 1), (5, 2), (5, 3), (5, 4)]
"""Cells of which few sets are valid, none of them in the bank."""


def test_where_no_set_of_the_bank_fits_a_layout_is_tried_for_as_the_rules_say():
    n, sets = 7, bank.bank()
    occupied = bitboard.of(*[cell(place) for place in FREE if place not in LEFT_FREE])
    assert ((Bitboard(sets.low[n - 5, 3], sets.high[n - 5, 3]) & occupied).any()).all()
    tries = [set(places) for places in combinations(LEFT_FREE, n)]
    fit = [places for places in tries if is_valid(places, rules.CORNERS[3])]
    fails = (1 - len(fit) / len(tries)) ** rules.LAYOUT_ATTEMPTS
    assert 0.001 < fails < 0.1
    words = [bitboard.of(*map(cell, places)) for places in fit]
    right: Law = {(int(each.low), int(each.high)): (1 - fails) / len(fit) for each in words}
    found = laid_out(occupied, n, FEW)
    assert_law(found, right | {(0, 0): fails}, right | {(0, 0): 3 * fails})
