"""The types of arrays in spaces, and their bounds."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from vibe_rl.errors import ConfigError, short
from vibe_rl.types import NARROWER

SHOWN = 8
"""How many different bounds a space's representation shows."""


def narrow_dtype(dtype: Any) -> Any:
    """A type of 32 bits instead of one of 64."""
    return NARROWER.get(jnp.dtype(dtype), dtype)


def number_dtype(dtype: Any) -> Any:
    """`narrow_dtype` of one of real numbers or truth values; ConfigError for another."""
    try:
        narrow = narrow_dtype(dtype)
        known = jnp.issubdtype(narrow, jnp.floating) or is_whole(narrow)
    except TypeError:
        known = False
    if not known:
        raise ConfigError(f"dtype {short(dtype, str)} of a space: give one of real numbers.")
    return narrow


def bounds_of_dtype(
    value: Any, shape: tuple[int, ...], dtype: Any, to_whole: Callable[[Any], Any]
) -> tuple[float, ...]:
    """One per entry; infinite where it is the last number of a type, which is no bound.

    Those of whole numbers are whole, and such as the type can hold.
    """
    bounds = np.broadcast_to(np.asarray(value, np.float64), shape).ravel()
    least, most = _unbounded_from(jnp.dtype(dtype))
    bounds = np.where(bounds <= least, -np.inf, np.where(bounds >= most, np.inf, bounds))
    if not is_whole(dtype):
        return tuple(bounds.astype(np.float32).tolist())
    return tuple(np.clip(to_whole(bounds), *_ends(jnp.dtype(dtype))).tolist())


def _ends(dtype: np.dtype) -> tuple[float, float]:
    """The least and the greatest bound that a type of whole numbers can have."""
    if dtype.kind == "b":
        return 0.0, 1.0
    if dtype.itemsize >= 4:
        return 0.0 if dtype.kind == "u" else -np.inf, np.inf
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)


def _unbounded_from(dtype: np.dtype) -> tuple[float, float]:
    """The numbers from which on a type's entries have no bound: bytes and shorts always have."""
    if jnp.issubdtype(dtype, jnp.floating):
        most = min(float(jnp.finfo(dtype).max), float(np.finfo(np.float32).max))
        return -most, most
    if dtype.kind not in "iu" or dtype.itemsize < 4:
        return -np.inf, np.inf
    least = -np.inf if dtype.kind == "u" else float(np.iinfo(dtype).min)
    return least, float(np.iinfo(dtype).max)


def is_whole(dtype: Any) -> bool:
    """Whether it is of integers or truth values."""
    return jnp.dtype(dtype).kind in "biu"


def shown_bounds(bounds: tuple[float, ...]) -> str:
    """At most a handful of them."""
    if len(set(bounds)) <= 1:
        return f"{bounds[0]:g}" if bounds else "()"
    more = ", ..." if len(bounds) > SHOWN else ""
    return f"({', '.join(f'{bound:g}' for bound in bounds[:SHOWN])}{more})"
