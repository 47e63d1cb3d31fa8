"""Soft actor-critic (Haarnoja et al. 2018, arXiv:1812.05905) with a learned temperature.

Discrete actions as in Christodoulou 2019 (arXiv:1910.07207). Any number of independent critics, of
which the least value counts. Unlike the papers: many envs side by side, every gradient of a step at
the same parameters; by their own switches gradients clipped by their global norm, n-step returns
(without the entropies on the way) and prioritised replay; episodes that the clock ends bootstrapped
from their true last observation.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array
from typing_extensions import override

from vibe_rl.algorithms.actor_based import ActorBased, ActorConfig
from vibe_rl.algorithms.checks import check_networks
from vibe_rl.algorithms.off_policy import Memory
from vibe_rl.errors import ConfigError
from vibe_rl.networks.encoder import Encoder, encoder_of
from vibe_rl.networks.layers import NormedLinear, RowLinear
from vibe_rl.networks.soft_actor_critic import (
    Actor,
    CategoricalActor,
    Critics,
    GaussianActor,
    make_critics,
)
from vibe_rl.ops.adam import Adam
from vibe_rl.replay.ring import Batch
from vibe_rl.schedule import interpolate
from vibe_rl.spaces import Discrete, Space
from vibe_rl.types import Key, MaskedObs, Number, PyTree, description, number, static

ENTROPY_SHARE = 0.5
"""Target entropy of discrete actions, as a share of the uniform policy's, at a scale of 1."""


@description
@dataclass(frozen=True, kw_only=True)
class SACConfig(ActorConfig):
    """Hyperparameters. Those that fix a shape or a program are static; the rest are traced."""

    batch_size: int = static(256, least=1)
    """Examples in a gradient step."""
    max_grad_norm: float | None = number(None, above=0)
    """Largest global norm of a gradient; None clips nothing and saves the time."""
    grad_norms: bool = static(False)
    """Whether norms of gradients are measured where none is clipped too."""
    actor_lr: float = number(3e-4, least=0)
    """Adam's learning rate for the policy."""
    critic_lr: float = number(3e-4, least=0)
    """Adam's learning rate for the critics."""
    alpha_lr: float = number(3e-4, least=0)
    """Adam's learning rate for the logarithm of the temperature."""
    tau: float = number(0.005, least=0, most=1)
    """Share of the critics that each gradient step mixes into their slow copies."""
    lr_end_factor: float | None = number(None, least=0)
    """What all three learning rates are multiplied by at schedule_steps; None keeps them."""
    average_decay: float | None = number(None, least=0, most=1)
    """Share of an averaged policy that each gradient step keeps, the rest being the policy's: with
    one, greedy actions are the average's; None has none."""
    n_critics: int = static(2, least=1)
    """Independent critics; the least of their values counts."""
    critic_hidden_sizes: tuple[int, ...] | None = static(None)
    """Widths of the critics' dense layers; None takes hidden_sizes."""
    critic_layer_norm: bool = static(False)
    """Whether the critics' dense layers are normed before the activation."""
    init_alpha: float = number(1.0, least=1e-6, finite=True)
    """Temperature at first: what a nat of entropy is worth."""
    autotune_alpha: bool = static(True)
    """Whether the temperature is learned, so that the entropy approaches its target."""
    target_entropy_scale: float = number(1.0, least=0, finite=True)
    """Target entropy over -A nats for A continuous actions, over half of log A for A choices."""


class SACState(NamedTuple):
    """All that SAC learns."""

    actor_params: GaussianActor | CategoricalActor
    critic_params: tuple[PyTree, ...]
    target_critic_params: tuple[PyTree, ...]
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    log_alpha: Array
    alpha_opt_state: PyTree
    step: Array  # int32, gradient steps made
    memory: Memory
    average_params: PyTree = None  # of the policy; None unless average_decay
    beside: PyTree = None  # what an algorithm that derives from this one keeps


class SACMetrics(NamedTuple):
    """Means over the gradient steps of an update."""

    actor_loss: Array
    critic_loss: Array
    alpha_loss: Array
    alpha: Array
    entropy: Array  # nats
    q_mean: Array  # value of the actions taken, mean over the critics
    td_error: Array  # absolute


