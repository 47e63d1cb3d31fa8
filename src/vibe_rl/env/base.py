"""What an environment is: five pure methods, and the six values of a step in Gymnasium's order."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array

from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Space
from vibe_rl.types import Key, PyTree

EnvParams = PyTree
"""Constants of an environment, of any kind: each has a class of its own."""
EnvState = PyTree
"""What an environment remembers between two steps, of any kind."""


class Step(NamedTuple):
    """What `Environment.step` returns."""

    obs: PyTree  # to act on next
    state: PyTree
    reward: Array  # float32 scalar
    terminated: Array  # bool scalar, the task ended
    truncated: Array  # bool scalar, the clock ran out
    info: dict[str, PyTree]  # "metrics": named scalars to average and log


def checked(step: Any) -> Step:
    """What an environment's `step` returned, if it is a `Step`.

    Raises:
        ConfigError: it is something else, such as the five values of other libraries.
    """
    if isinstance(step, tuple) and not isinstance(step, Step) and len(step) == 5:
        raise ConfigError(
            "step returns five values: return vibe_rl.env.Step, or, where they are obs, state, "
            "reward, done and info, wrap it in FiveValuedAdapter, inside all other wrappers."
        )
    if not isinstance(step, Step) or not isinstance(step.info, dict):
        raise ConfigError(
            f"step returns a {type(step).__name__}: return vibe_rl.env.Step, of six values, its "
            "info a dict."
        )
    return step


def checked_first(first: Any) -> tuple[PyTree, PyTree]:
    """What an environment's `reset` returned, if it is two values.

    Raises:
        ConfigError: it is something else.
    """
    several = isinstance(first, (tuple, list))
    if not several or len(first) != 2:
        found = f"{len(first)} values" if several else "one value"
        raise ConfigError(f"reset returns {found}: return obs and state, in this order.")
    return tuple(first)


@runtime_checkable
class Environment(Protocol):
    """A pure environment: no method has side effects, `vmap` makes many of it.

    Implementations are frozen dataclasses, hashable, so that `jax.jit` takes them as static
    arguments. Constants that fix no shape live in `params`, a pytree of arrays, and can be vmapped.
    """

    def default_params(self) -> PyTree:
        """The constants of the environment, as a pytree of arrays."""
        ...

    def observation_space(self, params: PyTree) -> Space:
        """The set in which every observation lies."""
        ...

    def action_space(self, params: PyTree) -> Space:
        """The set of actions that `step` accepts."""
        ...

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """The first observation and state of a new episode."""
        ...

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One env step."""
        ...
