"""Gymnasium's spaces as ours, and their members."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from vibe_rl.errors import ConfigError, short
from vibe_rl.spaces import Box, Dict, Discrete, Image, MultiBinary, MultiDiscrete, Space
from vibe_rl.types import PyTree


@dataclass(frozen=True)
class Conversion:
    """A Gymnasium space as one of ours, and how to convert members with any leading axes."""

    space: Space
    to_ours: Callable[[Any], PyTree]
    to_theirs: Callable[[PyTree], Any]


class Converted:
    """What wrappers of environments in Python share: spaces that are converted, and no params."""

    _spaces: Any  # conversions of observations and of actions

    def default_params(self) -> tuple[()]:
        """Nothing, `()`: constants are arguments of the environment's own class."""
        return ()

    def observation_space(self, params: PyTree) -> Space:
        """The observations, as one of our spaces."""
        return self._spaces[0].space

    def action_space(self, params: PyTree) -> Space:
        """The actions, as one of our spaces."""
        return self._spaces[1].space


def conversion(space: Any) -> Conversion:
    """From a Gymnasium space to ours; ConfigError if there is none like it."""
    kind = type(space).__name__
    if kind == "Dict":
        return of_dict({name: conversion(part) for name, part in space.items()})
    if kind == "Box":
        return of_picture(space) if len(space.shape) == 3 else of_box(space)
    if kind == "Discrete":
        return _shifted(Discrete(int(space.n)), space)
    if kind == "MultiDiscrete" and len(space.shape) == 1:
        return _shifted(MultiDiscrete(tuple(map(int, space.nvec))), space)
    if kind == "MultiBinary" and len(space.shape) == 1:
        return of_dtypes(MultiBinary(int(space.shape[0])), space)
    raise ConfigError(
        f"Gymnasium's space {short(space, str)} is not supported: use Box, Discrete, "
        "MultiDiscrete, MultiBinary or Dict, or flatten it with one of gymnasium.wrappers."
    )


def of_dtypes(ours: Any, theirs: Any) -> Conversion:
    """The same values in another dtype."""
    return Conversion(ours, partial(np.asarray, dtype=ours.dtype), partial(_cast, theirs.dtype))


def _cast(dtype: Any, x: Any) -> np.ndarray:
    """`x` as Gymnasium wants it, rounded if that is a whole number."""
    x = np.asarray(x)
    return (np.round(x) if x.dtype.kind == "f" and dtype.kind in "iu" else x).astype(dtype)


def _shifted(ours: Any, theirs: Any) -> Conversion:
    """Choices that start at any integer there, and at 0 here."""
    return Conversion(
        ours,
        lambda x: (np.asarray(x) - theirs.start).astype(ours.dtype),
        lambda x: np.asarray(x).astype(theirs.dtype) + theirs.start,
    )


def of_box(space: Any) -> Conversion:
    """Entries of at most 32 bits; bytes stay bytes."""
    return of_dtypes(Box(*_bounds_of(space), space.shape, _dtype_of(space)), space)


def _bounds_of(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds; infinite where they are the last numbers of 64 bits."""
    if space.dtype.kind not in "iu" or space.dtype.itemsize < 8:
        return space.low, space.high
    ends = np.iinfo(space.dtype)
    low = np.where(space.low == ends.min, -np.inf if ends.min else 0.0, space.low)
    return low, np.where(space.high == ends.max, np.inf, space.high)


def _dtype_of(space: Any) -> np.dtype:
    """What a Box's entries become: 64-bit integers that may be large are seen as floats."""
    if space.dtype.kind == "f":
        return np.dtype(np.float32)
    if space.dtype.kind in "iu" and space.dtype.itemsize == 8:
        ends = np.iinfo(np.int32)
        fits = (space.low > ends.min).all() and (space.high < ends.max).all()
        return np.dtype(np.int32 if fits else np.float32)
    return np.dtype(space.dtype)


def of_picture(space: Any) -> Conversion:
    """Three axes, with the channels last: they come first in a stack of frames."""
    last = space.shape[0] >= space.shape[2]
    low, high = (x if last else np.moveaxis(x, 0, -1) for x in _bounds_of(space))
    is_bytes = space.dtype == np.uint8 and (low == 0).all() and (high == 255).all()
    ours = Image(*low.shape) if is_bytes else Box(low, high, low.shape, _dtype_of(space))
    same = of_dtypes(ours, space)
    if last:
        return same
    return Conversion(
        ours,
        lambda x: same.to_ours(np.ascontiguousarray(np.moveaxis(x, -3, -1))),  # read many times
        lambda x: same.to_theirs(np.moveaxis(x, -1, -3)),
    )


def of_dict(parts: dict[str, Conversion]) -> Conversion:
    """A dictionary, part by part."""
    return Conversion(
        Dict({name: part.space for name, part in parts.items()}),
        lambda x: {name: part.to_ours(x[name]) for name, part in parts.items()},
        lambda x: {name: part.to_theirs(x[name]) for name, part in parts.items()},
    )
