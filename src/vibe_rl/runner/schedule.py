"""When things are due, and the random streams of a run."""

from collections.abc import Callable, Sequence

import jax

from vibe_rl.ops import prng
from vibe_rl.types import Key

Stops = Sequence[Callable[[int], int]]
"""Functions from an update to the next one after which the host has something to do."""


def next_due(interval: int, steps_per_update: int, update: int) -> int:
    """The first update after `update` whose env steps reach the next multiple of `interval`."""
    next_step = (update * steps_per_update // interval + 1) * interval
    return -(-next_step // steps_per_update)


def stream(seed: int, name: str) -> Key:
    """The root of one of a run's two independent random streams, "training" and "evaluation"."""
    return jax.random.fold_in(prng.key(seed), ("training", "evaluation").index(name))


def evaluation_key(seed: int, update: int) -> Key:
    """The key of the evaluation after `update` updates, whatever else was evaluated."""
    return jax.random.fold_in(stream(seed, "evaluation"), update)
