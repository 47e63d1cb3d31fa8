"""Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347).

Details as in Huang et al. 2022, "The 37 implementation details of PPO", except: episodes that the
clock ends are bootstrapped from their true last observation; advantages are computed in one batch
after the rollout, and so are values unless actor and critic share a trunk; minibatches are drawn by
a bijective shuffle (`vibe_rl.ops.minibatches`); the value loss is not clipped unless
`value_clip_eps` is set. With `whole_episodes` a rollout is one episode of each env, and what comes
after its end counts nothing.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from typing_extensions import override

from vibe_rl.algorithms.base import Algorithm, Setup, with_schedule_steps
from vibe_rl.algorithms.checks import check_batch, check_common, check_networks
from vibe_rl.algorithms.value_targets import (
    add_targets,
    in_deviations,
    in_rewards,
    initial_value_statistics,
    preserve_values,
)
from vibe_rl.env.whole_episodes import first_episodes
from vibe_rl.errors import ConfigError
from vibe_rl.networks.actor_critic import ActorCritic, PolicyHead, check_policy
from vibe_rl.networks.distributions import Distribution
from vibe_rl.networks.encoder import ENCODERS, encoder_of, view
from vibe_rl.networks.token_fields import TokenFields
from vibe_rl.ops.adam import Adam, norms_by_name
from vibe_rl.ops.minibatches import Minibatch, draw_minibatches, split_envs, take
from vibe_rl.ops.normalization import (
    RunningStatistics,
    initial_statistics,
    standardize_obs,
    update_statistics,
)
from vibe_rl.ops.returns import compute_gae, explained_variance, standardize
from vibe_rl.schedule import scheduled
from vibe_rl.sharding import wait_for
from vibe_rl.spaces import Space
from vibe_rl.types import Key, Number, PyTree, Transition, description, number, static


@description
@dataclass(frozen=True, kw_only=True)
class PPOConfig(TokenFields):
    """Hyperparameters. Those that fix a shape or a program are static; the rest are traced."""

    hidden_sizes: tuple[int, ...] = static((64, 64))
    """Widths of the dense layers."""
    lr: float = number(2.5e-4, least=0)
    """Adam's learning rate."""
    gamma: float = number(0.99, least=0, most=1)
    """Discount factor."""
    gae_lambda: float = number(0.95, least=0, most=1)
    """Lambda of the generalised advantage estimates."""
    clip_eps: float = number(0.2, least=0)
    """How far the probability ratio may move the surrogate objective."""
    vf_coef: float = number(0.5, least=0, finite=True)
    """Weight of the critic's loss."""
    ent_coef: float = number(0.01, least=0, finite=True)
    """Weight of the entropy bonus, per nat."""
    max_grad_norm: float = number(0.5, above=0)
    """Largest global norm of a gradient."""
    n_steps: int = static(128, least=1)
    """T, env steps per env in one rollout."""
    n_minibatches: int = static(4, least=1)
    """Minibatches in an epoch; must divide n_steps times num_envs."""
    n_epochs: int = static(4, least=1)
    """Passes over a rollout."""
    num_envs: int = static(1, least=1)
    """N, environments stepped side by side."""
    shared_backbone: bool = static(False)
    """Whether actor and critic share the encoder."""
    activation: str = static("tanh")
    """Of the dense layers: tanh, relu, silu, gelu or elu."""
    conv_layers: tuple[tuple[int, int, int], ...] | None = static(None)
    """Channels, kernel and stride of each convolution; None chooses by the image's size."""
    encoder: str = static("auto", one_of=tuple(ENCODERS))
    """What sees an observation before the dense layers: auto convolves pictures, mlp flattens all;
    over boards cells, rolled, centred, conv, attention; over Tokens embedded, lq, lqh, mtr,
    wayformer."""
    cell_width: int = static(16, least=1)
    """Features of a board's cell after the dense layer that the cells share."""
    squash: bool = static(False)
    """Continuous actions: tanh-squashed normal instead of a clipped one."""
    init_log_std: float = number(0.0, finite=True)
    """Continuous actions: log standard deviation at first, where the bounds are -1 and 1."""
    value_clip_eps: float | None = number(None, least=0)
    """How far a value may move in one update; None leaves it free."""
    target_kl: float | None = number(None, least=0)
    """Ends the epochs of an update once approx_kl exceeds 1.5 times this; None never does."""
    normalize_obs: bool = static(False)
    """Whether observations are standardised by running statistics kept in the agent's state."""
    reward_scale: float = number(1.0, above=0, finite=True)
    """Factor on the rewards that are learned from; reported returns stay as they are."""
    normalize_values: bool = static(False)
    """Whether the critic learns in standard deviations of its targets, for rewards of any size;
    value_clip_eps and critic_loss are then in these."""
    adam_eps: float = number(1e-5, least=0, finite=True)
    """Adam's epsilon."""
    lr_end: float | None = number(None, least=0)
    """Learning rate at schedule_steps; None keeps it constant."""
    clip_eps_end: float | None = number(None, least=0)
    """clip_eps at schedule_steps; None keeps it constant."""
    ent_coef_end: float | None = number(None, least=0, finite=True)
    """ent_coef at schedule_steps; None keeps it constant."""
    schedule_steps: float | None = number(None, least=1)
    """Env steps over which the schedules run; None: `train_ppo` and the command line put the run's
    total_timesteps here."""
    whole_episodes: bool = static(False)
    """Whether every env plays one episode in a rollout, at most n_steps long, and waits for the
    next; no step of that waiting is learned from."""
    even_minibatches: bool = static(False)
    """With whole_episodes: whether an epoch's minibatches are about equal, where the last ones
    would hold what is left and, where an episode is short, nothing."""
    advantage_scope: str = static("minibatch", one_of=("minibatch", "rollout"))
    """What advantages have mean 0 and standard deviation 1 over: minibatch or rollout."""
    layer_grad_norms: bool = static(False)
    """Whether the norm of every array's gradient is measured, as grad_norm.NAME."""


