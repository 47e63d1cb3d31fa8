"""Records, aliases and the field marker that every floor shares."""

from dataclasses import MISSING, field, fields
from typing import Any, NamedTuple, TypeVar

import jax
import jaxtyping
from jaxtyping import Array

PyTree = Any
Number = float | int | Array
"""A number of a config: a Python number outside `jit`, a traced scalar inside."""
AnyArray = Any
"""On the device, or in the host's memory."""
Key = jaxtyping.Key[Array, ""]
"""A typed PRNG key (`jax.random.key`), consumed by whoever receives it."""
Keys = jaxtyping.Key[Array, " T N"]
"""One for every step of every env of a rollout."""


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


T = TypeVar("T")


def description(cls: type[T]) -> type[T]:
    """Makes a frozen dataclass a pytree: static fields are its structure, the others its leaves.

    Rebuilt without calling `__init__`, for its leaves may then be tracers, shapes or markers.
    """
    dynamic = [f.name for f in fields(cls) if not f.metadata.get("static")]  # type: ignore[arg-type]
    fixed = [f.name for f in fields(cls) if f.metadata.get("static")]  # type: ignore[arg-type]

    def flatten(x: T) -> tuple[Any, Any]:
        leaves = tuple((jax.tree_util.GetAttrKey(name), getattr(x, name)) for name in dynamic)
        return leaves, tuple(getattr(x, name) for name in fixed)

    def unflatten(structure: Any, leaves: Any) -> T:
        x = object.__new__(cls)
        for name, value in zip((*fixed, *dynamic), (*structure, *leaves), strict=True):
            object.__setattr__(x, name, value)
        return x

    jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)
    return cls
