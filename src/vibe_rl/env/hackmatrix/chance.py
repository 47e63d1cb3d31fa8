"""The random numbers of a game by name: whole numbers from 0 up to `DRAWS`, each with one use.

Whoever supplies them decides the game, so that two engines can be given the same. Numbers that a
step does not need are ignored, and no use shifts another. Where there may be many of a kind and
mostly none is needed, a `Source` may stand for them: they are then drawn one at a time.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.hackmatrix.rules import (
    DRAWS,
    MOST_BLOCKS,
    MOST_ENEMIES,
    MOST_SPEED,
    MOST_TRANSMISSIONS,
    N_CELLS,
    STAGES,
)
from vibe_rl.types import Key, PyTree


class Where(NamedTuple):
    """For a transmission that appears, or `[n]` for several: where, and what hatches from it."""

    cell: Any
    kind: Any


class Resources(NamedTuple):
    """For every cell, `[cells]`."""

    amount: Any
    kind: Any


class StageChance(NamedTuple):
    """For entering a stage."""

    exit: Any
    count: Any  # of blocks
    resources: Resources
    transmissions: Any  # Where of 8, or a Source
    layouts: PyTree  # what `stage.Layouts` draws the blocks from


class TurnChance(NamedTuple):
    """For a turn of the enemies."""

    order: Any  # [sub-steps, enemies], who comes first
    scheduled: Any  # Where of one, or a Source
    siphoned: Any  # Where of 36, or a Source


class Chance(NamedTuple):
    """For one step."""

    warp: Any
    poly: Any  # [enemies]
    turn: TurnChance
    stage: StageChance


class BeginChance(NamedTuple):
    """For a new game."""

    corner: Any
    bonus: Any
    stage: StageChance


class Attempt(NamedTuple):
    """For an attempt at laying out the blocks of a stage, `[blocks]` each."""

    cell: Any
    data: Any  # whether it holds data
    hidden: Any
    value: Any  # points, or which program


def numbers(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """The shape of random numbers."""
    return jax.ShapeDtypeStruct(shape, jnp.uint32)


def _where(*shape: int) -> Where:
    """The shapes of the numbers for transmissions."""
    return Where(numbers(shape), numbers(shape))


BLOCKS = Attempt(*[numbers((MOST_BLOCKS,))] * 4)
STAGE = StageChance(
    exit=numbers(()),
    count=numbers(()),
    resources=Resources(numbers((N_CELLS,)), numbers((N_CELLS,))),
    transmissions=_where(STAGES),
    layouts=None,
)
TURN = TurnChance(
    order=numbers((MOST_SPEED, MOST_ENEMIES)),
    scheduled=_where(),
    siphoned=_where(MOST_TRANSMISSIONS),
)
STEP = Chance(warp=numbers(()), poly=numbers((MOST_ENEMIES,)), turn=TURN, stage=STAGE)
BEGIN = BeginChance(corner=numbers(()), bonus=numbers(()), stage=STAGE)
"""The shapes of all numbers, without those of layouts."""


class Source(NamedTuple):
    """What random numbers are mixed from, one or many at a time."""

    words: Array  # uint32 [2]

    def numbers(self, first: Any, shape: tuple[int, ...] = ()) -> Array:
        """Those from place `first` on; two calls must not ask for the same places."""
        places = jnp.uint32(first) + jnp.arange(int(np.prod(shape)), dtype=jnp.uint32)
        once = _mixed(self.words[0] + places * GOLDEN)
        return (_mixed(once ^ self.words[1]) >> 8).reshape(shape)


GOLDEN = np.uint32(0x9E3779B9)
"""2^32 divided by the golden ratio: multiples of it are spread evenly."""


def _mixed(x: Array) -> Array:
    """A word, every bit of which depends on every bit of `x` (the finalizer of MurmurHash3).

    With it and a counter, numbers cost far less than JAX's generator takes for them; that draws
    what they are mixed from.
    """
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def source(key: Key) -> Source:
    """A source of random numbers."""
    return Source(jax.random.bits(key, (2,), jnp.uint32))


LATER = 1 << 16
"""The place of the first number that is drawn only if it is needed."""


def step_chance(key: Key) -> Chance:
    """Fresh numbers for a step, those for transmissions and layouts as a source."""
    later = source(key)
    turn = STEP.turn._replace(scheduled=later, siphoned=later)
    return drawn_for(later, STEP._replace(turn=turn, stage=with_source(later)))


def begin_chance(key: Key) -> BeginChance:
    """Fresh numbers for a new game, those for transmissions and layouts as a source."""
    later = source(key)
    return drawn_for(later, BEGIN._replace(stage=with_source(later)))


def with_source(later: Source) -> StageChance:
    """`STAGE` with a source for transmissions and layouts."""
    return STAGE._replace(transmissions=later, layouts=later)


def drawn_for(numbers: Source, shapes: PyTree, first: Any = 0) -> Any:
    """Numbers for all shapes in a tree, from place `first` on; sources in it stay."""
    leaves, structure = jax.tree.flatten(shapes, is_leaf=lambda x: isinstance(x, Source))
    found = []
    for leaf in leaves:
        if isinstance(leaf, jax.ShapeDtypeStruct):
            found.append(numbers.numbers(first, leaf.shape))
            first = first + leaf.size
        else:
            found.append(leaf)
    return jax.tree.unflatten(structure, found)


def numbers_at(given: Where | Source, i: Any) -> Where:
    """The i-th numbers of those for transmissions."""
    if isinstance(given, Source):
        place = LATER + 2 * jnp.uint32(i)
        return Where(given.numbers(place), given.numbers(place + 1))
    return jax.tree.map(lambda x: x[i] if jnp.ndim(x) else x, given)


def pick_below(k: Array, n: Any) -> Array:
    """A whole number from 0 up to `n`, which is at most 255; int32."""
    return ((jnp.asarray(k, jnp.uint32) * jnp.asarray(n, jnp.uint32)) // DRAWS).astype(jnp.int32)
