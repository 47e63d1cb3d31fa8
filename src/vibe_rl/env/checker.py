"""What is wrong with an environment, one sentence for each finding: run it on your own.

`check_env(env)` raises if anything is; `problems(env)` lists it. It traces `reset` and `step`,
looks at shapes and types, then plays one random episode of at most `MAX_STEPS` steps.
"""

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.base import Environment, Step
from vibe_rl.env.wrappers import AutoResetWrapper, has_layer
from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Space, random_action
from vibe_rl.types import PyTree, is_key

MAX_STEPS = 256  # of the random episode


class Findings(NamedTuple):
    """What is wrong with an environment, and what may be."""

    problems: list[str]  # each would break a training run, or make it wrong
    notes: list[str]  # each may be what you meant


class Traced(NamedTuple):
    """An environment and what its methods return, as shapes."""

    env: Environment
    params: PyTree
    first: tuple[PyTree, PyTree]  # obs, state
    after: Step


def check_env(env: Any, env_params: PyTree = None) -> None:
    """Examine an environment, wrapped or not; warn of what may be what you meant.

    Raises:
        ConfigError: It has problems; the message lists them all.
    """
    found, notes = examine(env, env_params)
    for note in notes:
        warnings.warn(f"{type(env).__name__}: {note}", stacklevel=2)
    if found:
        raise ConfigError(
            "\n- ".join([f"{type(env).__name__} is not a sound environment:", *found])
        )


def problems(env: Any, env_params: PyTree = None) -> list[str]:
    """What is wrong, one sentence each; empty if nothing is."""
    return examine(env, env_params).problems


def auto_resets(env: Environment, env_params: PyTree) -> bool:
    """Whether steps of `env` carry `info["final_obs"]`; traces, but compiles nothing."""
    return "final_obs" in trace(env, env_params).after.info


def examine(env: Any, env_params: PyTree = None) -> Findings:
    """Problems and notes; behaviour is checked only if the shapes are right."""
    if not isinstance(env, Environment):
        missing = [name for name in _METHODS if not hasattr(env, name)]
        return Findings([f"it has no {', '.join(missing)}."], [])
    params = env.default_params() if env_params is None else env_params
    found = [*_unfrozen(env), *_params_without_arrays(params)]
    unfit = list(_unfit_spaces(env, params))
    if unfit:
        return Findings([*found, *unfit], [])
    try:
        traced = trace(env, params)
    except Exception as error:  # whatever the user's code may raise
        return Findings([*found, _raised("cannot be traced", error)], [])
    found += [problem for check in _SHAPE_CHECKS for problem in check(traced)]
    if found:
        return Findings(found, [])
    try:
        return Findings([*_impure(traced), *_strays(traced)], [*_constant_reset(traced)])
    except Exception as error:
        return Findings([_raised("cannot be run", error)], [])


_METHODS = ("default_params", "observation_space", "action_space", "reset", "step")


def _raised(what: str, error: Exception) -> str:
    return f"it {what}: {type(error).__name__}: {error}"


def trace(env: Environment, params: PyTree) -> Traced:
    """The shapes of everything that `env` returns."""
    key = jax.random.key(0)
    action = jax.eval_shape(env.action_space(params).sample, key)
    first = jax.eval_shape(env.reset, key, params)
    after = jax.eval_shape(env.step, key, first[1], action, params)
    if isinstance(after, tuple) and len(after) == 5:
        raise ConfigError("step returns five values: wrap the environment in FiveValuedAdapter.")
    if not isinstance(after, Step) or not isinstance(after.info, dict):
        raise ConfigError("step must return vibe_rl.env.Step, of six values, `info` a dict.")
    return Traced(env, params, first, after)


def _unfrozen(env: Any) -> Iterator[str]:
    try:
        hash(env)
    except TypeError as error:
        yield f"it is not hashable ({error}): make it a frozen dataclass of hashable fields."
    frozen = dataclasses.is_dataclass(env) and type(env).__dataclass_params__.frozen  # type: ignore[attr-defined]
    if not frozen and getattr(env, "__dict__", None):
        yield f"{type(env).__name__} can be changed: make it a @dataclass(frozen=True)."