class PPOState(NamedTuple):
    """All that PPO learns."""

    params: ActorCritic
    opt_state: PyTree
    obs_statistics: RunningStatistics | None  # None unless normalize_obs
    step: Array  # int32, updates made
    value_statistics: RunningStatistics | None = None  # of targets; None unless normalize_values


class Behaviour(NamedTuple):
    """The sample, its log-probability under the policy that acted, and a shared trunk's value."""

    sample: Array  # before clipping, squashing and scaling
    log_prob: Array
    value: Array | None = None  # of the observation; None where the critic has its own encoder


class Examples(NamedTuple):
    """What is learned from: `[S, n, ...]` of a rollout in S shards, `[B, ...]` of a batch."""

    obs: PyTree  # prepared
    behaviour: Behaviour
    value: Array
    advantage: Array
    target: Array


class Coefficients(NamedTuple):
    """The coefficients of one update, schedules applied."""

    lr: Number
    clip_eps: Number
    ent_coef: Number
    vf_coef: Number
    value_clip_eps: Number | None  # None leaves values free


class Learner(NamedTuple):
    """What changes from one minibatch to the next."""

    params: ActorCritic
    opt_state: PyTree
    stopped: Array  # bool, by target_kl


class PPOMetrics(NamedTuple):
    """Means over the minibatches of an update."""

    total_loss: Array
    actor_loss: Array
    critic_loss: Array
    entropy: Array  # nats
    approx_kl: Array  # nats, (r - 1) - log r of Schulman 2020, "Approximating KL divergence"
    kl_k1: Array  # nats, -log r: unbiased too, but may be negative
    clip_fraction: Array
    grad_norm: Array  # before clipping


def surrogate(ratio: Array, advantage: Array, clip_eps: Number) -> Array:
    """The clipped objective (eq. 7), to be maximised."""
    clipped = jnp.clip(ratio, 1.0 - clip_eps, 1.0 + clip_eps)
    return jnp.minimum(ratio * advantage, clipped * advantage)


def value_loss(value: Array, old_value: Array, target: Array, clip_eps: Number | None) -> Array:
    """Half the squared error; with `clip_eps`, the worse of the free and the clipped value's."""
    error = (value - target) ** 2
    if clip_eps is not None:
        clipped = old_value + jnp.clip(value - old_value, -clip_eps, clip_eps)
        error = jnp.maximum(error, (clipped - target) ** 2)
    return 0.5 * error


