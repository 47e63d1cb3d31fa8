"""The random numbers of a game by name: whole numbers from 0 up to `DRAWS`, each with one use.

Whoever supplies them decides the game, so that two engines can be given the same. Numbers that a
step does not need are ignored, and no use shifts another.
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
    """For transmissions that appear, `[n]` each: where, and what hatches from them."""

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
    transmissions: Where
    layouts: PyTree  # what `stage.Layouts` draws the blocks from


class TurnChance(NamedTuple):
    """For a turn of the enemies."""

    order: Any  # [sub-steps, enemies], who comes first
    scheduled: Where  # a single one
    siphoned: Where


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


BLOCKS = Attempt(*[(MOST_BLOCKS,)] * 4)
STAGE = StageChance(
    exit=(),
    count=(),
    resources=Resources((N_CELLS,), (N_CELLS,)),
    transmissions=Where((STAGES,), (STAGES,)),
    layouts=None,
)
TURN = TurnChance(
    order=(MOST_SPEED, MOST_ENEMIES),
    scheduled=Where((), ()),
    siphoned=Where((MOST_TRANSMISSIONS,), (MOST_TRANSMISSIONS,)),
)
STEP = Chance(warp=(), poly=(MOST_ENEMIES,), turn=TURN, stage=STAGE)
BEGIN = BeginChance(corner=(), bonus=(), stage=STAGE)
"""The shapes of the numbers, without those of layouts."""


def draw(key: Key, shapes: PyTree) -> Any:
    """Fresh numbers for a tree of shapes, such as `STEP`; layouts get a key of their own."""
    key, layouts = jax.random.split(key)
    leaves, structure = jax.tree.flatten(shapes, is_leaf=is_shape)
    sizes = [int(np.prod(shape)) for shape in leaves]
    bits = jax.random.bits(key, (sum(sizes),), jnp.uint32) >> 8
    pieces = jnp.split(bits, np.cumsum(sizes)[:-1])
    numbers = [piece.reshape(shape) for piece, shape in zip(pieces, leaves, strict=True)]
    drawn = jax.tree.unflatten(structure, numbers)
    if not hasattr(drawn, "stage"):
        return drawn
    return drawn._replace(stage=drawn.stage._replace(layouts=layouts))


def is_shape(x: Any) -> bool:
    """Whether a node of such a tree is a shape: a plain tuple of numbers."""
    return type(x) is tuple


def pick(k: Array, n: Any) -> Array:
    """A whole number from 0 up to `n`, which is at most 255; int32."""
    return ((jnp.asarray(k, jnp.uint32) * jnp.asarray(n, jnp.uint32)) // DRAWS).astype(jnp.int32)