def _params_without_arrays(params: PyTree) -> Iterator[str]:
    for path, leaf in jax.tree.leaves_with_path(params):
        if not isinstance(leaf, (jax.Array, np.ndarray, np.generic)):
            yield (
                f"env_params{jax.tree_util.keystr(path)}={leaf!r} is not an array, so it cannot be "
                "vmapped: write np.float32(...) or np.int32(...)."
            )


def _unfit_spaces(env: Environment, params: PyTree) -> Iterator[str]:
    for method in (env.observation_space, env.action_space):
        try:
            space = method(params)
            hash(space)
        except Exception as error:
            yield f"{method.__name__}(env_params) is not a hashable space: {error}"
            continue
        if not isinstance(space, Space):
            yield f"{method.__name__}(env_params) is {space!r}, not a vibe_rl.spaces.Space."


def _describe(leaf: Any) -> str:
    weak = "weakly typed " if getattr(leaf, "weak_type", False) else ""
    return f"{weak}{leaf.dtype.name}{list(leaf.shape)}"


def _differences(name: str, here: tuple[str, PyTree], there: tuple[str, PyTree]) -> Iterator[str]:
    (where, expected), (elsewhere, found) = here, there
    structures = jax.tree.structure(expected), jax.tree.structure(found)
    if structures[0] != structures[1]:
        yield f"{name} is {structures[0]} {where} but {structures[1]} {elsewhere}."
        return
    leaves = jax.tree.leaves_with_path(expected)
    for (path, a), b in zip(leaves, jax.tree.leaves(found), strict=True):
        if _describe(a) != _describe(b):
            part = name + jax.tree_util.keystr(path)
            yield f"{part} is {_describe(a)} {where} but {_describe(b)} {elsewhere}."


def _drift(traced: Traced) -> Iterator[str]:
    obs, state = traced.first
    yield from _differences("obs", ("after reset", obs), ("after step", traced.after.obs))
    yield from _differences("state", ("after reset", state), ("after step", traced.after.state))


def _obs_unlike_space(traced: Traced) -> Iterator[str]:
    space = traced.env.observation_space(traced.params)
    sample = jax.eval_shape(space.sample, jax.random.key(0))
    here, there = ("in observation_space", sample), ("after reset", traced.first[0])
    yield from _differences("obs", here, there)


def _unfit_scalars(traced: Traced) -> Iterator[str]:
    for name, dtype in (("reward", "float32"), ("terminated", "bool"), ("truncated", "bool")):
        leaf = getattr(traced.after, name)
        if jax.tree.structure(leaf) != jax.tree.structure(0):
            yield f"{name} must be one {dtype} scalar, not a {type(leaf).__name__}."
        elif leaf.shape != () or leaf.dtype.name != dtype:
            yield f"{name} is {_describe(leaf)}, and must be a {dtype} scalar."


def _unfit_final_obs(traced: Traced) -> Iterator[str]:
    if "final_obs" in traced.after.info:
        there = 'in info["final_obs"]', traced.after.info["final_obs"]
        yield from _differences("obs", ("after step", traced.after.obs), there)
    elif has_layer(traced.env, AutoResetWrapper):
        yield 'info["final_obs"] of AutoResetWrapper is lost: an outer layer must pass it on.'


def _not_vmappable(traced: Traced) -> Iterator[str]:
    env, sample = traced.env, traced.env.action_space(traced.params).sample

    def reset_and_step(keys: Array, params: PyTree) -> Step:
        params = jax.tree.map(lambda x: jnp.stack([x, x]), params)
        _, state = jax.vmap(env.reset)(keys, params)
        return jax.vmap(env.step)(keys, state, jax.vmap(sample)(keys), params)

    try:
        jax.eval_shape(reset_and_step, _keys(2), traced.params)
    except Exception as error:
        yield _raised("cannot be vmapped", error)


