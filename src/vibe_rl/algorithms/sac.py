"""Soft actor-critic (Haarnoja et al. 2018, arXiv:1812.05905) with a learned temperature.

Discrete actions as in Christodoulou 2019 (arXiv:1910.07207). Any number of independent critics, of
which the least value counts. Unlike the papers: many envs side by side, gradients clipped by their
global norm, n-step returns (without the entropies on the way) and prioritised replay by their own
switches, episodes that the clock ends bootstrapped from their true last observation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.algorithms.off_policy import Memory, OffPolicy
from vibe_rl.algorithms.off_policy_config import OffPolicyConfig
from vibe_rl.errors import ConfigError
from vibe_rl.gradient_step import Adam, as_vector
from vibe_rl.limits import NOT_NEGATIVE, ONE_OR_MORE, SHARE, Limits, check_numbers
from vibe_rl.networks import Encoder
from vibe_rl.replay import Batch
from vibe_rl.soft_actor_critic import (
    Actor,
    CategoricalActor,
    GaussianActor,
    actor_loss,
    check_actions,
    critic_loss,
    make_critics,
)
from vibe_rl.spaces import Box, Discrete, Space
from vibe_rl.statistics import standardize_obs
from vibe_rl.types import Key, Number, PyTree, description, static

ENTROPY_SHARE = 0.5
"""Target entropy of discrete actions, as a share of the uniform policy's, at a scale of 1."""


@description
@dataclass(frozen=True)
class SACConfig(OffPolicyConfig):
    """Hyperparameters. Those that fix a shape or a program are static; the rest are numbers."""

    hidden_sizes: tuple[int, ...] = static((256, 256))
    """Widths of the dense layers."""
    batch_size: int = static(256)
    """Examples in a gradient step."""
    actor_lr: float = 3e-4
    """Adam's learning rate for the policy."""
    critic_lr: float = 3e-4
    """Adam's learning rate for the critics."""
    alpha_lr: float = 3e-4
    """Adam's learning rate for the logarithm of the temperature."""
    tau: float = 0.005
    """Share of the critics that each gradient step mixes into their slow copies."""
    n_critics: int = static(2)
    """Independent critics; the least of their values counts."""
    init_alpha: float = 1.0
    """Temperature at first: what a nat of entropy is worth."""
    autotune_alpha: bool = static(True)
    """Whether the temperature is learned, so that the entropy comes to its target."""
    target_entropy_scale: float = 1.0
    """Target entropy over -A nats for A continuous numbers, over half of log A for A choices."""
    log_std_min: float = static(-20.0)
    """Least log standard deviation, where the bounds are -1 and 1."""
    log_std_max: float = static(2.0)
    """Largest log standard deviation."""


LIMITS: Limits = {
    "actor_lr": NOT_NEGATIVE,
    "critic_lr": NOT_NEGATIVE,
    "alpha_lr": NOT_NEGATIVE,
    "init_alpha": (1e-6, math.inf),
    "target_entropy_scale": NOT_NEGATIVE,
    "tau": SHARE,
    "n_critics": ONE_OR_MORE,
}


class SACState(NamedTuple):
    """All that SAC learns."""

    actor_params: GaussianActor | CategoricalActor
    critic_params: PyTree  # leaves [n_critics, ...]
    target_critic_params: PyTree
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    log_alpha: Array
    alpha_opt_state: PyTree
    step: Array  # int32, gradient steps made
    memory: Memory


class SACMetrics(NamedTuple):
    """Means over the gradient steps of an update."""

    actor_loss: Array
    critic_loss: Array
    alpha_loss: Array
    alpha: Array
    entropy: Array  # nats
    q_mean: Array  # value of the actions taken, mean over the critics
    td_error: Array  # absolute
    actor_grad_norm: Array  # before clipping
    critic_grad_norm: Array


class Learner(NamedTuple):
    """What a gradient step changes: networks as vectors."""

    actor: Array
    critics: Array
    target_critics: Array
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    log_alpha: Array
    alpha_opt_state: PyTree


