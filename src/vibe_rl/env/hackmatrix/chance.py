"""The random numbers of a game by name: whole numbers from 0 up to `DRAWS`, each with one use.

Whoever supplies them decides the game, so that two engines can be given the same. Numbers that a
step does not need are ignored, and no use shifts another. Where there may be many of a kind and
mostly none is needed, a key may stand for them: they are then drawn one at a time (`numbers_of`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
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
from vibe_rl.types import Key, PyTree, is_key


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
    transmissions: Any  # Where of 8, or a key
    layouts: PyTree  # what `stage.Layouts` draws the blocks from


class TurnChance(NamedTuple):
    """For a turn of the enemies."""

    order: Any  # [sub-steps, enemies], who comes first
    scheduled: Any  # Where of one, or a key
    siphoned: Any  # Where of 36, or a key


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


def where(*shape: int) -> Where:
    """The shapes of the numbers for transmissions."""
    return Where(numbers(shape), numbers(shape))


BLOCKS = Attempt(*[numbers((MOST_BLOCKS,))] * 4)
STAGE = StageChance(
    exit=numbers(()),
    count=numbers(()),
    resources=Resources(numbers((N_CELLS,)), numbers((N_CELLS,))),
    transmissions=where(STAGES),
    layouts=None,
)
TURN = TurnChance(
    order=numbers((MOST_SPEED, MOST_ENEMIES)),
    scheduled=where(),
    siphoned=where(MOST_TRANSMISSIONS),
)
STEP = Chance(warp=numbers(()), poly=numbers((MOST_ENEMIES,)), turn=TURN, stage=STAGE)
BEGIN = BeginChance(corner=numbers(()), bonus=numbers(()), stage=STAGE)
"""The shapes of all numbers, without those of layouts."""


def step_chance(key: Key) -> Chance:
    """Fresh numbers for a step, those for transmissions and layouts as keys."""
    key, stage_key, scheduled, siphoned = jax.random.split(key, 4)
    turn = STEP.turn._replace(scheduled=scheduled, siphoned=siphoned)
    return drawn(key, STEP._replace(turn=turn, stage=with_keys(stage_key)))


def begin_chance(key: Key) -> BeginChance:
    """Fresh numbers for a new game, those for transmissions and layouts as keys."""
    key, stage_key = jax.random.split(key)
    return drawn(key, BEGIN._replace(stage=with_keys(stage_key)))


def with_keys(key: Key) -> StageChance:
    """`STAGE` with keys for transmissions and layouts."""
    transmissions, layouts = jax.random.split(key)
    return STAGE._replace(transmissions=transmissions, layouts=layouts)


def drawn(key: Key, shapes: PyTree) -> Any:
    """Numbers for all shapes in a tree, from 16 random bits each; keys in it stay."""
    leaves, structure = jax.tree.flatten(shapes)
    sizes = [leaf.size if isinstance(leaf, jax.ShapeDtypeStruct) else 0 for leaf in leaves]
    words = jax.random.bits(key, (-(-sum(sizes) // 2),), jnp.uint32)
    halves = jnp.concatenate([words & HALF, words >> 16]) << 8
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    found = [
        halves[end - size : end].reshape(leaf.shape) if size else leaf
        for leaf, size, end in zip(leaves, sizes, ends, strict=True)
    ]
    return jax.tree.unflatten(structure, found)


HALF = 0xFFFF


def numbers_of(source: Any, i: Any) -> Where:
    """The i-th numbers of those for transmissions, which may be given as a key."""
    if not is_key(jax.tree.leaves(source)[0]):
        return jax.tree.map(lambda x: x[i] if jnp.ndim(x) else x, source)
    bits = jax.random.bits(jax.random.fold_in(source, i), (), jnp.uint32)
    return Where((bits & HALF) << 8, (bits >> 16) << 8)


def pick(k: Array, n: Any) -> Array:
    """A whole number from 0 up to `n`, which is at most 255; int32."""
    return ((jnp.asarray(k, jnp.uint32) * jnp.asarray(n, jnp.uint32)) // DRAWS).astype(jnp.int32)
