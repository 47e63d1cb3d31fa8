"""What the policies of the algorithms are made of, said once for all that is exported."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.algorithms.actor_based import ActorBased
from vibe_rl.algorithms.base import Algorithm
from vibe_rl.algorithms.bc import BC, BCState
from vibe_rl.algorithms.dqn import DQN, DQNState, legal_values
from vibe_rl.algorithms.ppo import PPO, PPOState
from vibe_rl.algorithms.sac import SAC, SACState
from vibe_rl.errors import ConfigError
from vibe_rl.networks.distributions import Categorical, Distribution, MultiCategorical
from vibe_rl.networks.encoder import Encoder
from vibe_rl.networks.layers import Linear, RowLinear
from vibe_rl.networks.q_network import DuelingQNetwork, Stream
from vibe_rl.networks.soft_actor_critic import GaussianActor
from vibe_rl.ops.normalization import RunningStatistics, standardize_obs
from vibe_rl.types import PyTree


class Streams(NamedTuple):
    """The halves of a duelling network."""

    value: Stream
    advantage: Stream


class Parts(NamedTuple):
    """A policy, from the observation to what the action is chosen by."""

    statistics: RunningStatistics | None  # None where observations are not standardised
    encoder: Encoder
    head: Linear | RowLinear | Streams
    log_std: Array | tuple[float, float] | None = None
    """Numbers, or the bounds of the head's second half; None for choices."""
    squash: bool = False  # whether a tanh keeps continuous actions within their bounds


class _Kind(NamedTuple):
    """What an algorithm has to say of its policies."""

    parts: Callable[[Any, Any], Parts]  # of the algorithm and its state
    distribution: Callable[[Any, Any, PyTree], Distribution]  # at one observation
    choice: str = "logits"  # what the greatest of is chosen
    samples: bool = True  # whether the policy is random at all
    value: Callable[[Any, Any, PyTree], Array] | None = None  # None: that of the algorithm


def _ppo(algorithm: PPO, state: PPOState) -> Parts:
    head = state.params.policy_head
    actor, squash = state.params.actor, head.squash
    return Parts(state.obs_statistics, actor, head.linear, head.log_std, squash)


def _ppo_distribution(algorithm: PPO, state: PPOState, obs: PyTree) -> Distribution:
    return state.params.policy(standardize_obs(state.obs_statistics, obs))


def _ppo_value(algorithm: PPO, state: PPOState, obs: PyTree) -> Array:
    """In the env's own unit of reward."""
    value = state.params.value(standardize_obs(state.obs_statistics, obs))
    return value / algorithm.config.reward_scale


def _dqn(algorithm: DQN, state: DQNState) -> Parts:
    params = state.params
    dueling = isinstance(params, DuelingQNetwork)
    head = Streams(params.value, params.advantage) if dueling else params.head
    return Parts(state.memory.obs_statistics, params.encoder, head)


def _dqn_distribution(algorithm: DQN, state: DQNState, obs: PyTree) -> Distribution:
    return Categorical(legal_values(algorithm.values(state, obs), obs))


def _actor(algorithm: ActorBased, state: SACState | BCState) -> Parts:
    actor = algorithm.acting_params(state)
    continuous = isinstance(actor, GaussianActor)
    bounds = actor.log_std_range if continuous else None
    return Parts(state.memory.obs_statistics, actor.encoder, actor.head, bounds, continuous)


def _actor_distribution(
    algorithm: ActorBased, state: SACState | BCState, obs: PyTree
) -> Distribution:
    return algorithm.acting_params(state).policy(algorithm.standardized(state, obs))


KINDS: dict[type[Algorithm], _Kind] = {
    PPO: _Kind(_ppo, _ppo_distribution, value=_ppo_value),
    DQN: _Kind(_dqn, _dqn_distribution, choice="values", samples=False),
    **dict.fromkeys((SAC, BC), _Kind(_actor, _actor_distribution)),
}
"""Each algorithm whose policies can be exported; one that derives from another is like it."""


def kind_of(algorithm: Algorithm) -> _Kind:
    """The entry of an algorithm; ConfigError if it has none."""
    for base in type(algorithm).__mro__:
        if base in KINDS:
            return KINDS[base]
    names = ", ".join(kind.__name__ for kind in KINDS)
    raise ConfigError(f"{type(algorithm).__name__} cannot be exported: use one of {names}.")


def value_of(algorithm: Algorithm, state: PyTree, obs: PyTree) -> Array | None:
    """What the agent expects of an observation; None if it estimates nothing."""
    value = kind_of(algorithm).value
    return algorithm.value(state, obs) if value is None else value(algorithm, state, obs)


def raw_outputs(algorithm: Algorithm, state: PyTree, obs: PyTree) -> dict[str, Array]:
    """What the algorithm itself chooses its greedy action by, at one observation."""
    kind = kind_of(algorithm)
    policy = kind.distribution(algorithm, state, obs)
    if isinstance(policy, MultiCategorical):
        return {kind.choice: jnp.concatenate([choice.logits for choice in policy.choices])}
    if isinstance(policy, Categorical):
        return {kind.choice: policy.logits}
    return {"mean": policy.mean, "log_std": policy.log_std}
