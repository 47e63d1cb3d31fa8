"""What SAC and behaviour cloning share: a tanh-normal or a categorical policy."""

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from vibe_rl.algorithms.off_policy import OffPolicy, OffPolicyConfig
from vibe_rl.errors import ConfigError
from vibe_rl.networks.encoder import Encoder, encoder_of
from vibe_rl.networks.layers import RowLinear
from vibe_rl.networks.soft_actor_critic import CategoricalActor, GaussianActor
from vibe_rl.ops.normalization import standardize_obs
from vibe_rl.spaces import Box, Discrete, Masked, Space, check_masks, what_takes
from vibe_rl.types import Key, PyTree, description, static


@description
@dataclass(frozen=True, kw_only=True)
class ActorConfig(OffPolicyConfig):
    """Hyperparameters of the policy."""

    hidden_sizes: tuple[int, ...] = static((256, 256))
    """Widths of the dense layers."""
    log_std_min: float = static(-20.0, finite=True)
    """Least log standard deviation, where the bounds are -1 and 1."""
    log_std_max: float = static(2.0, finite=True)
    """Largest log standard deviation."""


def check_actions(name: str, obs_space: Space, action_space: Space) -> None:
    """Raises ConfigError for action spaces that such a policy does not support."""
    if isinstance(action_space, Discrete):
        check_masks(obs_space, action_space.n)
    elif not isinstance(action_space, Box) or len(action_space.shape) != 1:
        raise ConfigError(
            f"{name} supports Discrete actions and Boxes with one axis, not {action_space}: "
            f"{what_takes(action_space)}."
        )
    elif not action_space.bounded:
        raise ConfigError(
            f"{name} needs bounded actions, and {action_space} is not bounded: use PPO."
        )
    elif isinstance(obs_space, Masked):
        raise ConfigError(
            f"observations mask actions, and {action_space} has no choices: leave the masks out."
        )


@description
@dataclass(frozen=True)
class ActorBased(OffPolicy):
    """The base of algorithms whose state has `actor_params`."""

    @override
    def check(self, num_envs: int) -> None:
        """Raises ConfigError for unsupported actions and settings that cannot work."""
        check_actions(type(self).__name__, self.obs_space, self.action_space)
        if self.config.log_std_min >= self.config.log_std_max:
            raise ConfigError(
                f"log_std_min {self.config.log_std_min} is not below log_std_max "
                f"{self.config.log_std_max}: give a smaller one."
            )
        super().check(num_envs)

    def make_actor(self, key: Key) -> GaussianActor | CategoricalActor:
        """The policy that the config describes."""
        config, space = self.config, self.action_space
        if isinstance(space, Discrete):
            return CategoricalActor(key, self.encoder_of, self.obs_space, space)
        assert isinstance(space, Box)
        log_std_range = (config.log_std_min, config.log_std_max)
        return GaussianActor(key, self.encoder_of, self.obs_space, space, log_std_range)

    def encoder_of(self, key: Key, space: Space) -> Encoder:
        """The layers that turn a member of `space` into the policy's features."""
        return encoder_of(self.config, key, space, self.config.hidden_sizes, RowLinear)

    @override
    def act(self, state: Any, obs: PyTree, key: Key) -> tuple[PyTree, tuple[()]]:
        """Samples the policy."""
        return state.actor_params.sample(self.standardized(state, obs), key), ()

    @override
    def greedy(self, state: Any, obs: PyTree) -> PyTree:
        """The policy's mode."""
        return self.acting_params(state).mode(self.standardized(state, obs))

    def acting_params(self, state: Any) -> GaussianActor | CategoricalActor:
        """The policy that `greedy` takes."""
        return state.actor_params

    def standardized(self, state: Any, obs: PyTree) -> PyTree:
        """What the networks get of an observation."""
        return standardize_obs(state.memory.obs_statistics, obs)
