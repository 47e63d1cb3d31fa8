"""What an environment returns, as shapes and types, and what of it cannot work.

Nothing is compiled or run: training asks it too, before it begins.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.env.base import Environment, Step, checked, checked_first
from vibe_rl.env.precision import in_single_precision
from vibe_rl.env.reductions import TABLES, taken_names, unfit_tables
from vibe_rl.env.wrappers import AutoResetWrapper, Wrapper, has_layer, layers
from vibe_rl.errors import ConfigError, reason, short
from vibe_rl.types import RESERVED_METRICS, PyTree


class Traced(NamedTuple):
    """An environment and what its methods return, as shapes."""

    env: Environment
    params: PyTree
    first: tuple[PyTree, PyTree]  # obs, state
    after: Step


IN_PYTHON = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)
"""What JAX raises where Python needs a number that is traced."""


def _call(owner: Any, method: str, *args: PyTree) -> PyTree:
    return getattr(owner, method)(*args)


_call_equals_once = jax.jit(_call, static_argnums=(0, 1))


def result_shapes(owner: Any, method: str, *args: PyTree) -> PyTree:
    """What `jax.eval_shape` says of a method; it is traced once for owners that are equal."""
    try:
        hash(owner)
    except TypeError:
        return jax.eval_shape(getattr(owner, method), *args)
    return _call_equals_once.eval_shape(owner, method, *args)


def trace(env: Environment, params: PyTree) -> Traced:
    """The shapes of everything that `env` returns, as the library sees it.

    Raises:
        ConfigError: a method raises something, or returns another number of values.
    """
    env, key = in_single_precision(env), jax.random.key(0)
    action = result_shapes(env.action_space(params), "sample", key)
    with told_of("reset", "mend it there"):
        first = checked_first(result_shapes(env, "reset", key, params))
    with told_of("step", "mend it there; its state is the second value of reset"):
        after = checked(result_shapes(env, "step", key, first[1], action, params))
    return Traced(env, params, first, after)


@contextmanager
def told_of(method: str, remedy: str) -> Iterator[None]:
    """Says in a sentence what an environment's method raises in this block."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        if isinstance(error, IN_PYTHON):
            remedy = "use jnp.where or jax.lax.cond instead of Python's if"
        if "is not a valid JAX type" in str(error):
            remedy = "return arrays and numbers alone"
        what = f"{type(error).__name__} ({reason(error)[:90]})"
        raise ConfigError(f"{method} raises {what}: {remedy}.") from error


def inside_auto_reset(env: Any, params: PyTree) -> tuple[Environment, PyTree] | None:
    """The environment that an AutoResetWrapper resets, and its params; None if there is none."""
    for layer in layers(env):
        if not isinstance(layer, Wrapper):
            return None
        params = layer.inner_params(params)
        if isinstance(layer, AutoResetWrapper):
            return layer.env, params
    return None


def auto_resets(env: Environment, env_params: PyTree) -> bool:
    """Whether steps of `env` carry `info["final_obs"]`; traces, but compiles nothing."""
    return "final_obs" in trace(env, env_params).after.info


def unfit_shapes(traced: Traced, weak: bool = True) -> list[str]:
    """What of it cannot work, one sentence each.

    Args:
        traced: see `trace`.
        weak: whether weakly typed arrays differ from others: they compile twice, but train.
    """
    return [
        *_drift(traced, weak),
        *_obs_unlike_space(traced, weak),
        *_unfit_scalars(traced),
        *_unfit_final_obs(traced, weak),
        *_unfit_metrics(traced),
    ]


def _describe(leaf: Any, weak: bool = True) -> str:
    kind = "weakly typed " if weak and getattr(leaf, "weak_type", False) else ""
    return f"{kind}{leaf.dtype.name}{list(leaf.shape)}"


def _differences(
    name: str, here: tuple[str, PyTree], there: tuple[str, PyTree], weak: bool
) -> Iterator[str]:
    (where, expected), (elsewhere, found) = here, there
    structures = jax.tree.structure(expected), jax.tree.structure(found)
    if structures[0] != structures[1]:
        one, other = (short(each, str) for each in structures)
        yield f"{name} is {one} {where} but {other} {elsewhere}: keep one."
        return
    leaves = jax.tree.leaves_with_path(expected)
    for (path, before), after in zip(leaves, jax.tree.leaves(found), strict=True):
        part, a, b = jax.tree_util.keystr(path), _describe(before, weak), _describe(after, weak)
        if a != b:
            yield f"{name}{part} is {a} {where} but {b} {elsewhere}: keep one."


def _drift(traced: Traced, weak: bool) -> Iterator[str]:
    for name, before, after in zip(
        ("obs", "state"), traced.first, (traced.after.obs, traced.after.state), strict=True
    ):
        yield from _differences(name, ("after reset", before), ("after step", after), weak)


def _obs_unlike_space(traced: Traced, weak: bool) -> Iterator[str]:
    space = traced.env.observation_space(traced.params)
    sample = result_shapes(space, "sample", jax.random.key(0))
    here, there = ("in observation_space", sample), ("after reset", traced.first[0])
    yield from _differences("obs", here, there, weak)


def _unfit_scalars(traced: Traced) -> Iterator[str]:
    for name, dtype in (("reward", "float32"), ("terminated", "bool"), ("truncated", "bool")):
        leaf = getattr(traced.after, name)
        if jax.tree.structure(leaf) != jax.tree.structure(0):
            yield f"{name} is a {type(leaf).__name__}: return one {dtype} scalar."
        elif leaf.shape != () or leaf.dtype.name != dtype:
            yield f"{name} is {_describe(leaf)}: return a {dtype} scalar."


def _unfit_final_obs(traced: Traced, weak: bool) -> Iterator[str]:
    if "final_obs" in traced.after.info:
        there = 'in info["final_obs"]', traced.after.info["final_obs"]
        yield from _differences("obs", ("after step", traced.after.obs), there, weak)
    elif has_layer(traced.env, AutoResetWrapper):
        yield 'info["final_obs"] of AutoResetWrapper is lost: an outer layer must pass it on.'


def _unfit_metrics(traced: Traced) -> Iterator[str]:
    for entry in TABLES:
        scalars = traced.after.info.get(entry, {})
        if not isinstance(scalars, dict):
            yield f'info["{entry}"] is a {type(scalars).__name__}: make it a dict of named scalars.'
            return
        if not all(isinstance(name, str) for name in scalars):
            yield f'info["{entry}"] has the names {short(list(scalars))}: give text.'
            return
        for name, leaf in scalars.items():
            if jax.tree.structure(leaf) != jax.tree.structure(0) or leaf.shape != ():
                yield f'info["{entry}"][{name!r}] is no scalar: give each number a name of its own.'
    yield from unfit_tables(traced.env, traced.after.info)
    yield from taken_names(traced.env, traced.after.info, RESERVED_METRICS)


def not_vmappable(traced: Traced) -> Exception | None:
    """What two of the environments side by side raise, if anything."""
    env, sample = traced.env, traced.env.action_space(traced.params).sample

    def reset_and_step(keys: Array, params: PyTree) -> Step:
        params = jax.tree.map(lambda x: jnp.stack([x, x]), params)
        _, state = jax.vmap(env.reset)(keys, params)
        return jax.vmap(env.step)(keys, state, jax.vmap(sample)(keys), params)

    try:
        jax.eval_shape(reset_and_step, jax.random.split(jax.random.key(0), 2), traced.params)
    except Exception as error:  # whatever the user's code may raise
        return error
    return None
