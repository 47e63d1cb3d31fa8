"""Gymnasium's environments, to train with environments that run in Python.

Batches, resets at episodes' ends and worker processes are Gymnasium's own (`gymnasium.vector`).
"""

import inspect
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from multiprocessing import resource_tracker
from typing import Any

import numpy as np

from vibe_rl.env.adapters.gymnasium_envs import RESTARTS, GymnasiumEnvs
from vibe_rl.env.adapters.gymnasium_spaces import Conversion, Converted, conversion
from vibe_rl.env.params.arguments import whole_numbers
from vibe_rl.errors import ConfigError, UnknownNameError, reason, unknown
from vibe_rl.extras import require

PARALLEL = ("auto", "sync", "async", "vector")
EXTRAS = ("box2d", "mujoco")
"""Of this library, called as the part of Gymnasium that needs them."""
PAYS_FROM = 8
"""Environments, from which on arrays are quicker than one environment after another."""
OWN = {
    "vibe_rl/HackMatrix-v0": "vibe_rl.env.hackmatrix.gymnasium_env",
    "vibe_rl/Driving-v0": "vibe_rl.env.driving.gymnasium_env",
}
"""Environments of this library, and the modules that register them when they are imported."""
SEEN = ("rgb_array", "ansi")
"""The modes of rendering that return what is seen, the better first."""


def gymnasium() -> Any:
    """The package, with its vector environments; ConfigError if it is not installed."""
    require("gymnasium.vector", "gym", "Gymnasium's environments")
    return require("gymnasium", "gym", "Gymnasium's environments")


@dataclass(frozen=True)
class GymnasiumWrapper(Converted):
    """Environments that Gymnasium makes, which reset themselves and run on the host.

    `source` is an id such as `"LunarLander-v3"`, a function that makes one environment, or an
    environment that `gymnasium.make` has made, of which as many are made anew as are needed.
    `parallel` is `"sync"`, one after another in this process, `"async"`, a process for each,
    `"vector"`, all at once in arrays, which few environments can, or `"auto"`: `"vector"` where
    Gymnasium can and there are `PAYS_FROM` or more, else `"sync"`. `kwargs` are arguments for an
    id. `episode_metrics` are the scalars that the environment writes into `info["episode"]` where
    an episode ends, and how each is reduced; see `vibe_rl.env.reductions`.
    """

    source: Any
    parallel: str = "auto"
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    episode_metrics: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        if self.parallel not in PARALLEL:
            raise unknown("parallel", self.parallel, PARALLEL)
        if self.parallel == "vector" and not self._has_vector:
            raise ConfigError(
                f"parallel 'vector' of {self.source}: Gymnasium has no batch of it that takes "
                "these arguments and resets each episode at its end, use sync or async."
            )
        self._spaces  # noqa: B018 - what is not supported is refused here

    @cached_property
    def make_one(self) -> Callable[[], Any]:
        """A function that makes one environment."""
        if isinstance(self.source, str):
            module = f"{OWN[self.source]}:" if self.source in OWN else ""
            return partial(gymnasium().make, module + self.source, **self.kwargs)
        if callable(self.source):
            return self.source
        if getattr(self.source, "spec", None) is None:
            raise ConfigError(
                f"environment {self.source} has no spec: give a function that makes it."
            )
        return partial(gymnasium().make, self.source.spec)

    @cached_property
    def _has_vector(self) -> bool:
        """Whether Gymnasium has a batch of it, which we can reset and which takes the arguments."""
        if not isinstance(self.source, str) or self.episode_metrics:
            return False
        spec = gymnasium().registry.get(self.source)
        entry = getattr(spec, "vector_entry_point", None)
        if spec is None or entry not in RESTARTS or spec.additional_wrappers:
            return False
        cls = gymnasium().envs.registration.load_env_creator(entry)
        return self.kwargs.keys() <= inspect.signature(cls).parameters.keys()

    @property
    def conversions(self) -> tuple[Conversion, Conversion]:
        """How observations and actions become ours, and theirs again."""
        return self._spaces

    @cached_property
    def _spaces(self) -> tuple[Conversion, Conversion]:
        with closing(self._first()) as env:
            spaces = conversion(env.observation_space), conversion(env.action_space)
            check_interface(env)
        return spaces

    def _first(self) -> Any:
        if callable(self.source):
            return self.source()  # whose errors are the user's own
        try:
            return self.make_one()
        except Exception as error:  # whatever the environment's class may raise
            absent = isinstance(error, gymnasium().error.DependencyNotInstalled)
            if absent and (extra := extra_of(self.source)):
                remedy = f"pip install 'vibe-rl[{extra}]'."
                raise ConfigError(f"{self.source} needs a package more: {remedy}") from error
            if isinstance(error, gymnasium().error.UnregisteredEnv):  # which names the nearest
                said = f"Gymnasium cannot make this environment: {reason(error)}"
                raise UnknownNameError(said) from error
            missing = absent or isinstance(error, ImportError)
            remedy = "install what is missing" if missing else "check its id and arguments"
            why, *_ = reason(error).split(" was raised from")  # and all arguments once more
            what = f"{self.source} ({why}), {remedy}"
            raise ConfigError(f"Gymnasium cannot make this environment: {what}.") from error

    def open_shown(self) -> Any:
        """One environment of Gymnasium's own, which renders images or else text if it can."""
        env = self.make_one()
        spec, modes = getattr(env, "spec", None), env.metadata.get("render_modes", ())
        mode = next((mode for mode in SEEN if mode in modes), None)
        if spec is None or mode is None or env.render_mode in SEEN:
            return env
        env.close()
        return gymnasium().make(spec, render_mode=mode)

    def open(self, seeds: Sequence[int]) -> GymnasiumEnvs:
        """An environment for each seed; a batch of Gymnasium's own has one seed, the first."""
        if self._in_arrays(len(seeds)):
            how = {"vectorization_mode": "vector_entry_point", **self.kwargs}
            envs = gymnasium().make_vec(self.source, len(seeds), **how)
            restart = RESTARTS[envs.spec.vector_entry_point]
            return GymnasiumEnvs(envs, seeds[0], self._spaces, restart=restart)
        said = tuple(self.episode_metrics)
        return GymnasiumEnvs(self._batch(len(seeds)), list(seeds), self._spaces, said)

    def _in_arrays(self, num_envs: int) -> bool:
        enough = self.parallel == "auto" and num_envs >= PAYS_FROM
        return (enough or self.parallel == "vector") and self._has_vector

    def _batch(self, num_envs: int) -> Any:
        vector = gymnasium().vector
        how: dict[str, Any] = {"autoreset_mode": vector.AutoresetMode.SAME_STEP}
        make_all = [self.make_one] * num_envs
        if self.parallel != "async":
            return vector.SyncVectorEnv(make_all, **how)
        with sigint_blocked():  # and JAX's threads forbid to fork
            return vector.AsyncVectorEnv(make_all, context="spawn", **how)