def ppo_loss(
    params: ActorCritic,
    batch: Examples,
    coefficients: Coefficients,
    counts: Bool[Array, " B"] | None = None,
    standardized: bool = False,
) -> tuple[Float[Array, ""], PPOMetrics]:
    """The loss of one minibatch: surrogate, critic and entropy (eq. 9).

    Args:
        params: to differentiate by.
        batch: the examples.
        coefficients: of this update.
        counts: which examples do; None: all.
        standardized: whether the advantages are already.
    """
    policy, value = jax.vmap(params.of_prepared)(batch.obs)
    log_ratio = _log_prob(policy, batch.behaviour.sample) - batch.behaviour.log_prob
    ratio = jnp.exp(log_ratio)
    advantage = batch.advantage if standardized else standardize(batch.advantage, counts)
    terms = (
        -surrogate(ratio, advantage, coefficients.clip_eps),
        value_loss(value, batch.value, batch.target, coefficients.value_clip_eps),
        jax.vmap(lambda p: p.entropy())(policy),
        ratio - 1.0 - log_ratio,
        -log_ratio,
        jnp.abs(ratio - 1.0) > coefficients.clip_eps,
    )
    means = jnp.mean(jnp.stack(terms), 1, where=counts)  # in one reduction
    actor, critic, entropy, approx_kl, kl_k1, clip_fraction = means
    total = actor + coefficients.vf_coef * critic - coefficients.ent_coef * entropy
    metrics = PPOMetrics(
        total_loss=total,
        actor_loss=actor,
        critic_loss=critic,
        entropy=entropy,
        approx_kl=approx_kl,
        kl_k1=kl_k1,
        clip_fraction=clip_fraction,
        grad_norm=jnp.float32(0.0),  # known after the gradient
    )
    return total, metrics


def _log_prob(policy: Distribution, sample: Array) -> Array:
    return jax.vmap(lambda p, s: p.log_prob(s))(policy, sample)


