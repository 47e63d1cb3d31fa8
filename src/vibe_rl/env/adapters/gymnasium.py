"""Gymnasium's environments, to train with environments that run in Python.

Batches, resets at episodes' ends and worker processes are Gymnasium's own (`gymnasium.vector`).
"""

import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from multiprocessing import resource_tracker
from typing import Any

import jax
import numpy as np

from vibe_rl.env.host import HostStep
from vibe_rl.errors import ConfigError, UnknownNameError, unknown
from vibe_rl.extras import require
from vibe_rl.spaces import Box, Dict, Discrete, Image, MultiBinary, MultiDiscrete, Space
from vibe_rl.types import PyTree

PARALLEL = ("sync", "async")
SEEN = ("rgb_array", "ansi")
"""The modes of rendering that return what is seen, the better first."""


def gymnasium() -> Any:
    """The package, with its vector environments; ConfigError if it is not installed."""
    require("gymnasium.vector", "gym", "Gymnasium's environments")
    return require("gymnasium", "gym", "Gymnasium's environments")


@dataclass(frozen=True)
class GymnasiumWrapper:
    """Environments that Gymnasium makes, which reset themselves and run on the host.

    `source` is an id such as `"LunarLander-v3"`, a function that makes one environment, or an
    environment that `gymnasium.make` has made, of which as many are made anew as are needed.
    `parallel` is `"sync"`, one after another in this process, or `"async"`, a process for each.
    `kwargs` are arguments for an id. `episode_metrics` are the scalars that the environment writes
    into `info["episode"]` where an episode ends, and how each is reduced; see
    `vibe_rl.env.reductions`.
    """

    source: Any
    parallel: str = "sync"
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    episode_metrics: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        if self.parallel not in PARALLEL:
            raise unknown("parallel", self.parallel, PARALLEL)
        self._spaces  # noqa: B018 - what is not supported is refused here

    @cached_property
    def make_one(self) -> Callable[[], Any]:
        """A function that makes one environment."""
        if isinstance(self.source, str):
            return partial(gymnasium().make, self.source, **self.kwargs)
        if callable(self.source):
            return self.source
        if getattr(self.source, "spec", None) is None:
            raise ConfigError(
                f"environment {self.source} has no spec: give a function that makes it."
            )
        return partial(gymnasium().make, self.source.spec)

    @property
    def conversions(self) -> tuple["Conversion", "Conversion"]:
        """How observations and actions become ours, and theirs again."""
        return self._spaces

    @cached_property
    def _spaces(self) -> tuple["Conversion", "Conversion"]:
        with closing(self._first()) as env:
            spaces = conversion(env.observation_space), conversion(env.action_space)
            check_interface(env)
        return spaces

    def _first(self) -> Any:
        if callable(self.source):
            return self.source()  # whose errors are the user's own
        try:
            return self.make_one()
        except (gymnasium().error.Error, TypeError, ValueError, ImportError) as error:
            is_unknown = isinstance(error, gymnasium().error.UnregisteredEnv)
            kind = UnknownNameError if is_unknown else ConfigError
            raise kind(f"Gymnasium cannot make this environment: {error}") from error

    def open_shown(self) -> Any:
        """One environment of Gymnasium's own, which renders images or else text if it can."""
        env = self.make_one()
        spec, modes = getattr(env, "spec", None), env.metadata.get("render_modes", ())
        mode = next((mode for mode in SEEN if mode in modes), None)
        if spec is None or mode is None or env.render_mode in SEEN:
            return env
        env.close()
        return gymnasium().make(spec, render_mode=mode)

    def default_params(self) -> tuple[()]:
        """Nothing, `()`: constants are arguments of the environment's own class."""
        return ()

    def observation_space(self, params: PyTree) -> Space:
        """The observations, as one of our spaces."""
        return self._spaces[0].space

    def action_space(self, params: PyTree) -> Space:
        """The actions, as one of our spaces."""
        return self._spaces[1].space

    def open(self, seeds: Sequence[int]) -> "GymnasiumEnvs":
        """An environment for each seed."""
        vector = gymnasium().vector
        how: dict[str, Any] = {"autoreset_mode": vector.AutoresetMode.SAME_STEP}
        make_all = [self.make_one] * len(seeds)
        if self.parallel == "sync":
            envs = vector.SyncVectorEnv(make_all, **how)
        else:
            with sigint_blocked():  # and JAX's threads forbid to fork
                envs = vector.AsyncVectorEnv(make_all, context="spawn", **how)
        return GymnasiumEnvs(envs, list(seeds), *self._spaces, tuple(self.episode_metrics))