_SHAPE_CHECKS = (_drift, _obs_unlike_space, _unfit_scalars, _unfit_final_obs, _not_vmappable)


def _numbers(tree: PyTree) -> list[np.ndarray]:
    return [np.asarray(_plain(leaf)) for leaf in map(jnp.asarray, jax.tree.leaves(tree))]


def _plain(leaf: Array) -> Array:
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def _same(a: PyTree, b: PyTree) -> bool:
    pairs = zip(_numbers(a), _numbers(b), strict=True)
    return all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in pairs)


def _impure(traced: Traced) -> Iterator[str]:
    """Compiles both methods twice, which freezes what is not an argument at two values."""
    env, params, (reset_key, action_key, key) = traced.env, traced.params, _keys(3)
    resets = [_afresh(env.reset)(reset_key, params) for _ in range(2)]
    if not _same(*resets):
        yield "reset gives two results for the same key: draw all that is random from the key."
    obs, state = resets[0]
    action = random_action(env.action_space(params), obs, action_key)
    steps = [_afresh(env.step)(key, state, action, params) for _ in range(2)]
    if not _same(*steps):
        yield "step gives two results for the same arguments: keep all that changes in the state."


def _afresh(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:  # a new function, which jit has not traced yet
        return method(*args)

    return jax.jit(call)


def _keys(n: int) -> Array:
    return jax.random.split(jax.random.key(0), n)


def _constant_reset(traced: Traced) -> Iterator[str]:
    if _same(*(jax.jit(traced.env.reset)(key, traced.params) for key in _keys(2))):
        yield "reset ignores its key: every episode starts alike."


def _strays(traced: Traced) -> Iterator[str]:
    """Plays until an episode ends, and checks that observations and actions lie in their spaces."""
    env, params, (reset_key, play_key) = traced.env, traced.params, _keys(2)
    obs_space, action_space = env.observation_space(params), env.action_space(params)

    @jax.jit
    def visit(i: Any, obs: PyTree, state: PyTree) -> tuple[Step, dict[str, Array]]:
        action_key, step_key = jax.random.split(jax.random.fold_in(play_key, i))
        action = random_action(action_space, obs, action_key)
        step = env.step(step_key, state, action, params)
        final_obs = step.info.get("final_obs", step.obs)
        return step, {
            "the sampled action": action_space.contains(action),
            "obs": obs_space.contains(step.obs),
            'info["final_obs"]': obs_space.contains(final_obs),
        }

    obs, state = jax.jit(env.reset)(reset_key, params)
    if not obs_space.contains(obs):
        yield "obs of reset lies outside its space: check the bounds."
    for i in range(1, MAX_STEPS + 1):
        step, fits = visit(np.int32(i), obs, state)
        outside = [name for name, inside in fits.items() if not inside]
        if outside:
            yield f"{' and '.join(outside)} of step {i} lies outside its space: check the bounds."
            return
        if step.terminated | step.truncated:
            yield from _silent_reset(traced, state, step)
            return
        obs, state = step.obs, step.state


def _silent_reset(traced: Traced, before: PyTree, last: Step) -> Iterator[str]:
    """Whether the end of an episode reset what is the same after every reset, such as clocks."""
    if "final_obs" in last.info:
        return
    states = jax.vmap(traced.env.reset, (0, None))(_keys(8), traced.params)[1]
    fresh, before, after = (_numbers(tree) for tree in (states, before, last.state))
    alike = [i for i, x in enumerate(fresh) if np.array_equal(x, np.broadcast_to(x[0], x.shape))]
    moved = any(not np.array_equal(before[i], fresh[i][0]) for i in alike)
    if moved and all(np.array_equal(after[i], fresh[i][0]) for i in alike):
        yield (
            'step resets by itself but has no info["final_obs"], the true last observation: '
            "write it, or leave the reset to AutoResetWrapper."
        )
