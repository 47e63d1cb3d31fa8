"""How adapters call the code of other suites, and make their values as ours are.

Suites are written for JAX as it is by default: in 32 bits, and with arrays of fewer axes promoted.
Here they are called so whatever JAX is set to, in its 64-bit mode too. Most keep a key in their
state; they get keys of the old kind, `jax.random.key_data`, so that states are numbers only.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.errors import ConfigError, reason, unknown
from vibe_rl.extras import require
from vibe_rl.types import PyTree

Arguments = tuple[tuple[str, Any], ...]
"""Keyword arguments of a suite's environment, hashable, in alphabetical order."""

SCATTER = "scatter inputs have incompatible types"
"""What JAX warns of in suites that write numbers of one type into arrays of another."""


@contextmanager
def as_suites_expect() -> Iterator[None]:
    """JAX as suites expect it, for code that is run or traced in this block."""
    with (
        jax.numpy_rank_promotion("allow"),
        jax.enable_x64(False),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", DeprecationWarning)  # as in all code but the user's own
        warnings.filterwarnings("ignore", SCATTER, FutureWarning)
        yield


def suite_module(module: str, extra: str, purpose: str) -> Any:
    """A module of a suite, imported as the suite expects; see `vibe_rl.extras.require`."""
    with jax.ensure_compile_time_eval(), as_suites_expect():
        return require(module, extra, purpose)


@contextmanager
def making(name: str) -> Iterator[None]:
    """Says in a sentence why a suite cannot make an environment in this block.

    It may stand in code that is traced: what is made there has values all the same.
    """
    try:
        with jax.ensure_compile_time_eval(), as_suites_expect():
            yield
    except ConfigError:
        raise
    except Exception as error:  # whatever the suite's classes may raise
        what = f"{type(error).__name__}: {reason(error)}"
        raise ConfigError(f"{name} cannot be made ({what}): check its arguments.") from error


def frozen(kwargs: Mapping[str, Any]) -> Arguments:
    """Keyword arguments as one hashable value; integers may be passed as 4.0.

    Raises:
        ConfigError: one of them is not hashable.
    """
    return tuple((name, _frozen(name, kwargs[name])) for name in sorted(kwargs))


def _frozen(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_frozen(name, x) for x in value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        hash(value)
    except TypeError:
        kind = type(value).__name__
        raise ConfigError(f"{name} is a {kind}: give a number, a name or a tuple.") from None
    return value


def count(name: str, value: Any) -> int:
    """A number of steps; ConfigError if it is no whole number of at least 1, or of over 32 bits."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 1 <= value < 2**31 or value != int(value):
        raise ConfigError(f"{name} {value!r}: give a whole number of at least 1.")
    return int(value)


def check_name(suite: str, name: str, known: Iterable[str]) -> None:
    """Raises UnknownNameError, with the nearest names, if a suite has no such environment."""
    if name not in known:
        raise unknown(f"environment of {suite}", name, known)


def in_types_of(tree: PyTree, example: PyTree) -> PyTree:
    """The tree in the types of an example of the same structure."""
    return jax.tree.map(lambda x, y: jnp.asarray(x, jnp.result_type(y)), tree, example)


def copied(tree: PyTree) -> PyTree:
    """The same leaves in new containers, for suites that write into what they are given."""
    return jax.tree.map(lambda x: x, tree)


def scalars(values: Mapping[str, Any], convert: Callable[[Any], Any] = lambda x: x) -> PyTree:
    """The single numbers among what a suite tells of a step, as float32."""
    numbers = {name: jnp.asarray(x) for name, x in values.items()}
    return {name: convert(x.astype(jnp.float32)) for name, x in numbers.items() if x.shape == ()}
