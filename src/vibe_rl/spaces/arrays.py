"""Spaces whose members are single arrays."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool

from vibe_rl.errors import ConfigError, short
from vibe_rl.spaces.dtypes import bounds_of_dtype, is_whole, number_dtype, shown_bounds
from vibe_rl.types import COUNTABLE, Key, PyTree


class Space(ABC):
    """A set one can sample from and test membership of, both inside `jit`."""

    @abstractmethod
    def sample(self, key: Key) -> PyTree:
        """A uniformly random member (standard normal where a bound is infinite)."""

    @abstractmethod
    def contains(self, x: PyTree) -> Bool[Array, ""]:
        """Whether `x`, one example, is a member: shape, dtype and range."""


class ArraySpace(Space):
    """A space whose members are single arrays, of at most 32 bits an entry."""

    shape: tuple[int, ...]
    dtype: Any

    def __post_init__(self):
        object.__setattr__(self, "dtype", number_dtype(self.dtype))

    def fits(self, x: Any) -> bool:
        """Whether `x` has this space's shape and dtype."""
        return np.shape(x) == self.shape and jnp.result_type(x) == jnp.dtype(self.dtype)

    def __repr__(self) -> str:
        names = [f.name for f in fields(self) if f.name != "dtype"]  # type: ignore[arg-type]
        shown = [short(getattr(self, name), str) for name in names]
        if self.dtype != type(self).dtype:
            shown.append(jnp.dtype(self.dtype).name)
        return f"{type(self).__name__}({', '.join(shown)})"


def check_counts(space: Space, counts: Iterable[Any]) -> None:
    """Raises ConfigError unless each is a whole number of at least 1 that 32 bits hold."""
    counts = tuple(counts)
    if not all(isinstance(n, int | np.integer) and n >= 1 for n in counts):
        raise ConfigError(f"{space}: give whole numbers of at least 1.")
    if any(n > COUNTABLE for n in counts):
        raise ConfigError(f"{space}: give whole numbers of at most {COUNTABLE}.")


def check_choices(space: ArraySpace, counts: Iterable[Any]) -> None:
    """Raises ConfigError unless the space's type tells so many choices apart."""
    counts, dtype = tuple(counts), jnp.dtype(space.dtype)
    check_counts(space, counts)
    if dtype.kind not in "iu" or max(counts, default=1) - 1 > np.iinfo(dtype).max:
        raise ConfigError(f"{space}: give a dtype of integers that holds them, such as int32.")


def all_true(condition: Any) -> Bool[Array, ""]:
    """Whether every entry is true."""
    return jnp.all(jnp.asarray(condition, bool))


