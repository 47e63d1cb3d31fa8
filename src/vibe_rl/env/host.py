"""Environments that are not written in JAX: they run on the host, behind these two protocols.

What they are about is the same as for `Environment`: spaces, and six values of a step. But they
change as they are stepped, several at once, and cannot be compiled, vmapped or saved.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from vibe_rl.env.base import Environment
from vibe_rl.spaces import Space
from vibe_rl.types import AnyArray, PyTree


class HostStep(NamedTuple):
    """One step of N environments, as NumPy arrays with a leading axis `[N]`."""

    obs: PyTree  # to act on next: of the next episode where one has ended
    reward: AnyArray  # float32
    terminated: AnyArray  # bool, the task ended
    truncated: AnyArray  # bool, the clock ran out
    final_obs: PyTree  # the true successor of the action, everywhere
    episode: dict[str, AnyArray] = {}  # noqa: RUF012 - of each `[N]`, what `info["episode"]` has


@runtime_checkable
class HostEnvs(Protocol):
    """N running environments, each of which begins its next episode by itself."""

    def reset(self) -> PyTree:
        """The first observations `[N, ...]`, of the dtypes of the space."""
        ...

    def step(self, action: PyTree) -> HostStep:
        """One step of each environment; `action` is `[N, ...]`, members of the space."""
        ...

    def close(self) -> None:
        """Frees what the environments hold, such as processes."""
        ...


@runtime_checkable
class HostEnvironment(Protocol):
    """A description of environments on the host, which opens some."""

    def default_params(self) -> PyTree:
        """Nothing, `()`: constants are arguments of the environment's constructor."""
        ...

    def observation_space(self, params: PyTree) -> Space:
        """The set in which every observation lies."""
        ...

    def action_space(self, params: PyTree) -> Space:
        """The set of actions that `step` accepts."""
        ...

    def open(self, seeds: Sequence[int]) -> HostEnvs:
        """An environment for each seed; equal seeds give equal episodes."""
        ...


AnyEnvironment = Environment | HostEnvironment
"""What the runners take."""
