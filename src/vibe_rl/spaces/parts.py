"""Observations with parts: boards that say where their viewer stands, sets of things of which some
may be missing, and parts laid end to end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vibe_rl.errors import ConfigError
from vibe_rl.spaces.arrays import ArraySpace, Box, MultiBinary, Space
from vibe_rl.spaces.structured import Dict

Centre = tuple[str, int, int]


@dataclass(frozen=True, init=False, repr=False)
class Board(Box):
    """Cells in rows and columns `[R, C, features]`.

    Attributes:
        centre: where the viewer stands: the part beside the board that says it, and which of its
            entries are the row over R - 1 and the column over C - 1; None where nobody says.
    """

    centre: Centre | None

    def __init__(
        self,
        low: Any,
        high: Any,
        shape: tuple[int, int, int],
        dtype: Any = jnp.float32,
        centre: Centre | None = None,
    ):
        super().__init__(low, high, shape, dtype)
        if len(shape) != 3:
            raise ConfigError(f"Board of shape {shape}: give rows, columns and features of a cell.")
        object.__setattr__(self, "centre", centre)


@dataclass(frozen=True, init=False, repr=False)
class Tokens(Box):
    """Things of one kind, a row each `[n, features]`, or with their past `[n, time, features]`.

    The last feature of a row is 1 where there is such a thing, 0 where the row stands for nothing.

    Attributes:
        agents: whether they are those that act in the scene beside the viewer.
    """

    agents: bool

    def __init__(
        self,
        low: Any,
        high: Any,
        shape: tuple[int, ...],
        dtype: Any = jnp.float32,
        agents: bool = False,
    ):
        super().__init__(low, high, shape, dtype)
        if len(shape) not in (2, 3) or min(shape) < 1 or shape[-1] < 2:
            raise ConfigError(
                f"Tokens of shape {shape}: give rows, points in time if there are several, and "
                "features, of which the last says whether the row is there."
            )
        object.__setattr__(self, "agents", agents)


@dataclass(frozen=True, init=False, repr=False)
class Flat(Box):
    """The parts of a dictionary end to end in one vector of float32, in the order given.

    Attributes:
        items: names and spaces of the parts, Boxes (Boards and Tokens too) and MultiBinaries.
    """

    items: tuple[tuple[str, Box | MultiBinary], ...]

    def __init__(self, parts: Mapping[str, Box | MultiBinary]):
        for name, part in parts.items():
            if not isinstance(part, Box | MultiBinary):
                raise ConfigError(f"part {name!r} of a Flat is {part}: give Box or MultiBinary.")
        low, high = (
            np.concatenate([_bound(part, end) for part in parts.values()]) for end in range(2)
        )
        super().__init__(low, high)
        object.__setattr__(self, "items", tuple(parts.items()))

    @property
    def dictionary(self) -> Dict:
        """The space of the parts side by side."""
        return Dict(dict(self.items))

    def join(self, parts: Mapping[str, Array]) -> Float[Array, " n"]:
        """The vector of a dictionary's parts."""
        return jnp.concatenate([parts[name].astype(jnp.float32).ravel() for name, _ in self.items])

    def take_apart(self, vector: Float[Array, " n"]) -> dict[str, Array]:
        """The parts of a vector, each in its shape, float32 all of them."""
        parts, begin = {}, 0
        for name, part in self.items:
            end = begin + int(np.prod(part.shape))
            parts[name] = vector[begin:end].reshape(part.shape)
            begin = end
        return parts


def _bound(part: ArraySpace, end: int) -> np.ndarray:
    """Lower or upper bounds, flat."""
    if isinstance(part, Box):
        return np.array(part.bounds[end], np.float32)
    return np.full(int(np.prod(part.shape)), end, np.float32)


def check_centre(board: Board, beside: Mapping[str, Space]) -> Centre:
    """The board's `centre`; ConfigError if it has none, or one that is not `beside` it."""
    if board.centre is None:
        raise ConfigError(f"{board} does not say where its viewer stands: give it a centre.")
    name, *entries = board.centre
    part = beside.get(name)
    if not isinstance(part, Box) or len(part.shape) != 1 or max(entries) >= part.shape[0]:
        raise ConfigError(
            f"centre {board.centre} of a Board names no vector beside it that has such entries: "
            f"give one of {', '.join(beside)}."
        )
    return board.centre
