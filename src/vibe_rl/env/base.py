"""What an environment is: five pure methods, and the six values of a step in Gymnasium's order."""

from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array

from vibe_rl.spaces import Space
from vibe_rl.types import Key, PyTree


class Step(NamedTuple):
    """What `Environment.step` returns."""

    obs: PyTree  # to act on next
    state: PyTree
    reward: Array  # float32 scalar
    terminated: Array  # bool scalar, the task ended
    truncated: Array  # bool scalar, the clock ran out
    info: dict[str, PyTree]  # "metrics": named scalars to average and log


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