def critic_loss(
    actor: Actor, critics: Critics, batch: Batch, target: Array
) -> tuple[Array, tuple[Array, Array, Array]]:
    """Half the weighted squared error, summed over critics.

    With it, sizes of TD errors `[B]`, their mean, and the mean value.
    """
    q = jax.vmap(actor.action_values, (None, 0, 0), out_axes=1)(critics, batch.obs, batch.action)
    td_error = target[None] - q
    loss = 0.5 * batch.mean(batch.weight[None] * td_error**2).sum()
    size = jnp.abs(td_error).mean(0)
    return loss, (size, batch.mean(size), batch.mean(q.mean(0)))


def actor_loss(
    actor: Actor, critics: Critics, batch: Batch, alpha: Array, key: Key
) -> tuple[Array, Array]:
    """Minus the soft value, and the entropy: means over the examples that the replay did find."""
    soft = actor.soft_value(critics, batch.obs, alpha, key)
    return -batch.mean(soft.value), batch.mean(soft.entropy)


@description
@dataclass(frozen=True)
class SAC(ActorBased):
    """SAC for continuous and for discrete actions, masks and any observation."""

    config_class: ClassVar[type] = SACConfig
    metrics: ClassVar[tuple[str, ...]] = (
        *SACMetrics._fields,
        *("actor_grad_norm", "critic_grad_norm", "lr", "gradient_steps", "buffer_fill"),
    )
    losses: ClassVar[tuple[str, ...]] = ("actor_loss", "critic_loss", "alpha_loss")
    acts_with: ClassVar[tuple[str, ...]] = (
        "actor_params",
        "average_params",
        "memory.obs_statistics",
    )

    @override
    def check(self, num_envs: int) -> None:
        """Raises ConfigError for unsupported actions and settings that cannot work."""
        if isinstance(self.action_space, Discrete) and self.config.target_entropy_scale > 2.0:
            raise ConfigError(
                f"target_entropy_scale {self.config.target_entropy_scale} asks for more entropy "
                "than any policy over choices has: give at most 2."
            )
        super().check(num_envs)
        check_networks(type(self).networks, self)

    @property
    def target_entropy(self) -> Array:
        """In nats."""
        space, scale = self.action_space, self.config.target_entropy_scale
        if isinstance(space, Discrete):
            return jnp.float32(scale * ENTROPY_SHARE * math.log(space.n))
        return jnp.float32(-scale * space.shape[0])  # type: ignore[attr-defined]

    def networks(self, key: Key) -> tuple[GaussianActor | CategoricalActor, PyTree]:
        """The policy and the critics that the config describes."""
        keys = jax.random.split(key)
        critics = make_critics(
            keys[1], self.config.n_critics, self.critic_encoder, self.obs_space, self.action_space
        )
        return self.make_actor(keys[0]), critics

    def critic_encoder(self, key: Key, space: Space) -> Encoder:
        """The layers that turn a member of `space` into a critic's features."""
        config = self.config
        given = config.critic_hidden_sizes
        sizes = config.hidden_sizes if given is None else given
        layer = NormedLinear if config.critic_layer_norm else RowLinear
        return encoder_of(config, key, space, sizes, layer)

    @override
    def acting_params(self, state: SACState) -> GaussianActor | CategoricalActor:
        """The averaged policy, if there is one."""
        return state.actor_params if state.average_params is None else state.average_params

    def _optimizer(self, lr: Number) -> Adam:
        return Adam(lr, self.config.max_grad_norm)

    @override
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
            average_params=None if self.config.average_decay is None else actor,
        )

    @override
    def value(self, state: SACState, obs: PyTree) -> Array:
        """The least of the critics' values of the greedy action, which hold entropies to come."""
        obs = self.standardized(state, obs)
        action = self.acting_params(state).mode(obs)
        return state.actor_params.action_values(state.critic_params, obs, action).min()

    @override
    def learn(
        self, state: SACState, batches: Batch, key: Key
    ) -> tuple[SACState, dict[str, Array], Array]:
        """A gradient step of critics, policy and temperature on each of `[U, B]` examples."""
        keys = jax.random.split(key, self.gradient_steps)
        state, (metrics, td_error) = jax.lax.scan(self.step, state, (batches, keys))
        means = {name: x.mean() for name, x in metrics.items()}
        if self.config.lr_end_factor is not None:
            means["lr"] = jnp.asarray(self.lr(state, self.config.actor_lr))
        return state, means | {"gradient_steps": state.step.astype(jnp.float32)}, td_error

    def step(
        self, state: SACState, inputs: tuple[Batch, Key]
    ) -> tuple[SACState, tuple[dict[str, Array], Array]]:
        """One gradient step of everything, each gradient at the parameters from before it.

        So the policy's gradient, whose critics are a step old, need not wait for the critics'.
        """
        (batch, key), alpha = inputs, jnp.exp(state.log_alpha)
        target_key, actor_key = jax.random.split(key)
        target = self.target(state, batch, target_key)
        gradient = jax.value_and_grad(critic_loss, argnums=1, has_aux=True)
        (loss, (td_error, size, q_mean)), critic_grads = gradient(
            state.actor_params, state.critic_params, batch, target
        )
        gradient = jax.value_and_grad(actor_loss, has_aux=True)
        (policy_loss, entropy), actor_grads = gradient(
            state.actor_params, state.critic_params, batch, alpha, actor_key
        )
        state, norms = self.apply_gradients(state, actor_grads, critic_grads)
        excess = entropy - self.batch_target_entropy(batch)
        state, alpha_loss = self.update_temperature(state, excess)
        metrics = SACMetrics(policy_loss, loss, alpha_loss, alpha, entropy, q_mean, size)
        return state, (metrics._asdict() | norms, td_error)

    def lr(self, state: SACState, lr: Number) -> Number:
        """A learning rate at this moment."""
        factor = self.config.lr_end_factor
        if factor is None:
            return lr
        return lr * interpolate(1.0, factor, self.fraction(state.memory))

    def averaged(self, state: SACState, n_steps: int = 1) -> SACState:
        """The state whose averaged policy, if any, has come nearer to the policy so many times."""
        decay = self.config.average_decay
        if decay is None:
            return state
        kept = decay**n_steps
        average = jax.tree.map(
            lambda slow, fast: kept * slow + (1.0 - kept) * fast,
            state.average_params,
            state.actor_params,
        )
        return state._replace(average_params=average)

    def target(self, state: SACState, batch: Batch, key: Key) -> Array:
        """What the critics' values of the actions taken are fitted to, `[B]`."""
        future = state.actor_params.soft_value(
            state.target_critic_params, batch.next_obs, jnp.exp(state.log_alpha), key
        )
        return batch.reward + batch.discount * future.value

    def apply_gradients(
        self, state: SACState, actor_grads: PyTree, critic_grads: PyTree
    ) -> tuple[SACState, dict[str, Array]]:
        """A step of Adam on policy and critics, and of the slow critics; norms where known."""
        config = self.config
        optimizers = [
            self._optimizer(self.lr(state, lr)) for lr in (config.actor_lr, config.critic_lr)
        ]
        actor, actor_opt_state, actor_norm = optimizers[0].step(
            state.actor_params, state.actor_opt_state, actor_grads
        )
        critics, critic_opt_state, critic_norm = optimizers[1].step(
            state.critic_params, state.critic_opt_state, critic_grads
        )
        state = state._replace(
            actor_params=actor,
            critic_params=critics,
            target_critic_params=optax.incremental_update(
                critics, state.target_critic_params, config.tau
            ),
            actor_opt_state=actor_opt_state,
            critic_opt_state=critic_opt_state,
            step=state.step + 1,
        )
        norms = {"actor_grad_norm": actor_norm, "critic_grad_norm": critic_norm}
        return self.averaged(state), norms if self.measures_norms else {}

    @property
    def measures_norms(self) -> bool:
        """Whether norms of gradients are among the metrics; else they are not computed."""
        return self.config.grad_norms or self.config.max_grad_norm is not None

    def batch_target_entropy(self, batch: Batch) -> Array:
        """The target entropy; where choices are masked, of those that are legal in the batch."""
        if not isinstance(batch.obs, MaskedObs):
            return self.target_entropy
        n_legal = batch.obs.legal.sum(-1, dtype=jnp.int32).astype(jnp.float32)
        share = self.config.target_entropy_scale * ENTROPY_SHARE
        return share * batch.mean(jnp.log(n_legal))

    def update_temperature(self, state: SACState, excess: Array) -> tuple[SACState, Array]:
        """A step of Adam on the temperature's logarithm, and its loss; `excess` over the target."""
        if not self.config.autotune_alpha:
            return state, jnp.float32(0.0)
        # d/d log alpha of alpha (entropy - target) is the loss itself
        loss = jnp.exp(state.log_alpha) * excess
        log_alpha, opt_state, _ = self._optimizer(self.lr(state, self.config.alpha_lr)).step(
            state.log_alpha, state.alpha_opt_state, loss
        )
        return state._replace(log_alpha=log_alpha, alpha_opt_state=opt_state), loss