def make(name: str, parallel: str = "sync", **kwargs: Any) -> tuple[GymnasiumWrapper, tuple[()]]:
    """The environments of an id, made with these arguments; integers may be passed as 4.0."""
    integers = {k: int(x) for k, x in kwargs.items() if isinstance(x, float) and x.is_integer()}
    return GymnasiumWrapper(name, parallel, kwargs | integers), ()


def names() -> tuple[str, ...]:
    """The ids that are registered with Gymnasium, of each the newest version.

    Some need packages of their own.
    """
    newest: dict[tuple[str | None, str], Any] = {}
    for spec in gymnasium().registry.values():
        known = newest.setdefault((spec.namespace, spec.name), spec)
        if (spec.version or 0) > (known.version or 0):
            newest[spec.namespace, spec.name] = spec
    return tuple(sorted(spec.id for spec in newest.values()))


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """Processes started in the block ignore Ctrl-C, which reaches all; this process does not."""
    resource_tracker.ensure_running()  # whose start would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check_interface(env: Any) -> None:
    """Takes one step of an environment and warns if what it shows is outside its own space.

    Raises:
        ConfigError: it is of the kind before Gymnasium, with four values of a step.
    """
    name = type(getattr(env, "unwrapped", env)).__name__
    first = returned(env.reset, 2, f"{name}.reset", "observation and info", seed=0)
    values = "observation, reward, terminated, truncated and info"
    mask = first[1].get("action_mask") if isinstance(first[1], Mapping) else None
    legal = () if mask is None else (np.asarray(mask, np.int8),)
    after = returned(env.step, 5, f"{name}.step", values, env.action_space.sample(*legal))
    if not all(env.observation_space.contains(obs) for obs in (first[0], after[0])):
        warnings.warn(
            f"{name} shows observations outside its observation_space: see check_env(env).",
            stacklevel=2,
        )


def returned(
    method: Callable[..., Any], n: int, name: str, what: str, *args: Any, **kw: Any
) -> Any:
    """What a method returns, which has to be `n` values."""
    try:
        values = method(*args, **kw)
    except TypeError as error:
        raise ConfigError(f"{name} failed ({error}): {REMEDY}") from error
    if not isinstance(values, tuple) or len(values) != n:
        raise ConfigError(f"{name} has to return {what}: {REMEDY}")
    return values


REMEDY = "wrap an environment of OpenAI's Gym in one of Gymnasium's, see its page on compatibility."


class GymnasiumEnvs:
    """Running environments; see `vibe_rl.env.host.HostEnvs`."""

    def __init__(
        self,
        envs: Any,
        seeds: list[int],
        obs: "Conversion",
        action: "Conversion",
        said: tuple[str, ...] = (),
    ):
        self.envs, self.seeds, self.obs, self.action = envs, seeds, obs, action
        self.said = said  # names of scalars of info["episode"]

    def reset(self) -> PyTree:
        """The first observations."""
        return self.obs.to_ours(self.envs.reset(seed=self.seeds)[0])

    def step(self, action: PyTree) -> HostStep:
        """One step of each."""
        after, reward, terminated, truncated, info = self.envs.step(self.action.to_theirs(action))
        obs = self.obs.to_ours(after)
        final = obs
        if "final_obs" in info:
            final = jax.tree.map(np.copy, obs)
            for i in np.flatnonzero(info["_final_obs"]).tolist():
                set_entry(final, i, self.obs.to_ours(info["final_obs"][i]))
        said = said_of_episodes(self.said, info, np.logical_or(terminated, truncated))
        return HostStep(obs, np.asarray(reward, np.float32), terminated, truncated, final, said)

    def close(self) -> None:
        """Ends them, and their processes."""
        self.envs.close()