class Trees(NamedTuple):
    """From vectors to networks."""

    actor: Callable[[Array], Actor]
    critics: Callable[[Array], PyTree]


@description
@dataclass(frozen=True)
class SAC(OffPolicy):
    """SAC for continuous and for discrete actions, masks and any observation."""

    def check(self, num_envs: int) -> None:
        """Raises ConfigError for actions SAC cannot serve and settings that cannot work."""
        check_actions(self.obs_space, self.action_space)
        check_numbers(self.config, LIMITS)
        if self.config.log_std_min >= self.config.log_std_max:
            raise ConfigError(
                f"log_std_min {self.config.log_std_min} is not below log_std_max "
                f"{self.config.log_std_max}: give a smaller one."
            )
        super().check(num_envs)
        jax.eval_shape(self.networks, jax.random.key(0))  # what it refuses, it refuses here

    @property
    def target_entropy(self) -> Array:
        """What the entropy is to come to, in nats."""
        space, scale = self.action_space, self.config.target_entropy_scale
        if isinstance(space, Discrete):
            return jnp.float32(scale * ENTROPY_SHARE * math.log(space.n))
        return jnp.float32(-scale * space.shape[0])  # type: ignore[attr-defined]

    def networks(self, key: Key) -> tuple[GaussianActor | CategoricalActor, PyTree]:
        """The policy and the critics that the config describes."""
        keys, config, space = jax.random.split(key), self.config, self.action_space
        critics = make_critics(
            keys[1], config.n_critics, self.encoder_of, self.obs_space, self.action_space
        )
        if isinstance(space, Discrete):
            return CategoricalActor(keys[0], self.encoder_of, self.obs_space, space), critics
        assert isinstance(space, Box)
        log_std_range = (config.log_std_min, config.log_std_max)
        actor = GaussianActor(keys[0], self.encoder_of, self.obs_space, space, log_std_range)
        return actor, critics

    def encoder_of(self, key: Key, space: Space) -> Encoder:
        """The layers that turn a member of `space` into features."""
        config = self.config
        return Encoder(key, space, config.hidden_sizes, config.activation, config.conv_layers)

    def _optimizer(self, lr: Number) -> Adam:
        return Adam(lr, self.config.max_grad_norm)

    def init(self, key: Key) -> SACState:
        """Fresh networks, the critics' copies, and an empty ring."""
        network_key, memory_key = jax.random.split(key)
        actor, critics = self.networks(network_key)
        log_alpha = jnp.log(jnp.float32(self.config.init_alpha))
        return SACState(
            actor_params=actor,
            critic_params=critics,
            target_critic_params=critics,
            actor_opt_state=self._optimizer(self.config.actor_lr).init(actor),
            critic_opt_state=self._optimizer(self.config.critic_lr).init(critics),
            log_alpha=log_alpha,
            alpha_opt_state=self._optimizer(self.config.alpha_lr).init(log_alpha),
            step=jnp.int32(0),
            memory=self.init_memory(memory_key),
        )

    def act(self, state: SACState, obs: PyTree, key: Key) -> tuple[PyTree, Array]:
        """Samples the policy; and the least of the critics' values of the action."""
        seen = standardize_obs(state.memory.obs_statistics, obs)
        action = state.actor_params.sample(seen, key)
        one = jax.tree.map(lambda x: x[None], (seen, action))
        return action, state.actor_params.taken(state.critic_params, *one).min()

    def greedy(self, state: SACState, obs: PyTree) -> PyTree:
        """The policy's mode."""
        return state.actor_params.mode(standardize_obs(state.memory.obs_statistics, obs))

    def learn(
        self, state: SACState, batches: Batch, key: Key
    ) -> tuple[SACState, dict[str, Array], Array]:
        """A gradient step of critics, policy and temperature on each of `[U, B]` examples."""
        actor, actor_tree = as_vector(state.actor_params)
        critics, critic_tree = as_vector(state.critic_params)
        learner = Learner(
            actor=actor,
            critics=critics,
            target_critics=as_vector(state.target_critic_params)[0],
            actor_opt_state=state.actor_opt_state,
            critic_opt_state=state.critic_opt_state,
            log_alpha=state.log_alpha,
            alpha_opt_state=state.alpha_opt_state,
        )
        keys = jax.random.split(key, self.gradient_steps)
        step = partial(self.step, Trees(actor_tree, critic_tree))
        learner, (metrics, td_error) = jax.lax.scan(step, learner, (batches, keys))
        count = state.step + self.gradient_steps
        state = SACState(
            actor_params=actor_tree(learner.actor),  # type: ignore[arg-type]
            critic_params=critic_tree(learner.critics),
            target_critic_params=critic_tree(learner.target_critics),
            actor_opt_state=learner.actor_opt_state,
            critic_opt_state=learner.critic_opt_state,
            log_alpha=learner.log_alpha,
            alpha_opt_state=learner.alpha_opt_state,
            step=count,
            memory=state.memory,
        )
        means = {name: x.mean() for name, x in metrics._asdict().items()}
        return state, means | {"gradient_steps": count.astype(jnp.float32)}, td_error

    def step(
        self, trees: Trees, learner: Learner, inputs: tuple[Batch, Key]
    ) -> tuple[Learner, tuple[SACMetrics, Array]]:
        """One gradient step: critics, then the policy under the new critics, then alpha."""
        (batch, key), actor = inputs, trees.actor(learner.actor)
        keys, alpha = jax.random.split(key), jnp.exp(learner.log_alpha)
        slow_critics = trees.critics(learner.target_critics)
        future = actor.soft_value(slow_critics, batch.next_obs, alpha, keys[0])
        target = batch.reward + batch.discount * future.value
        gradient = jax.value_and_grad(critic_loss, argnums=1, has_aux=True)
        fast_critics = trees.critics(learner.critics)
        (loss, (td_error, q_mean)), grads = gradient(actor, fast_critics, batch, target)
        critics, critic_opt_state, critic_norm = self._optimizer(self.config.critic_lr).step(
            learner.critics, learner.critic_opt_state, grads
        )
        gradient = jax.value_and_grad(actor_loss, has_aux=True)
        new_critics = trees.critics(critics)
        (policy_loss, entropy), grads = gradient(actor, new_critics, batch, alpha, keys[1])
        policy, actor_opt_state, actor_norm = self._optimizer(self.config.actor_lr).step(
            learner.actor, learner.actor_opt_state, grads
        )
        log_alpha, alpha_opt_state, alpha_loss = self.tune(learner, entropy)
        tau = self.config.tau
        learner = Learner(
            actor=policy,
            critics=critics,
            target_critics=tau * critics + (1.0 - tau) * learner.target_critics,
            actor_opt_state=actor_opt_state,
            critic_opt_state=critic_opt_state,
            log_alpha=log_alpha,
            alpha_opt_state=alpha_opt_state,
        )
        metrics = SACMetrics(
            actor_loss=policy_loss,
            critic_loss=loss,
            alpha_loss=alpha_loss,
            alpha=alpha,
            entropy=entropy,
            q_mean=q_mean,
            td_error=td_error.mean(),
            actor_grad_norm=actor_norm,
            critic_grad_norm=critic_norm,
        )
        return learner, (metrics, td_error)

    def tune(self, learner: Learner, entropy: Array) -> tuple[Array, PyTree, Array]:
        """The temperature's next logarithm, its optimiser's state, and its loss."""
        if not self.config.autotune_alpha:
            return learner.log_alpha, learner.alpha_opt_state, jnp.float32(0.0)
        # d/d log alpha of alpha (entropy - target) is the loss itself
        loss = jnp.exp(learner.log_alpha) * (entropy - self.target_entropy)
        optimizer = self._optimizer(self.config.alpha_lr)
        vector, opt_state, _ = optimizer.step(
            learner.log_alpha[None], learner.alpha_opt_state, loss
        )
        return vector[0], opt_state, loss
