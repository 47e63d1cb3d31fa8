"""Deep Q-learning (Mnih et al. 2015, "Human-level control through deep reinforcement learning").

With double Q-learning (van Hasselt et al. 2016, arXiv:1509.06461), duelling networks (Wang et al.
2016, arXiv:1511.06581), n-step returns and prioritised replay (Schaul et al. 2016,
arXiv:1511.05952), each by its own switch. Unlike the paper: many envs side by side, epsilon counted
in env steps, gradients clipped by their global norm, episodes that the clock ends bootstrapped from
their true last observation.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from vibe_rl.algorithms.checks import check_networks
from vibe_rl.algorithms.off_policy import Memory, OffPolicy, OffPolicyConfig
from vibe_rl.errors import ConfigError
from vibe_rl.networks.distributions import mask_logits
from vibe_rl.networks.q_network import DuelingQNetwork, QNetwork
from vibe_rl.ops.adam import Adam
from vibe_rl.ops.normalization import standardize_obs
from vibe_rl.ops.pick import pick
from vibe_rl.replay.ring import Batch
from vibe_rl.schedule import interpolate, scheduled
from vibe_rl.spaces import Discrete, check_masks, random_action, what_takes
from vibe_rl.types import COUNTABLE, Key, MaskedObs, Number, PyTree, description, number, static


@description
@dataclass(frozen=True, kw_only=True)
class DQNConfig(OffPolicyConfig):
    """Hyperparameters. Those that fix a shape or a program are static; the rest are traced."""

    hidden_sizes: tuple[int, ...] = static((128, 128))
    """Widths of the dense layers."""
    lr: float = number(1e-3, least=0)
    """Adam's learning rate."""
    lr_end: float | None = number(None, least=0)
    """Learning rate at schedule_steps; None keeps it constant."""
    target_update_freq: int = number(1000, least=1, most=COUNTABLE)
    """Gradient steps between two updates of the target network; 1 where tau is Polyak's."""
    tau: float = number(1.0, least=0, most=1)
    """Share of the network that an update mixes into the target: 1 copies it, less is Polyak's."""
    epsilon_start: float = number(1.0, least=0, most=1)
    """Share of random actions at first."""
    epsilon_end: float = number(0.01, least=0, most=1)
    """Share of random actions after epsilon_decay_steps."""
    epsilon_decay_steps: float = number(50_000.0, least=1)
    """Env steps over which the share falls, counted from the first one, warm-up included."""
    double: bool = static(True)
    """Whether the network chooses the action whose value the target network estimates."""
    dueling: bool = static(False)
    """Whether values are the sum of a state's value and actions' advantages."""
    loss: str = static("squared", one_of=("squared", "huber"))
    """Of the TD error: squared or huber."""


QFunction = QNetwork | DuelingQNetwork


class DQNState(NamedTuple):
    """All that DQN learns."""

    params: QFunction
    target_params: QFunction
    opt_state: PyTree
    step: Array  # int32, gradient steps made
    memory: Memory


class DQNMetrics(NamedTuple):
    """Means over the gradient steps of an update."""

    loss: Array
    q_mean: Array  # value of the actions taken
    td_error: Array  # absolute
    grad_norm: Array  # before clipping


def squared(td_error: Array) -> Array:
    """Half the square."""
    return 0.5 * td_error**2


def huber(td_error: Array) -> Array:
    """Half the square up to 1, linear beyond (Huber 1964)."""
    size = jnp.abs(td_error)
    return jnp.where(size <= 1.0, 0.5 * size**2, size - 0.5)


LOSSES = {"squared": squared, "huber": huber}


def legal_values(q: Float[Array, " A *B"], obs: PyTree) -> Float[Array, " A *B"]:
    """Values, the lowest float where an action is illegal."""
    return mask_logits(q, obs.legal.T) if isinstance(obs, MaskedObs) else q


def td_target(
    next_q: Float[Array, " A B"], choosing_q: Float[Array, " A B"], batch: Batch
) -> Float[Array, " B"]:
    """r + gamma^n Q'(s', argmax Q): `choosing_q` is the network's, or `next_q` for plain DQN."""
    best = jnp.argmax(legal_values(choosing_q, batch.next_obs), axis=0).astype(jnp.int32)
    return batch.reward + batch.discount * pick(next_q, best)


