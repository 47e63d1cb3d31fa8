"""What an algorithm is: pure functions over an immutable state."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array

from vibe_rl.algorithms.expert import Expert
from vibe_rl.errors import check_kind
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

    @property
    def expert(self) -> Expert | None:
        """Who drives some of the envs in place of `act`; see `Expert`."""
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


class Setup(NamedTuple):
    """The runner's settings that an algorithm needs."""

    total_timesteps: int
    num_envs: int  # over all devices
    n_devices: int
    buffer_size: int  # transitions
    warmup_steps: int
    replay_on: str  # device or host


def with_schedule_steps(config: Any, total_timesteps: int) -> Any:
    """The config, whose schedules last the whole run if they have no length of their own."""
    if config.schedule_steps is not None:
        return config
    return replace(config, schedule_steps=float(total_timesteps))


class Algorithm(ABC):
    """A description `(config, obs_space, action_space)`, a pytree of its hyperparameters.

    The abstract members are those of the paper. `stages` and what follows say what a runner has to
    know; the defaults are those of an algorithm that forgets a rollout after its update.
    """

    config: Any
    obs_space: Space
    action_space: Space
    config_class: ClassVar[type] = object
    """That of `config`."""
    reports_episodes: ClassVar[bool] = False
    """Whether single episodes get rows of their own where the runner's settings do not say."""
    uses_replay: ClassVar[bool] = False
    """Whether `from_config` reads the replay's part of a `Setup`."""
    metrics: ClassVar[tuple[str, ...]] = ()
    """The names of what `update` and the stages measure."""
    losses: ClassVar[tuple[str, ...]] = ()
    """Those of them that have to stay finite."""
    acts_with: ClassVar[tuple[str, ...]] = ("params",)
    """The parts of the state that acting reads, such as `memory.obs_statistics`."""

    @property
    def expert(self) -> Expert | None:
        """Who drives some of the envs in place of `act`, so that it can be learned from."""
        return None

    @property
    def whole_episodes(self) -> bool:
        """Whether a rollout is one episode of each env, which waits for the next one after it."""
        return False

    def __post_init__(self):
        check_kind("config", self.config, self.config_class)

    @classmethod
    def from_config(cls, config: Any, obs_space: Space, action_space: Space, setup: Setup) -> Any:
        """The algorithm for an env with these spaces.

        Raises:
            ConfigError: the setup cannot work.
        """
        return cls(config, obs_space, action_space)  # type: ignore[call-arg]

    @property
    @abstractmethod
    def rollout_length(self) -> int:
        """T, the steps that each env takes between two updates."""

    @abstractmethod
    def check(self, num_envs: int) -> None:
        """Raises ConfigError if the settings cannot work, before anything is compiled."""

    @abstractmethod
    def init(self, key: Key) -> Any:
        """The state before any experience."""

    @abstractmethod
    def act(self, state: Any, obs: PyTree, key: Key) -> tuple[PyTree, Any]:
        """An exploring action for one observation, and the extras that `update` reads."""

    @abstractmethod
    def greedy(self, state: Any, obs: PyTree) -> PyTree:
        """The policy's best action at one observation."""

    @abstractmethod
    def update(self, state: Any, rollout: Transition, key: Key) -> tuple[Any, dict[str, Any]]:
        """The state after learning from a rollout `[T, N, ...]`, and named scalar metrics."""

    def value(self, state: Any, obs: PyTree) -> Array | None:
        """Expected discounted return of the greedy policy; None if it is not estimated."""
        return None

    def act_keys(self, state: Any, fresh: Keys) -> Keys:
        """The keys of a rollout's actions `[T, N]`."""
        return fresh

    def stages(self) -> Sequence[tuple[Stage, int]]:
        """What runs before the algorithm itself, each for so many updates."""
        return ()

    def portable(self, state: Any) -> Any:
        """The part of the state that acting needs."""
        return state

    def from_portable(self, state: Any) -> Any:
        """The whole state, with nothing in what `portable` leaves out."""
        return state

    def shardings(self, state: Any, whole: Any, split: Any) -> Any:
        """Where a state lives on several devices.

        Args:
            state: arrays or their shapes.
            whole: the sharding of each leaf of a state that knows nothing of single envs.
            split: the sharding of a leaf with one entry per env.
        """
        return whole

    def check_memory(self, n_agents: int = 1, n_devices: int = 1) -> None:  # noqa: B027
        """Raises ConfigError if so many agents do not fit into the memory of so many devices."""

    def describe_memory(self) -> str:
        """What takes memory beside the networks, and how much; nothing if nothing does."""
        return ""
