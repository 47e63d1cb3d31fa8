"""Behaviour cloning (Pomerleau 1991): a policy fitted to what an expert does.

The expert is an actor of the environment. It drives, in training, with noise on what it does, so
that it is seen to correct itself (Laskey et al. 2017, arXiv:1703.09327); what is learned is what it
would have done without. Its episodes are those that rows of metrics tell of; the policy itself is
seen in evaluations.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from vibe_rl.algorithms.actor_based import ActorBased, ActorConfig
from vibe_rl.algorithms.checks import check_networks
from vibe_rl.algorithms.expert import Expert
from vibe_rl.algorithms.off_policy import Memory
from vibe_rl.networks.actor_critic import to_unit
from vibe_rl.networks.distributions import TanhNormal
from vibe_rl.networks.soft_actor_critic import CategoricalActor, GaussianActor
from vibe_rl.ops.adam import Adam
from vibe_rl.replay.ring import Batch
from vibe_rl.schedule import scheduled
from vibe_rl.types import Key, PyTree, Transition, description, number, static

MOST = 0.999
"""Of the way from the middle of an action's bounds to one: what of it a tanh is asked for."""


@description
@dataclass(frozen=True, kw_only=True)
class BCConfig(ActorConfig):
    """Hyperparameters. Those that fix a shape or a program are static; the rest are traced."""

    hidden_sizes: tuple[int, ...] = static((256, 64, 32))
    """Widths of the dense layers."""
    lr: float = number(1e-4, least=0)
    """Adam's learning rate."""
    lr_end: float | None = number(None, least=0)
    """Learning rate at schedule_steps; None keeps it constant."""
    loss: str = static("mse", one_of=("mse", "mae", "nll"))
    """Of numbers: squared or absolute error of the policy's median where the bounds are -1 and 1,
    or minus the log-density of the expert's action. Choices always have minus its log-probability.
    """
    expert: str = static("expert")
    """Who is learned from: the name of an actor of the environment."""
    expert_noise: float = number(0.0, least=0, finite=True)
    """Noise on what the expert does: of numbers the standard deviation where the bounds are -1 and
    1, of choices the share that is random."""


class BCState(NamedTuple):
    """All that behaviour cloning learns."""

    actor_params: GaussianActor | CategoricalActor
    opt_state: PyTree
    step: Array  # int32, gradient steps made
    memory: Memory  # in its ring the actions are those that the expert would take


class BCMetrics(NamedTuple):
    """Means over the gradient steps of an update."""

    imitation_loss: Array
    action_error: Array  # absolute, where the bounds are -1 and 1; of choices the share of errors
    grad_norm: Array  # before clipping


def _squared(policy: TanhNormal, unit: Float[Array, " A"]) -> Float[Array, ""]:
    """The mean squared error of the median."""
    return jnp.mean((jnp.tanh(policy.mode()) - unit) ** 2)


def _absolute(policy: TanhNormal, unit: Float[Array, " A"]) -> Float[Array, ""]:
    """The mean absolute error of the median."""
    return jnp.mean(jnp.abs(jnp.tanh(policy.mode()) - unit))


def negative_log_density(policy: TanhNormal, unit: Float[Array, " A"]) -> Float[Array, ""]:
    """Of an action, moved a little away from the bounds, where no tanh ever is."""
    return -policy.log_prob(jnp.arctanh(jnp.clip(unit, -MOST, MOST)))


LOSSES = {"mse": _squared, "mae": _absolute, "nll": negative_log_density}


def imitation_loss(
    actor: GaussianActor | CategoricalActor, obs: PyTree, action: Array, loss: str
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The loss of one example, and how far the greedy action is from the expert's."""
    policy = actor.policy(obs)
    if isinstance(policy, TanhNormal):
        unit = to_unit(actor.space, action)  # type: ignore[arg-type]
        return LOSSES[loss](policy, unit), _absolute(policy, unit)
    return -policy.log_prob(action), jnp.float32(policy.mode() != action)


@description
@dataclass(frozen=True)
class BC(ActorBased):
    """Behaviour cloning for continuous and for discrete actions, masks and any observation."""

    config_class: ClassVar[type] = BCConfig
    metrics: ClassVar[tuple[str, ...]] = (
        *BCMetrics._fields,
        *("lr", "gradient_steps", "buffer_fill"),
    )
    losses: ClassVar[tuple[str, ...]] = ("imitation_loss",)
    acts_with: ClassVar[tuple[str, ...]] = ("actor_params", "memory.obs_statistics")

    @property
    @override
    def expert(self) -> Expert:
        """Drives every env."""
        return Expert(self.config.expert, self.action_space, self.config.expert_noise)

    @override
    def check(self, num_envs: int) -> None:
        """Raises ConfigError for unsupported actions and settings that cannot work."""
        super().check(num_envs)
        check_networks(type(self).make_actor, self)

    @override
    def init(self, key: Key) -> BCState:
        """A fresh policy and an empty ring."""
        network_key, memory_key = jax.random.split(key)
        actor = self.make_actor(network_key)
        opt_state = self.optimizer(self.config.lr).init(actor)
        return BCState(actor, opt_state, jnp.int32(0), self.init_memory(memory_key))

    def optimizer(self, lr: Array | float) -> Adam:
        """What makes a gradient step."""
        return Adam(lr, self.config.max_grad_norm)

    @override
    def kept(self, rollout: Transition) -> Transition:
        """With the actions that the expert would take in place of those that it did."""
        return rollout._replace(action=rollout.extras, extras=None)

    @override
    def learn(
        self, state: BCState, batches: Batch, key: Key
    ) -> tuple[BCState, dict[str, Array], Array]:
        """A gradient step on each of `[U, B]` examples."""
        config = self.config
        lr = scheduled(config.lr, config.lr_end, self.fraction(state.memory))
        state, (metrics, losses) = jax.lax.scan(partial(self.step, lr), state, batches)
        means = {name: x.mean() for name, x in metrics._asdict().items()}
        means |= {"lr": lr, "gradient_steps": state.step.astype(jnp.float32)}
        return state, means, losses

    def step(
        self, lr: Array, state: BCState, batch: Batch
    ) -> tuple[BCState, tuple[BCMetrics, Array]]:
        """One gradient step, and the loss of each example."""
        gradient = jax.value_and_grad(self.batch_loss, has_aux=True)
        (loss, (losses, error)), grads = gradient(state.actor_params, batch)
        actor, opt_state, norm = self.optimizer(lr).step(state.actor_params, state.opt_state, grads)
        state = state._replace(actor_params=actor, opt_state=opt_state, step=state.step + 1)
        return state, (BCMetrics(loss, error, norm), losses)

    def batch_loss(
        self, actor: GaussianActor | CategoricalActor, batch: Batch
    ) -> tuple[Array, tuple[Array, Array]]:
        """The weighted mean; with it the loss of each example and the mean error."""
        each = jax.vmap(partial(imitation_loss, actor, loss=self.config.loss))
        losses, errors = each(batch.obs, batch.action)
        return batch.mean(batch.weight * losses), (losses, batch.mean(errors))