@dataclass(frozen=True, repr=False)
class Discrete(ArraySpace):
    """The integers 0 .. n-1."""

    n: int
    dtype: Any = jnp.int32
    shape = ()

    def __post_init__(self):
        super().__post_init__()
        check_choices(self, (self.n,))

    def sample(self, key: Key) -> Array:
        """Uniform over 0 .. n-1."""
        return jax.random.randint(key, (), 0, self.n, self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether 0 <= x < n."""
        return all_true((x >= 0) & (x < self.n)) if self.fits(x) else all_true(False)


@dataclass(frozen=True, repr=False)
class MultiDiscrete(ArraySpace):
    """Several independent choices; choice i is one of 0 .. nvec[i]-1."""

    nvec: tuple[int, ...]
    dtype: Any = jnp.int32

    def __post_init__(self):
        super().__post_init__()
        nvec = np.asarray(self.nvec)
        if nvec.ndim != 1 or not nvec.size:
            raise ConfigError(f"MultiDiscrete of {short(self.nvec)}: give a tuple, such as (3, 4).")
        object.__setattr__(self, "nvec", tuple(nvec.tolist()))
        check_choices(self, self.nvec)

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """One entry per choice."""
        return (len(self.nvec),)

    def sample(self, key: Key) -> Array:
        """Independent uniform integers."""
        return jax.random.randint(key, self.shape, 0, np.array(self.nvec, np.int32), self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether every choice is in its range."""
        return (
            all_true((x >= 0) & (x < np.array(self.nvec, np.int32)))
            if self.fits(x)
            else all_true(False)
        )


@dataclass(frozen=True, repr=False)
class MultiBinary(ArraySpace):
    """n bits, each 0 or 1."""

    n: int
    dtype: Any = jnp.int32

    def __post_init__(self):
        super().__post_init__()
        check_counts(self, (self.n,))

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """One entry per bit."""
        return (self.n,)

    def sample(self, key: Key) -> Array:
        """Fair coins."""
        return jax.random.bernoulli(key, np.float32(0.5), self.shape).astype(self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether every entry is 0 or 1."""
        return all_true((x == 0) | (x == 1)) if self.fits(x) else all_true(False)


@dataclass(frozen=True, init=False)
class Box(ArraySpace):
    """Numbers between `low` and `high`, both included, entry by entry; bounds may be infinite.

    The largest number of a floating type, or of 32-bit integers, is no bound but infinity.
    """

    bounds: tuple[tuple[float, ...], tuple[float, ...]]
    shape: tuple[int, ...]
    dtype: Any

    def __init__(
        self,
        low: Any,
        high: Any,
        shape: int | tuple[int, ...] | None = None,
        dtype: Any = jnp.float32,
    ):
        dtype = number_dtype(dtype)
        try:
            if shape is None:
                shape = np.broadcast_shapes(np.shape(low), np.shape(high))
            shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
            shape = tuple(map(operator.index, shape))
            bounds = (
                bounds_of_dtype(low, shape, dtype, np.ceil),
                bounds_of_dtype(high, shape, dtype, np.floor),
            )
        except (TypeError, ValueError) as error:
            what = f"{short(low)} to {short(high)}, shape {short(shape)}"
            raise ConfigError(f"Box from {what}: give numbers, and a shape of ints.") from error
        for least, most in zip(*bounds, strict=True):
            if not least <= most or least == np.inf or most == -np.inf:
                between = f"{least:g} to {most:g}, {jnp.dtype(dtype).name}"
                raise ConfigError(f"Box from {between}: give numbers it holds, the lower first.")
        object.__setattr__(self, "bounds", bounds)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", dtype)

    def __repr__(self) -> str:
        low, high = map(shown_bounds, self.bounds)
        dtype = jnp.dtype(self.dtype).name
        return f"{type(self).__name__}({low}, {high}, {self.shape}, {dtype})"

    @property
    def low(self) -> np.ndarray:
        """Lower bounds, of the space's shape."""
        return np.array(self.bounds[0], np.float32).reshape(self.shape)

    @property
    def high(self) -> np.ndarray:
        """Upper bounds, of the space's shape."""
        return np.array(self.bounds[1], np.float32).reshape(self.shape)

    @property
    def bounded(self) -> bool:
        """Whether every bound is finite."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    @property
    def whole(self) -> bool:
        """Whether members are integers, or booleans."""
        return is_whole(self.dtype)

    def sample(self, key: Key) -> Array:
        """Uniform where both bounds are finite; exponential from a single one; else normal."""
        if self.whole and self.bounded:
            return self._whole_numbers(key)
        uniform_key, normal_key = jax.random.split(key)
        has_low, has_high = np.isfinite(self.low), np.isfinite(self.high)
        finite = has_low & has_high
        low, high = np.where(finite, self.low, 0), np.where(finite, self.high, 0)
        share = jax.random.uniform(uniform_key, self.shape, jnp.float32)
        uniform = (1 - share) * low + share * high  # high - low would overflow for huge bounds
        sample = jnp.where(finite, uniform, jax.random.normal(normal_key, self.shape, jnp.float32))
        if (has_low != has_high).any():
            away = jax.random.exponential(normal_key, self.shape, jnp.float32)
            sample = jnp.where(has_low & ~has_high, self.low + away, sample)
            sample = jnp.where(has_high & ~has_low, self.high - away, sample)
        sample = jnp.round(sample) if self.whole else sample
        return jnp.clip(sample, self.low, self.high).astype(self.dtype)

    def _whole_numbers(self, key: Key) -> Array:
        wide = self.dtype if jnp.dtype(self.dtype).itemsize >= 4 else np.int32
        low, high = (np.array(bound).reshape(self.shape) for bound in self.bounds)
        sample = jax.random.randint(
            key, self.shape, low.astype(wide), (high + 1).astype(wide), wide
        )
        return sample.astype(self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether every entry lies within its bounds."""
        if not self.fits(x):
            return all_true(False)
        low, high = self._exact_bounds()
        return all_true((low <= x) & (x <= high))

    def _exact_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Those of integers as integers: the larger ones are not told apart by 32-bit floats."""
        dtype = jnp.dtype(self.dtype)
        if dtype.kind not in "iu":
            return self.low, self.high
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        low, high = (np.clip(bound, least, most).reshape(self.shape) for bound in self.bounds)
        return low.astype(np.int64).astype(dtype), high.astype(np.int64).astype(dtype)


@dataclass(frozen=True, repr=False)
class Image(ArraySpace):
    """Pictures of height x width x channels, uint8 0 .. 255."""

    height: int
    width: int
    channels: int
    dtype: Any = jnp.uint8

    def __post_init__(self):
        super().__post_init__()
        check_counts(self, self.shape)

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Height, width, channels."""
        return (self.height, self.width, self.channels)

    def sample(self, key: Key) -> Array:
        """Uniform noise."""
        return jax.random.randint(key, self.shape, 0, 256, jnp.int32).astype(self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether `x` is a picture of this size."""
        return all_true(self.fits(x))


def static_bound(value: Any, default: Any) -> float:
    """A bound as a Python number, so that the space stays hashable.

    The largest entry of `value`, which may have one per env; `default` where it is traced.
    """
    return float(default if isinstance(value, Tracer) else np.max(value))
