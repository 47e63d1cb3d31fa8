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

from vibe_rl.env.adapters.suites import check_ours
from vibe_rl.env.base import Environment, Step
from vibe_rl.env.checks.host_checker import host_problems
from vibe_rl.env.checks.traced import Traced, inside_auto_reset, not_vmappable, trace, unfit_shapes
from vibe_rl.env.host import HostEnvironment
from vibe_rl.errors import ConfigError
from vibe_rl.networks.in_words import surprises
from vibe_rl.spaces import Masked, Space, random_action
from vibe_rl.types import MaskedObs, PyTree, is_key

MAX_STEPS = 256  # of the random episode


class Findings(NamedTuple):
    """What is wrong with an environment, and what may be."""

    problems: list[str]  # each would break a training run, or make it wrong
    notes: list[str]  # each may be what you meant


def check_env(env: Any, env_params: PyTree = None) -> None:
    """Examine an environment, wrapped or not; warn of what may be what you meant.

    Raises:
        ConfigError: It has problems; the message lists them all.
    """
    found, notes = examine(env, env_params)
    for note in notes:
        warnings.warn(f"{type(env).__name__}: {note}", stacklevel=2)
    if found:
        name = (env if isinstance(env, type) else type(env)).__name__
        raise ConfigError("\n- ".join([f"{name} is not a sound environment:", *found]))


def problems(env: Any, env_params: PyTree = None) -> list[str]:
    """What is wrong, one sentence each; empty if nothing is."""
    return examine(env, env_params).problems


def examine(env: Any, env_params: PyTree = None) -> Findings:
    """Problems and notes; behaviour is checked only if the shapes are right."""
    refused = [*_no_environment(env)]
    if refused:
        return Findings(refused, [])
    if isinstance(env, HostEnvironment):
        return _found("cannot be run", lambda: Findings([*host_problems(env, MAX_STEPS)], []))
    params = env.default_params() if env_params is None else env_params
    found = [*_unfrozen(env), *_params_without_arrays(params)]
    unfit = [*_unfit_spaces(env, params)]
    if unfit:
        return Findings([*found, *unfit], [])
    shapes = _found("cannot be traced", lambda: _examine_shapes(env, params))
    if found or shapes.problems:
        return Findings([*found, *shapes.problems], [])
    return _found("cannot be run", lambda: _examine_behaviour(trace(env, params)))


def _no_environment(env: Any) -> Iterator[str]:
    if isinstance(env, type):
        yield f"it is a class: give an instance, such as {env.__name__}()."
        return
    try:
        check_ours(env)
    except ConfigError as error:
        yield str(error)
        return
    if not isinstance(env, (Environment, HostEnvironment)):
        missing = [name for name in _METHODS if not hasattr(env, name)]
        yield f"it has no {', '.join(missing)}."


def _found(what: str, look: Callable[[], Findings]) -> Findings:
    """What `look` finds, or what the user's code raises meanwhile."""
    try:
        return look()
    except Exception as error:
        return Findings([_raised(what, error)], [])


def _examine_shapes(env: Environment, params: PyTree) -> Findings:
    inside = inside_auto_reset(env, params)  # whose types the wrapper evens out
    unfit = [] if inside is None else unfit_shapes(trace(*inside), weak=False)
    if unfit:
        return Findings(unfit, [])
    traced = trace(env, params)
    error = not_vmappable(traced)
    vmapped = [] if error is None else [_raised("cannot be vmapped", error)]
    return Findings([*unfit_shapes(traced), *vmapped], [])


def _examine_behaviour(traced: Traced) -> Findings:
    env, space = traced.env, traced.env.observation_space(traced.params)
    resets, steps = ([_afresh(method) for _ in range(2)] for method in (env.reset, env.step))
    found = [*_impure(traced, resets, steps), *_strays(traced, resets[0], steps[0])]
    return Findings(found, [*_constant_reset(traced, resets[0]), *surprises(space)])


_METHODS = ("default_params", "observation_space", "action_space", "reset", "step")


def _raised(what: str, error: Exception) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    return f"it {what}: {type(error).__name__}: {error}"


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
            kind = f"{type(space).__module__}.{type(space).__name__}"
            yield f"{method.__name__}(env_params) is a {kind}: make it one of vibe_rl.spaces."


def _numbers(tree: PyTree) -> list[np.ndarray]:
    return [np.asarray(_plain(leaf)) for leaf in map(jnp.asarray, jax.tree.leaves(tree))]


def _plain(leaf: Array) -> Array:
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def _same(a: PyTree, b: PyTree) -> bool:
    pairs = zip(_numbers(a), _numbers(b), strict=True)
    return all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in pairs)


Program = Callable[..., Any]
"""A method as compiled."""


def _impure(traced: Traced, resets: list[Program], steps: list[Program]) -> Iterator[str]:
    """Both methods, compiled twice, which freezes what is not an argument at two values."""
    params, (reset_key, action_key, key) = traced.params, _keys(3)
    firsts = [reset(reset_key, params) for reset in resets]
    if not _same(*firsts):
        yield "reset gives two results for the same key: draw all that is random from the key."
    obs, state = firsts[0]
    action = random_action(traced.env.action_space(params), obs, action_key)
    if not _same(*(step(key, state, action, params) for step in steps)):
        yield "step gives two results for the same arguments: keep all that changes in the state."


