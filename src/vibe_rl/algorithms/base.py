"""What an algorithm is: pure functions over an immutable state."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array

from vibe_rl.spaces import Space
from vibe_rl.types import Key, Keys, PyTree, Transition


@runtime_checkable
class Stage(Protocol):
    """What the loop runs: how to act, and what becomes of a rollout.

    `act` speaks about one example; the loop `vmap`s it. A rollout always has shape `[T, N, ...]`.
    """

    @property
    def rollout_length(self) -> int:
        """T, the steps that each env takes between two updates."""
        ...

    def act_keys(self, state: PyTree, fresh: Keys) -> Keys:
        """The keys that `act` gets in a rollout: `fresh` ones, unless random choices are held."""
        ...

    def act(self, state: PyTree, obs: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        """An exploring action, and the extras that `update` wants to see again."""
        ...

    def update(
        self, state: PyTree, rollout: Transition, key: Key
    ) -> tuple[PyTree, dict[str, PyTree]]:
        """Learns from a rollout; returns the next state and named scalar metrics."""
        ...


@runtime_checkable
class Algorithm(Stage, Protocol):
    """A description `(config, obs_space, action_space)` whose numbers are leaves of a pytree.

    `greedy` speaks about one example too. Whether the algorithm forgets a rollout after an update
    or keeps it in a replay of its own is its own business.
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

    def check(self, num_envs: int) -> None:
        """Raises ConfigError if the settings cannot work, before anything is compiled."""
        ...

    def init(self, key: Key) -> PyTree:
        """The state before any experience."""
        ...

    def greedy(self, state: PyTree, obs: PyTree) -> PyTree:
        """The action the policy thinks best."""
        ...

    def value(self, state: PyTree, obs: PyTree) -> Array | None:
        """The discounted return expected of the greedy policy; None if nothing learned tells it."""
        ...