@description
@dataclass(frozen=True)
class DQN(OffPolicy):
    """DQN for discrete actions, masks and any observation."""

    config_class: ClassVar[type] = DQNConfig
    metrics: ClassVar[tuple[str, ...]] = (
        *DQNMetrics._fields,
        *("epsilon", "lr", "gradient_steps", "buffer_fill"),
    )
    losses: ClassVar[tuple[str, ...]] = ("loss",)
    acts_with: ClassVar[tuple[str, ...]] = ("params", "memory.obs_statistics")

    @override
    def check(self, num_envs: int) -> None:
        """Raises ConfigError for unsupported actions and settings that cannot work."""
        if not isinstance(self.action_space, Discrete):
            remedy = what_takes(self.action_space)
            raise ConfigError(f"DQN supports Discrete actions, not {self.action_space}: {remedy}.")
        check_masks(self.obs_space, self.action_space.n)
        if self.config.dueling and not self.config.hidden_sizes:
            raise ConfigError("dueling True needs a dense layer: give hidden_sizes.")
        super().check(num_envs)
        check_networks(type(self).network, self)

    @override
    def init(self, key: Key) -> DQNState:
        """A fresh network, its copy, and an empty ring."""
        network_key, memory_key = jax.random.split(key)
        params = self.network(network_key)
        opt_state = self._optimizer(self.config.lr).init(params)
        return DQNState(params, params, opt_state, jnp.int32(0), self.init_memory(memory_key))

    def network(self, key: Key) -> QFunction:
        """The action values that the config describes."""
        config, n = self.config, self.action_space.n  # type: ignore[attr-defined]
        if config.dueling:
            return DuelingQNetwork(key, self.encoder, config.hidden_sizes, n, config.activation)
        return QNetwork(key, lambda k: self.encoder(k, config.hidden_sizes), n)

    def _optimizer(self, lr: Number) -> Adam:
        return Adam(lr, self.config.max_grad_norm, flat=True)

    def epsilon(self, memory: Memory) -> Float[Array, ""]:
        """The share of random actions at this moment."""
        config = self.config
        fraction = self.env_steps(memory) / config.epsilon_decay_steps
        return interpolate(config.epsilon_start, config.epsilon_end, fraction)

    @override
    def act(self, state: DQNState, obs: PyTree, key: Key) -> tuple[Array, tuple[()]]:
        """The best action, or with probability epsilon a random one."""
        explore_key, action_key = jax.random.split(key)
        q = legal_values(self.values(state, obs), obs)
        explores = jax.random.uniform(explore_key, dtype=jnp.float32) < self.epsilon(state.memory)
        random = random_action(self.action_space, obs, action_key)
        return jnp.where(explores, random, jnp.argmax(q).astype(random.dtype)), ()

    @override
    def greedy(self, state: DQNState, obs: PyTree) -> Array:
        q = legal_values(self.values(state, obs), obs)
        return jnp.argmax(q).astype(self.action_space.dtype)  # type: ignore[attr-defined]

    @override
    def value(self, state: DQNState, obs: PyTree) -> Float[Array, ""]:
        """The largest value of a legal action."""
        return legal_values(self.values(state, obs), obs).max()

    def values(self, state: DQNState, obs: PyTree) -> Float[Array, " A"]:
        """Q(obs, .)."""
        return state.params(standardize_obs(state.memory.obs_statistics, obs))

    @override
    def learn(
        self, state: DQNState, batches: Batch, key: Key
    ) -> tuple[DQNState, dict[str, Array], Array]:
        """A gradient step on each of `[U, B]` examples."""
        config, fraction = self.config, self.fraction(state.memory)
        lr = scheduled(config.lr, config.lr_end, fraction)
        optimizer = self._optimizer(lr)

        def step(learner, batch):
            params, target_params, opt_state, count = learner
            target = self.target(params, target_params, batch)
            (grads, (metrics, td_error)) = jax.grad(self.loss, has_aux=True)(params, batch, target)
            params, opt_state, norm = optimizer.step(params, opt_state, grads)
            target_params = self.update_target(target_params, params, count + 1)
            learner = (params, target_params, opt_state, count + 1)
            return learner, (metrics._replace(grad_norm=norm), td_error)

        learner = (state.params, state.target_params, state.opt_state, state.step)
        learner, (metrics, td_error) = jax.lax.scan(step, learner, batches)
        params, target_params, opt_state, count = learner
        state = DQNState(params, target_params, opt_state, count, state.memory)
        means = {name: x.mean() for name, x in metrics._asdict().items()}
        means |= {"epsilon": self.epsilon(state.memory), "lr": lr}
        return state, means | {"gradient_steps": count.astype(jnp.float32)}, td_error

    def target(self, params: QFunction, target_params: QFunction, batch: Batch) -> Array:
        """What the values of the actions taken are fitted to."""
        next_q = target_params.batch(batch.next_obs)
        choosing_q = params.batch(batch.next_obs) if self.config.double else next_q
        return td_target(next_q, choosing_q, batch)

    def loss(
        self, params: QFunction, batch: Batch, target: Array
    ) -> tuple[Array, tuple[DQNMetrics, Array]]:
        """The weighted loss of a batch."""
        q = pick(params.batch(batch.obs), batch.action)
        td_error = target - q
        size = jnp.abs(td_error)
        losses = batch.weight * LOSSES[self.config.loss](td_error)
        loss, q_mean, mean_size = batch.mean(jnp.stack([losses, q, size]))
        return loss, (DQNMetrics(loss, q_mean, mean_size, jnp.float32(0.0)), size)

    def update_target(self, target_params: QFunction, params: QFunction, count: Array) -> QFunction:
        """The target network after `count` gradient steps."""
        due, tau = count % self.config.target_update_freq == 0, self.config.tau

        def mix(slow: Array, fast: Array) -> Array:
            return jnp.where(due, tau * fast + (1.0 - tau) * slow, slow)

        return jax.tree.map(mix, target_params, params)