def _afresh(method: Callable[..., Any]) -> Program:
    def call(*args: Any) -> Any:  # a new function, which jit has not traced yet
        return method(*args)

    call.__name__ = method.__name__  # which lets JAX's cache on the disk know it again
    return jax.jit(call)


def _keys(n: int) -> Array:
    return jax.random.split(jax.random.key(0), n)


def _constant_reset(traced: Traced, reset: Program) -> Iterator[str]:
    if _same(*(reset(key, traced.params) for key in _keys(2))):
        yield "reset ignores its key: every episode starts alike."


def _strays(traced: Traced, reset: Program, take: Program) -> Iterator[str]:
    """Plays until an episode ends, and checks that observations and actions lie in their spaces."""
    env, params, (reset_key, play_key) = traced.env, traced.params, _keys(2)
    obs_space, action_space = env.observation_space(params), env.action_space(params)
    play = _playing(traced, take, play_key)

    @jax.jit
    def fit(action: PyTree, step: Step) -> dict[str, Array]:
        sampled = {"the sampled action": action_space.contains(action)}
        return sampled | values_fit(obs_space, step)

    obs, state = reset(reset_key, params)
    if not obs_space.contains(obs):
        yield "obs of reset lies outside its space: check the bounds."
    for i in range(1, MAX_STEPS + 1):
        action, step = play(np.int32(i), obs, state)
        outside = [name for name, inside in fit(action, step).items() if not inside]
        if outside:
            yield _stray(outside, i, step)
            return
        if step.terminated | step.truncated:
            yield from _silent_reset(traced, state, step)
            return
        obs, state = step.obs, step.state


def _playing(traced: Traced, take: Program, key: Array) -> Callable[..., tuple[PyTree, Step]]:
    """Takes the i-th random step, of an obs and a state, with the program of a single step."""
    space = traced.env.action_space(traced.params)

    @jax.jit
    def choose(i: Any, obs: PyTree) -> tuple[PyTree, Array]:
        action_key, step_key = jax.random.split(jax.random.fold_in(key, i))
        return random_action(space, obs, action_key), step_key

    def play(i: Any, obs: PyTree, state: PyTree) -> tuple[PyTree, Step]:
        action, step_key = choose(i, obs)
        return action, take(step_key, state, action, traced.params)

    return play


def values_fit(obs_space: Space, step: Step) -> dict[str, Array]:
    """Whether each value of a step is what it may be."""
    done, resets = step.terminated | step.truncated, "final_obs" in step.info
    fits = {"obs": lies_in(obs_space, step.obs, jnp.array(False) if resets else done)}
    if resets:
        fits['info["final_obs"]'] = lies_in(obs_space, step.info["final_obs"], done)
    return fits | {"reward": jnp.isfinite(step.reward)}


def lies_in(space: Space, obs: PyTree, ends: Array) -> Array:
    """Whether an observation lies in its space, with a legal action unless the episode `ends`."""
    if not isinstance(space, Masked):
        return space.contains(obs) & _finite(obs)
    fits = space.view.contains(obs.view) & _finite(obs.view)
    return fits & (space.contains(obs) | ends)


def _finite(obs: PyTree) -> Array:
    leaves = [x for x in jax.tree.leaves(obs) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return jnp.stack([jnp.isfinite(x).all() for x in leaves]).all() if leaves else jnp.array(True)


def _stray(outside: list[str], i: int, step: Step) -> str:
    """What of step `i` lies outside its space, and why."""
    if outside == ["reward"]:
        return f"reward of step {i} is {float(step.reward)}: give finite numbers."
    names = f"{' and '.join(outside)} of step {i}"
    are, have, lie = ("is", "has", "lies") if len(outside) == 1 else ("are", "have", "lie")
    obs = step.info.get("final_obs", step.obs)
    if "obs" in outside and not _finite(obs.view if isinstance(obs, MaskedObs) else obs):
        return f"{names} {are} not finite: give finite numbers."
    if isinstance(obs, MaskedObs) and not jnp.any(obs.legal):
        return f"{names} {have} no legal action, in mid-episode: allow one, or end the episode."
    return f"{names} {lie} outside its space: check the bounds."


def _silent_reset(traced: Traced, before: PyTree, last: Step) -> Iterator[str]:
    """Whether the end of an episode reset what is the same after every reset, such as clocks."""
    if "final_obs" in last.info:
        return
    states = jax.jit(jax.vmap(traced.env.reset, (0, None)))(_keys(8), traced.params)[1]
    fresh, before, after = (_numbers(tree) for tree in (states, before, last.state))
    alike = [i for i, x in enumerate(fresh) if np.array_equal(x, np.broadcast_to(x[0], x.shape))]
    moved = any(not np.array_equal(before[i], fresh[i][0]) for i in alike)
    if moved and all(np.array_equal(after[i], fresh[i][0]) for i in alike):
        yield (
            'step resets by itself but has no info["final_obs"], the true last observation: '
            "write it, or leave the reset to AutoResetWrapper."
        )
