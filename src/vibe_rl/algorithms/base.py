"""What an algorithm is: pure functions over an immutable state."""

from typing import Any, Protocol, runtime_checkable

from vibe_rl.spaces import Space
from vibe_rl.types import Key, PyTree, Transition


@runtime_checkable
class Algorithm(Protocol):
    """A description `(config, obs_space, action_space)` whose numbers are leaves of a pytree.

    `act` and `greedy` speak about one example; the loop `vmap`s them. A rollout always has shape
    `[T, N, ...]`, whether the algorithm forgets it afterwards or keeps it in a replay of its own.
    """

    @property
    def config(self) -> Any:
        """The hyperparameters, a frozen dataclass."""
        ...

    @property
    def obs_space(self) -> Space:
        """What it can observe."""
        ...

    @property
    def action_space(self) -> Space:
        """What it can do."""
        ...

    @property
    def rollout_length(self) -> int:
        """T, the steps that each env takes between two updates."""
        ...

    def check(self, num_envs: int) -> None:
        """Raises ConfigError if the settings cannot work, before anything is compiled."""
        ...

    def init(self, key: Key) -> PyTree:
        """The state before any experience."""
        ...

    def act(self, state: PyTree, obs: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        """An exploring action, and the extras that `update` wants to see again."""
        ...

    def greedy(self, state: PyTree, obs: PyTree) -> PyTree:
        """The action the policy thinks best."""
        ...

    def update(
        self, state: PyTree, rollout: Transition, key: Key
    ) -> tuple[PyTree, dict[str, PyTree]]:
        """Learns from a rollout; returns the next state and named scalar metrics."""
        ...