@description
@dataclass(frozen=True)
class PPO(Algorithm):
    """PPO for any actions and observations, masks included."""

    config: PPOConfig
    obs_space: Space = static()
    action_space: Space = static()
    n_shards: int = static(1)  # parts of the envs among which no example is exchanged
    config_class: ClassVar[type] = PPOConfig
    metrics: ClassVar[tuple[str, ...]] = (*PPOMetrics._fields, "explained_variance", "lr")
    losses: ClassVar[tuple[str, ...]] = ("actor_loss", "critic_loss", "total_loss")
    acts_with: ClassVar[tuple[str, ...]] = ("params", "obs_statistics")

    @override
    @classmethod
    def from_config(
        cls, config: PPOConfig, obs_space: Space, action_space: Space, setup: Setup
    ) -> "PPO":
        config = with_schedule_steps(config, setup.total_timesteps)
        return cls(config, obs_space, action_space, n_shards=setup.n_devices)

    @property
    @override
    def rollout_length(self) -> int:
        return self.config.n_steps

    @property
    @override
    def whole_episodes(self) -> bool:
        return self.config.whole_episodes

    @override
    def check(self, num_envs: int) -> None:
        """Raises ConfigError for unsupported spaces and batches that do not divide."""
        check_policy(self.obs_space, self.action_space, self.config.squash)
        check_common(self.config, self.obs_space)
        if self.config.even_minibatches and not self.config.whole_episodes:
            raise ConfigError("even_minibatches True is of whole_episodes: turn one on or one off.")
        check_networks(type(self).network, self)
        check_batch(self.config.n_steps, num_envs, self.config.n_minibatches, self.n_shards)

    @override
    def init(self, key: Key) -> PPOState:
        """Fresh networks and optimiser."""
        params = self.network(key)
        example = jax.eval_shape(self.obs_space.sample, jax.random.key(0))
        statistics = initial_statistics(view(example)) if self.config.normalize_obs else None
        opt_state = self.optimizer(self.config.lr).init(params)
        of_values = initial_value_statistics() if self.config.normalize_values else None
        return PPOState(params, opt_state, statistics, jnp.int32(0), of_values)

    def network(self, key: Key) -> ActorCritic:
        """The actor and critic that the config describes."""
        config = self.config
        return ActorCritic(
            key,
            lambda k: encoder_of(config, k, self.obs_space, config.hidden_sizes),
            lambda k, width: PolicyHead(
                k, width, self.action_space, config.squash, config.init_log_std
            ),
            config.shared_backbone,
        )

    @override
    def act(self, state: PPOState, obs: PyTree, key: Key) -> tuple[PyTree, Behaviour]:
        """Samples the policy."""
        seen = standardize_obs(state.obs_statistics, obs)
        if self.config.shared_backbone:
            policy, value = state.params.policy_and_value(seen)
        else:  # a critic of its own sees all of a rollout at once, later
            policy, value = state.params.policy(seen), None
        sample = policy.sample(key)
        action = state.params.policy_head.action(sample)
        return action, Behaviour(sample, policy.log_prob(sample), value)

    @override
    def greedy(self, state: PPOState, obs: PyTree) -> PyTree:
        """The policy's mode."""
        policy = state.params.policy(standardize_obs(state.obs_statistics, obs))
        return state.params.policy_head.action(policy.mode())

    @override
    def update(
        self, state: PPOState, rollout: Transition, key: Key
    ) -> tuple[PPOState, dict[str, Array]]:
        """Some epochs of minibatch gradient steps on one rollout."""
        n_steps, num_envs = rollout.reward.shape
        coefficients = self.coefficients(state, n_steps * num_envs)
        examples, counts = self.examples(state, rollout), self.counting(rollout)
        shares = None if counts is None else split_envs(counts, self.n_shards)
        state, examples = self.normalized(state, examples, shares)
        state, metrics = self._learn(state, examples, shares, coefficients, key)
        value, target, obs = wait_for(metrics, (examples.value, examples.target, rollout.obs))
        metrics["explained_variance"] = explained_variance(value, target, shares)
        metrics["lr"] = jnp.asarray(coefficients.lr)
        statistics = state.obs_statistics
        if statistics is not None:
            statistics = update_statistics(statistics, view(obs), counts)
        return state._replace(obs_statistics=statistics, step=state.step + 1), metrics

    def coefficients(self, state: PPOState, steps_per_update: int) -> Coefficients:
        """The coefficients at the env step where this update begins."""
        config = self.config
        step = state.step.astype(jnp.float32) * steps_per_update
        fraction = 0.0 if config.schedule_steps is None else step / config.schedule_steps

        return Coefficients(
            lr=scheduled(config.lr, config.lr_end, fraction),
            clip_eps=scheduled(config.clip_eps, config.clip_eps_end, fraction),
            ent_coef=scheduled(config.ent_coef, config.ent_coef_end, fraction),
            vf_coef=config.vf_coef,
            value_clip_eps=config.value_clip_eps,
        )

    def examples(self, state: PPOState, rollout: Transition) -> Examples:
        """Advantages and targets of a rollout `[T, N]`, as `[S, T * N / S]`."""
        obs = jax.vmap(jax.vmap(partial(self._seen, state)))(rollout.obs)
        value, next_value = self._values(state, obs, rollout)
        advantage, target = compute_gae(
            rollout.reward * self.config.reward_scale,
            value,
            next_value,
            rollout.terminated,
            rollout.truncated,
            self.config.gamma,
            self.config.gae_lambda,
        )
        if self.config.advantage_scope == "rollout":
            advantage = standardize(advantage, self.counting(rollout))
        behaviour = rollout.extras._replace(value=None)
        examples = Examples(obs, behaviour, value, advantage, target)
        return split_envs(examples, self.n_shards)

    def _seen(self, state: PPOState, obs: PyTree) -> PyTree:
        """An observation as all passes over it see it."""
        return state.params.prepare(standardize_obs(state.obs_statistics, obs))

    def normalized(
        self, state: PPOState, examples: Examples, counts: Bool[Array, " S n"] | None
    ) -> tuple[PPOState, Examples]:
        """The statistics of values with these targets, and the examples in their units."""
        if (old := state.value_statistics) is None:
            return state, examples
        new = add_targets(old, examples.target, counts)
        head = preserve_values(state.params.value_head, old, new)
        params = eqx.tree_at(lambda params: params.value_head, state.params, head)
        value, target = (in_deviations(new, x) for x in (examples.value, examples.target))
        state = state._replace(params=params, value_statistics=new)
        return state, examples._replace(value=value, target=target)

    def counting(self, rollout: Transition) -> Bool[Array, " T N"] | None:
        """The steps that are learned from; None if all are."""
        if not self.config.whole_episodes:
            return None
        return first_episodes(rollout.terminated | rollout.truncated)

    def _values(self, state: PPOState, obs: PyTree, rollout: Transition) -> tuple[Array, Array]:
        """V(obs) and V(next_obs), the latter shifted from the former within an episode."""
        value = rollout.extras.value
        if value is None:
            value = jax.vmap(jax.vmap(lambda seen: state.params.of_prepared(seen)[1]))(obs)
        value = in_rewards(state.value_statistics, value)
        successor = jax.vmap(partial(self.critic_value, state))
        last = successor(jax.tree.map(lambda x: x[-1], rollout.next_obs))
        shifted = jnp.concatenate([value[1:], last[None]])
        next_value = jax.lax.cond(
            rollout.truncated[:-1].any(),
            lambda: jnp.where(rollout.truncated, jax.vmap(successor)(rollout.next_obs), shifted),
            lambda: shifted,
        )
        return value, next_value

    def critic_value(self, state: PPOState, obs: PyTree) -> Float[Array, ""]:
        """The expected discounted sum of rewards times `reward_scale` after one observation."""
        value = state.params.value(standardize_obs(state.obs_statistics, obs))
        return in_rewards(state.value_statistics, value)

    def optimizer(self, lr: Number) -> Adam:
        """What makes a gradient step."""
        return Adam(lr, self.config.max_grad_norm, self.config.adam_eps, flat=True)

    def _learn(
        self,
        state: PPOState,
        examples: Examples,
        counts: Bool[Array, " S n"] | None,
        coefficients: Coefficients,
        key: Key,
    ) -> tuple[PPOState, dict[str, Array]]:
        learn = partial(self._learn_from, examples, coefficients)

        def step(learner: Learner, minibatch: Minibatch) -> tuple[Learner, dict[str, Array]]:
            if minibatch.holds is None:
                return learn(learner, minibatch)
            nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(learn, learner, minibatch)[1])
            idle = lambda learner, _: (learner, nothing)  # noqa: E731
            return jax.lax.cond(minibatch.holds.any(), learn, idle, learner, minibatch)

        how = self.config.n_epochs, self.config.n_minibatches, self.config.even_minibatches
        drawn = draw_minibatches(key, examples.value.shape, counts, *how)
        learner = Learner(state.params, state.opt_state, jnp.array(False))
        learner, metrics = jax.lax.scan(step, learner, drawn)
        made = None if drawn.holds is None else drawn.holds.any((1, 2))
        means = {name: x.mean(where=made) for name, x in metrics.items()}
        return state._replace(params=learner.params, opt_state=learner.opt_state), means

    def _learn_from(
        self, examples: Examples, coefficients: Coefficients, learner: Learner, minibatch: Minibatch
    ) -> tuple[Learner, dict[str, Array]]:
        """One gradient step."""
        config, optimizer = self.config, self.optimizer(coefficients.lr)
        batch, holds = take(examples, minibatch.index), minibatch.holds
        counts = None if holds is None else holds.ravel()
        standardized = config.advantage_scope == "rollout"
        loss = partial(ppo_loss, counts=counts, standardized=standardized)
        grads, metrics = jax.grad(loss, has_aux=True)(learner.params, batch, coefficients)
        params, opt_state, grad_norm = optimizer.step(learner.params, learner.opt_state, grads)
        new = Learner(params, opt_state, learner.stopped)
        if config.target_kl is not None:
            stopped = learner.stopped | (metrics.approx_kl > 1.5 * config.target_kl)
            new = jax.tree.map(lambda o, n: jnp.where(stopped, o, n), learner, new)
            new = new._replace(stopped=stopped)
        named = metrics._replace(grad_norm=grad_norm)._asdict()
        return new, named | (norms_by_name(grads) if config.layer_grad_norms else {})
