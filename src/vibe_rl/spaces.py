"""Sets of observations and actions: frozen, hashable descriptions, Gymnasium's names (2022)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool

from vibe_rl.errors import ConfigError
from vibe_rl.types import Key, MaskedObs, PyTree


class Space(ABC):
    """A set one can sample from and test membership of, both inside `jit`."""

    @abstractmethod
    def sample(self, key: Key) -> PyTree:
        """A uniformly random member (standard normal where a bound is infinite)."""

    @abstractmethod
    def contains(self, x: PyTree) -> Bool[Array, ""]:
        """Whether `x`, one example, is a member: shape, dtype and range."""


class ArraySpace(Space):
    """A space whose members are single arrays."""

    shape: tuple[int, ...]
    dtype: Any

    def fits(self, x: Any) -> bool:
        """Whether `x` has this space's shape and dtype."""
        return np.shape(x) == self.shape and jnp.result_type(x) == jnp.dtype(self.dtype)


def _all(condition: Any) -> Bool[Array, ""]:
    return jnp.all(jnp.asarray(condition, bool))


@dataclass(frozen=True)
class Discrete(ArraySpace):
    """The integers 0 .. n-1."""

    n: int
    dtype: Any = jnp.int32
    shape = ()

    def sample(self, key: Key) -> Array:
        """Uniform over 0 .. n-1."""
        return jax.random.randint(key, (), 0, self.n, self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether 0 <= x < n."""
        return _all((x >= 0) & (x < self.n)) if self.fits(x) else _all(False)


@dataclass(frozen=True)
class MultiDiscrete(ArraySpace):
    """Several independent choices; choice i is one of 0 .. nvec[i]-1."""

    nvec: tuple[int, ...]
    dtype: Any = jnp.int32

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """One entry per choice."""
        return (len(self.nvec),)

    def sample(self, key: Key) -> Array:
        """Independent uniform integers."""
        return jax.random.randint(key, self.shape, 0, np.array(self.nvec), self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether every choice is in its range."""
        return _all((x >= 0) & (x < np.array(self.nvec))) if self.fits(x) else _all(False)


@dataclass(frozen=True)
class MultiBinary(ArraySpace):
    """n bits, each 0 or 1."""

    n: int
    dtype: Any = jnp.int32

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """One entry per bit."""
        return (self.n,)

    def sample(self, key: Key) -> Array:
        """Fair coins."""
        return jax.random.bernoulli(key, shape=self.shape).astype(self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether every entry is 0 or 1."""
        return _all((x == 0) | (x == 1)) if self.fits(x) else _all(False)


def _bounds(value: Any, shape: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(np.broadcast_to(np.asarray(value, np.float32), shape).ravel().tolist())


@dataclass(frozen=True, init=False)
class Box(ArraySpace):
    """Real numbers between `low` and `high`, entry by entry; bounds may be infinite."""

    bounds: tuple[tuple[float, ...], tuple[float, ...]]
    shape: tuple[int, ...]
    dtype: Any

    def __init__(
        self, low: Any, high: Any, shape: tuple[int, ...] | None = None, dtype: Any = jnp.float32
    ):
        shape = np.broadcast_shapes(np.shape(low), np.shape(high)) if shape is None else shape
        object.__setattr__(self, "bounds", (_bounds(low, shape), _bounds(high, shape)))
        object.__setattr__(self, "shape", tuple(shape))
        object.__setattr__(self, "dtype", dtype)

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

    def sample(self, key: Key) -> Array:
        """Uniform where both bounds are finite, else standard normal clipped into the bounds."""
        uniform_key, normal_key = jax.random.split(key)
        finite = np.isfinite(self.low) & np.isfinite(self.high)
        low, high = np.where(finite, self.low, 0), np.where(finite, self.high, 0)
        share = jax.random.uniform(uniform_key, self.shape)
        uniform = (1 - share) * low + share * high  # high - low would overflow for huge bounds
        sample = jnp.where(finite, uniform, jax.random.normal(normal_key, self.shape))
        return jnp.clip(sample, self.low, self.high).astype(self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether every entry lies within its bounds."""
        return _all((self.low <= x) & (x <= self.high)) if self.fits(x) else _all(False)


@dataclass(frozen=True)
class Image(ArraySpace):
    """Pictures of height x width x channels, uint8 0 .. 255."""

    height: int
    width: int
    channels: int
    dtype: Any = jnp.uint8

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Height, width, channels."""
        return (self.height, self.width, self.channels)

    def sample(self, key: Key) -> Array:
        """Uniform noise."""
        return jax.random.randint(key, self.shape, 0, 256, jnp.int32).astype(self.dtype)

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether `x` is a picture of this size."""
        return _all(self.fits(x))


@dataclass(frozen=True, init=False)
class Dict(Space):
    """A dictionary of spaces; members are dictionaries with the same names."""

    items: tuple[tuple[str, Space], ...]

    def __init__(self, spaces: Mapping[str, Space]):
        object.__setattr__(self, "items", tuple(sorted(spaces.items())))

    def sample(self, key: Key) -> dict[str, PyTree]:
        """A member of each space, drawn independently."""
        keys = jax.random.split(key, len(self.items))
        return {name: space.sample(keys[i]) for i, (name, space) in enumerate(self.items)}

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether `x` has these names and each value is a member of its space."""
        if not isinstance(x, dict) or sorted(x) != [name for name, _ in self.items]:
            return _all(False)
        return _all(jnp.stack([space.contains(x[name]) for name, space in self.items]))


@dataclass(frozen=True)
class Masked(Space):
    """Observations that carry the legal actions: a `view` and one bool per action."""

    view: Space
    n_actions: int

    def sample(self, key: Key) -> MaskedObs:
        """A random view; every action legal."""
        return MaskedObs(self.view.sample(key), jnp.ones(self.n_actions, bool))

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether the view is a member and at least one action is legal."""
        if not isinstance(x, MaskedObs) or np.shape(x.legal) != (self.n_actions,):
            return _all(False)
        return self.view.contains(x.view) & jnp.any(x.legal) & _all(x.legal.dtype == bool)


def map_spaces(function: Callable[[Space], Space], space: Space) -> Space:
    """`space` with every single space replaced, inside `Dict` and `Masked` too; masks are kept."""
    if isinstance(space, Masked):
        return replace(space, view=map_spaces(function, space.view))
    if isinstance(space, Dict):
        return Dict({name: map_spaces(function, part) for name, part in space.items})
    return function(space)


def map_views(function: Callable[..., Array], obs: PyTree, *rest: PyTree) -> PyTree:
    """`function` of every array of the view, `rest` alongside; masks of `obs` are kept."""

    def view(part: Any, *others: Any) -> Any:
        if not isinstance(part, MaskedObs):
            return function(part, *others)
        views = [other.view for other in others]
        return part._replace(view=map_views(function, part.view, *views))

    return jax.tree.map(view, obs, *rest, is_leaf=lambda part: isinstance(part, MaskedObs))


def static_bound(value: Any, default: Any) -> float:
    """A bound as a Python number, so that the space stays hashable.

    The largest entry of `value`, which may have one per env; `default` where it is traced.
    """
    return float(default if isinstance(value, Tracer) else np.max(value))


def random_action(space: Space, obs: PyTree, key: Key) -> PyTree:
    """A uniformly random action; among the legal ones where `obs` says which they are."""
    if isinstance(obs, MaskedObs) and isinstance(space, Discrete):
        least = jnp.finfo(jnp.float32).min
        logits = jnp.where(obs.legal, jnp.zeros(obs.legal.shape), least)
        return jax.random.categorical(key, logits).astype(space.dtype)
    return space.sample(key)


def check_masks(obs_space: Space, n_actions: int) -> None:
    """Raises ConfigError if observations mask another number of actions than there are."""
    if isinstance(obs_space, Masked) and obs_space.n_actions != n_actions:
        raise ConfigError(
            f"observations mask {obs_space.n_actions} actions and there are {n_actions}: masks "
            "need one entry per discrete action."
        )
