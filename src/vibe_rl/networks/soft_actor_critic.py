"""What soft actor-critic is made of, for continuous and for discrete actions.

A policy, an ensemble of independent critics, and the soft value V = E[min Q - alpha log pi].
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vibe_rl.networks.actor_critic import rescale, to_unit
from vibe_rl.networks.distributions import Categorical, TanhNormal, mask_logits
from vibe_rl.networks.encoder import Encoder, view
from vibe_rl.networks.layers import RowLinear
from vibe_rl.networks.q_network import QNetwork
from vibe_rl.ops.pick import pick
from vibe_rl.spaces import Box, Dict, Discrete, Masked, Space
from vibe_rl.types import Key, MaskedObs, Number, PyTree

Critics = tuple[PyTree, ...]
MakeEncoder = Callable[[Key, Space], Encoder]


class SoftValue(NamedTuple):
    """Of a policy at a batch of observations, under some critics."""

    value: Array  # [B], E[min Q - alpha log pi]
    entropy: Array  # [B], nats


@runtime_checkable
class Actor(Protocol):
    """A policy over one kind of action space, and its value under critics."""

    def sample(self, obs: PyTree, key: Key) -> PyTree:
        """An action of the environment."""
        ...

    def mode(self, obs: PyTree) -> PyTree:
        """The greedy action."""
        ...

    def soft_value(self, critics: Critics, obs: PyTree, alpha: Number, key: Key) -> SoftValue:
        """What it expects of a batch of observations."""
        ...

    def action_values(self, critics: Critics, obs: PyTree, action: PyTree) -> Float[Array, " K"]:
        """The critics' values of one action."""
        ...


class ActionCritic(eqx.Module):
    """Q(obs, action) of actions of many numbers, in units in which their bounds are -1 and 1."""

    encoder: Encoder
    head: RowLinear

    def __init__(self, key: Key, make_encoder: MakeEncoder, obs_space: Space, n_numbers: int):
        keys = jax.random.split(key)
        view_space = obs_space.view if isinstance(obs_space, Masked) else obs_space
        self.encoder = make_encoder(
            keys[0], Dict({"action": Box(-1.0, 1.0, (n_numbers,)), "obs": view_space})
        )
        self.head = RowLinear(keys[1], self.encoder.width, 1, scale=1.0)

    def __call__(self, obs: PyTree, action: Float[Array, " A"]) -> Float[Array, ""]:
        """The value of one pair."""
        return self.head(self.encoder({"action": action, "obs": view(obs)}))[0]


class GaussianActor(eqx.Module):
    """A tanh-normal policy within the bounds of a Box (Haarnoja et al. 2018, arXiv:1812.05905)."""

    encoder: Encoder
    head: RowLinear  # means, then log standard deviations
    space: Box = eqx.field(static=True)
    log_std_range: tuple[float, float] = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        make_encoder: MakeEncoder,
        obs_space: Space,
        space: Box,
        log_std_range: tuple[float, float],
    ):
        keys = jax.random.split(key)
        self.encoder = make_encoder(keys[0], obs_space)
        self.head = RowLinear(keys[1], self.encoder.width, 2 * space.shape[0], scale=0.01)
        self.space = space
        self.log_std_range = log_std_range

    def policy(self, obs: PyTree) -> TanhNormal:
        """The distribution of actions, in units in which their bounds are -1 and 1."""
        mean, log_std = jnp.split(self.head(self.encoder(obs)), 2)
        return TanhNormal(mean, jnp.clip(log_std, *self.log_std_range))

    def _action(self, sample: Array) -> Array:
        return rescale(self.space, jnp.tanh(sample)).astype(self.space.dtype)

    def sample(self, obs: PyTree, key: Key) -> Array:
        """A random action at one observation."""
        return self._action(self.policy(obs).sample(key))

    def mode(self, obs: PyTree) -> Array:
        """The median action at one observation."""
        return self._action(self.policy(obs).mode())

    def soft_value(self, critics: Critics, obs: PyTree, alpha: Number, key: Key) -> SoftValue:
        """By one sample of each policy (eq. 3)."""
        policy = jax.vmap(self.policy)(obs)
        noise = jax.random.normal(key, policy.mean.shape, jnp.float32)
        sample = policy.mean + jnp.exp(policy.log_std) * noise
        log_prob = jax.vmap(lambda p, s: p.log_prob(s))(policy, sample)
        q = jnp.stack([jax.vmap(critic)(obs, jnp.tanh(sample)) for critic in critics])
        return SoftValue(q.min(0) - alpha * log_prob, -log_prob)

    def action_values(self, critics: Critics, obs: PyTree, action: Array) -> Float[Array, " K"]:
        """The critics' values of one action."""
        unit = to_unit(self.space, action)
        return jnp.stack([critic(obs, unit) for critic in critics])


class CategoricalActor(eqx.Module):
    """A policy over choices; expectations are exact (Christodoulou 2019, arXiv:1910.07207)."""

    encoder: Encoder
    head: RowLinear
    space: Discrete = eqx.field(static=True)

    def __init__(self, key: Key, make_encoder: MakeEncoder, obs_space: Space, space: Discrete):
        keys = jax.random.split(key)
        self.encoder = make_encoder(keys[0], obs_space)
        self.head = RowLinear(keys[1], self.encoder.width, space.n, scale=0.01)
        self.space = space

    def policy(self, obs: PyTree) -> Categorical:
        """The distribution of actions; illegal ones are impossible."""
        logits = self.head(self.encoder(obs))
        masked = isinstance(obs, MaskedObs)
        return Categorical(mask_logits(logits, obs.legal) if masked else logits)

    def sample(self, obs: PyTree, key: Key) -> Array:
        """A random action at one observation."""
        return self.policy(obs).sample(key).astype(self.space.dtype)

    def mode(self, obs: PyTree) -> Array:
        """The likeliest action at one observation."""
        return self.policy(obs).mode().astype(self.space.dtype)

    def soft_value(self, critics: Critics, obs: PyTree, alpha: Number, key: Key) -> SoftValue:
        """Summed over all choices (eq. 10); needs no sample, and so no key."""
        log_p = jax.nn.log_softmax(jax.vmap(self.policy)(obs).logits)
        p = jnp.exp(log_p)
        q = jnp.stack([jax.vmap(critic)(obs) for critic in critics]).min(0)
        entropy = -jnp.sum(p * log_p, axis=-1)
        return SoftValue(jnp.sum(p * q, axis=-1) + alpha * entropy, entropy)

    def action_values(self, critics: Critics, obs: PyTree, action: Array) -> Float[Array, " K"]:
        """The critics' values of one action."""
        return jnp.stack([pick(critic(obs), action) for critic in critics])


def make_critics(
    key: Key, n: int, make_encoder: MakeEncoder, obs_space: Space, action_space: Space
) -> tuple[PyTree, ...]:
    """`n` independent critics."""

    def critic(key: Key) -> PyTree:
        if isinstance(action_space, Discrete):
            return QNetwork(key, lambda k: make_encoder(k, obs_space), action_space.n)
        return ActionCritic(key, make_encoder, obs_space, action_space.shape[0])  # type: ignore[attr-defined]

    return tuple(critic(k) for k in jax.random.split(key, n))
