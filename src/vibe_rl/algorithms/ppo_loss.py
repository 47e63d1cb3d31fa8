"""The loss of PPO (Schulman et al. 2017, arXiv:1707.06347, eq. 7 and 9) on one minibatch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vibe_rl.actor_critic import ActorCritic
from vibe_rl.distributions import Distribution
from vibe_rl.types import Number, PyTree


class Behaviour(NamedTuple):
    """What the policy did, to be compared with what it would do later."""

    sample: Array  # before clipping, squashing and scaling
    log_prob: Array


class Examples(NamedTuple):
    """What is learned from: `[S, n, ...]` of a rollout in S shards, `[B, ...]` of a batch."""

    obs: PyTree
    behaviour: Behaviour
    value: Array
    advantage: Array
    target: Array


class Coefficients(NamedTuple):
    """The numbers of one update, schedules applied."""

    lr: Number
    clip_eps: Number
    ent_coef: Number
    vf_coef: Number
    value_clip_eps: Number | None  # None leaves values free


class PPOMetrics(NamedTuple):
    """Means over the minibatches of an update."""

    total_loss: Array
    actor_loss: Array
    critic_loss: Array
    entropy: Array  # nats
    approx_kl: Array  # nats, (r - 1) - log r of Schulman 2020, "Approximating KL divergence"
    clip_fraction: Array
    grad_norm: Array  # before clipping


def surrogate(ratio: Array, advantage: Array, clip_eps: Number) -> Array:
    """The clipped objective (eq. 7), to be maximised."""
    clipped = jnp.clip(ratio, 1.0 - clip_eps, 1.0 + clip_eps)
    return jnp.minimum(ratio * advantage, clipped * advantage)


def critic_loss(value: Array, old_value: Array, target: Array, clip_eps: Number | None) -> Array:
    """Half the squared error; with `clip_eps`, the worse of the free and the clipped value's."""
    error = (value - target) ** 2
    if clip_eps is not None:
        clipped = old_value + jnp.clip(value - old_value, -clip_eps, clip_eps)
        error = jnp.maximum(error, (clipped - target) ** 2)
    return 0.5 * error


def ppo_loss(
    params: ActorCritic, batch: Examples, coefficients: Coefficients
) -> tuple[Float[Array, ""], PPOMetrics]:
    """The loss of one minibatch: surrogate, critic and entropy (eq. 9)."""
    policy = jax.vmap(params.policy)(batch.obs)
    value = jax.vmap(params.value)(batch.obs)
    log_ratio = _log_prob(policy, batch.behaviour.sample) - batch.behaviour.log_prob
    ratio = jnp.exp(log_ratio)
    advantage = standardize(batch.advantage)
    terms = (
        -surrogate(ratio, advantage, coefficients.clip_eps),
        critic_loss(value, batch.value, batch.target, coefficients.value_clip_eps),
        jax.vmap(lambda p: p.entropy())(policy),
        ratio - 1.0 - log_ratio,
        jnp.abs(ratio - 1.0) > coefficients.clip_eps,
    )
    actor, critic, entropy, approx_kl, clip_fraction = jnp.stack(terms).mean(1)  # in one reduction
    total = actor + coefficients.vf_coef * critic - coefficients.ent_coef * entropy
    metrics = PPOMetrics(
        total_loss=total,
        actor_loss=actor,
        critic_loss=critic,
        entropy=entropy,
        approx_kl=approx_kl,
        clip_fraction=clip_fraction,
        grad_norm=jnp.float32(0.0),  # known after the gradient
    )
    return total, metrics


def standardize(advantage: Float[Array, " B"]) -> Float[Array, " B"]:
    """Mean 0 and standard deviation 1."""
    centred = advantage - advantage.mean()
    return centred / (jnp.sqrt(jnp.mean(centred**2)) + 1e-8)


def _log_prob(policy: Distribution, sample: Array) -> Array:
    return jax.vmap(lambda p, s: p.log_prob(s))(policy, sample)