def extra_of(source: Any) -> str | None:
    """The extra that brings what an id's environment needs, if it is one of Gymnasium's own."""
    spec = gymnasium().registry.get(source) if isinstance(source, str) else None
    module = str(getattr(spec, "entry_point", ""))
    return next((extra for extra in EXTRAS if f"envs.{extra}" in module), None)


def make(name: str, parallel: str = "auto", **kwargs: Any) -> tuple[GymnasiumWrapper, tuple[()]]:
    """The environments of an id, made with these arguments; integers may be passed as 4.0."""
    return GymnasiumWrapper(name, parallel, whole_numbers(kwargs)), ()


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
        ConfigError: it is of the kind before Gymnasium, with four values of a step, or shows
            observations of another shape than its space's.
    """
    name = type(getattr(env, "unwrapped", env)).__name__
    first = returned(env.reset, 2, f"{name}.reset", "observation and info", seed=0)
    values = "observation, reward, terminated, truncated and info"
    mask = first[1].get("action_mask") if isinstance(first[1], Mapping) else None
    legal = () if mask is None else (np.asarray(mask, np.int8),)
    after = returned(env.step, 5, f"{name}.step", values, env.action_space.sample(*legal))
    for obs in (first[0], after[0]):
        _check_shape(name, env.observation_space, obs)
    if not all(env.observation_space.contains(obs) for obs in (first[0], after[0])):
        warnings.warn(
            f"{name} shows observations outside its observation_space: see check_env(env).",
            stacklevel=2,
        )


def _check_shape(name: str, space: Any, obs: Any) -> None:
    """Raises ConfigError for an array whose shape is not that of its space, in a Dict too."""
    if isinstance(obs, Mapping):
        for key in obs.keys() & getattr(space, "spaces", {}).keys():
            _check_shape(name, space[key], obs[key])
        return
    if space.shape is not None and np.shape(obs) != space.shape:
        raise ConfigError(
            f"{name} shows observations of shape {np.shape(obs)}, and its observation_space has "
            f"{space.shape}: give one of them the other's."
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
