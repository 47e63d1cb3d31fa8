"""Records, aliases and the field marker that every floor shares."""

from dataclasses import MISSING, field
from typing import Any, NamedTuple

import jaxtyping
from jaxtyping import Array

PyTree = Any
Key = jaxtyping.Key[Array, ""]
"""A typed PRNG key (`jax.random.key`), consumed by whoever receives it."""


class Transition(NamedTuple):
    """One step of experience; a rollout has leading axes `[T, N]`, a batch `[B]`."""

    obs: PyTree
    action: PyTree
    reward: Array  # float32
    terminated: Array  # bool, the task ended
    truncated: Array  # bool, the clock ran out
    next_obs: PyTree  # the true successor of obs, never the first observation of the next episode
    extras: PyTree = None  # what `act` wants `update` to see again


class MaskedObs(NamedTuple):
    """An observation that says which actions are legal; policy heads mask by it."""

    view: PyTree  # what the networks see
    legal: Array  # bool, one entry per action


def static(default: Any = MISSING) -> Any:
    """A dataclass field that fixes a shape or a program: part of the tree's structure, no leaf."""
    return field(default=default, metadata={"static": True})