def said_of_episodes(
    names: Iterable[str], info: Mapping[str, Any], done: np.ndarray
) -> dict[str, np.ndarray]:
    """The scalars `[N]` of `info["episode"]` of the episodes that are done, NaN of others.

    Raises:
        ConfigError: one of them lacks one.
    """
    found, said = info.get("final_info", {}).get("episode", {}), {}
    for name in names:
        values = np.asarray(found.get(name, np.zeros(len(done))), np.float32)
        if np.any(done & ~found.get(f"_{name}", np.zeros(len(done), bool))):
            raise ConfigError(
                f'an episode ended without info["episode"][{name!r}]: write it at every end, or '
                "leave it out of episode_metrics."
            )
        said[name] = np.where(done, values, np.float32(np.nan))
    return said


def set_entry(batch: PyTree, i: int, example: PyTree) -> None:
    """Writes an example into a batch, in place."""
    for array, entry in zip(jax.tree.leaves(batch), jax.tree.leaves(example), strict=True):
        array[i] = entry


@dataclass(frozen=True)
class Conversion:
    """A Gymnasium space as one of ours, and how to convert members with any leading axes."""

    space: Space
    to_ours: Callable[[Any], PyTree]
    to_theirs: Callable[[PyTree], Any]


def conversion(space: Any) -> Conversion:
    """From a Gymnasium space to ours; ConfigError if there is none like it."""
    kind = type(space).__name__
    if kind == "Dict":
        return of_dict({name: conversion(part) for name, part in space.items()})
    if kind == "Box":
        return of_picture(space) if len(space.shape) == 3 else of_box(space)
    if kind == "Discrete":
        return shifted(Discrete(int(space.n)), space)
    if kind == "MultiDiscrete" and len(space.shape) == 1:
        return shifted(MultiDiscrete(tuple(map(int, space.nvec))), space)
    if kind == "MultiBinary" and len(space.shape) == 1:
        return of_dtypes(MultiBinary(int(space.shape[0])), space)
    raise ConfigError(
        f"the space {space} of a Gymnasium environment is not supported: use Box, Discrete, "
        "MultiDiscrete, MultiBinary or Dict, or flatten it with one of gymnasium.wrappers."
    )


def of_dtypes(ours: Any, theirs: Any) -> Conversion:
    """The same values in another dtype."""
    return Conversion(ours, partial(np.asarray, dtype=ours.dtype), partial(cast, theirs.dtype))


def cast(dtype: Any, x: Any) -> np.ndarray:
    """`x` as Gymnasium wants it, rounded if that is a whole number."""
    x = np.asarray(x)
    return (np.round(x) if x.dtype.kind == "f" and dtype.kind in "iu" else x).astype(dtype)


def shifted(ours: Any, theirs: Any) -> Conversion:
    """Choices that start at any integer there, and at 0 here."""
    return Conversion(
        ours,
        lambda x: (np.asarray(x) - theirs.start).astype(ours.dtype),
        lambda x: np.asarray(x).astype(theirs.dtype) + theirs.start,
    )


def of_box(space: Any) -> Conversion:
    """Entries of at most 32 bits; bytes stay bytes."""
    return of_dtypes(Box(*bounds_of(space), space.shape, dtype_of(space)), space)


def bounds_of(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds; infinite where they are the last numbers of 64 bits."""
    if space.dtype.kind not in "iu" or space.dtype.itemsize < 8:
        return space.low, space.high
    ends = np.iinfo(space.dtype)
    low = np.where(space.low == ends.min, -np.inf if ends.min else 0.0, space.low)
    return low, np.where(space.high == ends.max, np.inf, space.high)


def dtype_of(space: Any) -> np.dtype:
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
    low, high = (x if last else np.moveaxis(x, 0, -1) for x in bounds_of(space))
    is_bytes = space.dtype == np.uint8 and (low == 0).all() and (high == 255).all()
    ours = Image(*low.shape) if is_bytes else Box(low, high, low.shape, dtype_of(space))
    same = of_dtypes(ours, space)
    if last:
        return same
    return Conversion(
        ours,
        lambda x: same.to_ours(np.moveaxis(x, -3, -1)),
        lambda x: same.to_theirs(np.moveaxis(x, -1, -3)),
    )


def of_dict(parts: dict[str, Conversion]) -> Conversion:
    """A dictionary, part by part."""
    return Conversion(
        Dict({name: part.space for name, part in parts.items()}),
        lambda x: {name: part.to_ours(x[name]) for name, part in parts.items()},
        lambda x: {name: part.to_theirs(x[name]) for name, part in parts.items()},
    )
