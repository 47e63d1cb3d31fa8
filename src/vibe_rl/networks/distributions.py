"""Distributions over one action: what a policy head returns.

`sample` and `mode` return what `log_prob` takes. Log-probabilities and entropies are in nats.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vibe_rl.ops.pick import pick
from vibe_rl.types import Key

LOG_2PI = float(np.log(2.0 * np.pi))
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


class Categorical(NamedTuple):
    """One of A choices."""

    logits: Array  # [A]

    def sample(self, key: Key) -> Array:
        """A choice, int32."""
        return jax.random.categorical(key, self.logits).astype(jnp.int32)

    def mode(self) -> Array:
        """The likeliest choice, int32."""
        return jnp.argmax(self.logits).astype(jnp.int32)

    def log_prob(self, sample: Array) -> Float[Array, ""]:
        """The log-probability of a choice."""
        return pick(jax.nn.log_softmax(self.logits), sample)

    def entropy(self) -> Float[Array, ""]:
        """Minus the expected log-probability; impossible choices count nothing."""
        log_p = jax.nn.log_softmax(self.logits)
        return -jnp.sum(jnp.exp(log_p) * log_p)


def mask_logits(logits: Float[Array, " *A"], legal: Bool[Array, " *A"]) -> Float[Array, " *A"]:
    """Logits under which an illegal choice has probability zero."""
    return jnp.where(legal, logits, jnp.finfo(logits.dtype).min)


class MultiCategorical(NamedTuple):
    """Several independent choices."""

    choices: tuple[Categorical, ...]

    def sample(self, key: Key) -> Array:
        """One choice each, int32 `[K]`."""
        keys = jax.random.split(key, len(self.choices))
        return jnp.stack([c.sample(keys[i]) for i, c in enumerate(self.choices)])

    def mode(self) -> Array:
        """The likeliest choices, int32 `[K]`."""
        return jnp.stack([c.mode() for c in self.choices])

    def log_prob(self, sample: Array) -> Float[Array, ""]:
        """The sum of the choices' log-probabilities."""
        return sum((c.log_prob(sample[i]) for i, c in enumerate(self.choices)), jnp.float32(0.0))

    def entropy(self) -> Float[Array, ""]:
        """The sum of the choices' entropies."""
        return sum((c.entropy() for c in self.choices), jnp.float32(0.0))


class Normal(NamedTuple):
    """Independent normal variables."""

    mean: Array  # [A]
    log_std: Array  # [A]

    def sample(self, key: Key) -> Array:
        """mean + std * noise."""
        noise = jax.random.normal(key, self.mean.shape, jnp.float32)
        return self.mean + jnp.exp(self.log_std) * noise

    def mode(self) -> Array:
        """The mean."""
        return self.mean

    def log_prob(self, sample: Array) -> Float[Array, ""]:
        """The log-density, summed over the entries."""
        z = (sample - self.mean) * jnp.exp(-self.log_std)
        return -0.5 * jnp.sum(z**2 + 2.0 * self.log_std + LOG_2PI)

    def entropy(self) -> Float[Array, ""]:
        """The differential entropy, summed over the entries."""
        return jnp.sum(self.log_std + 0.5 * (1.0 + LOG_2PI))


def log_tanh_derivative(x: Float[Array, " *A"]) -> Float[Array, " *A"]:
    """log(1 - tanh(x)^2), stable for large |x| (Haarnoja et al. 2018, appendix C)."""
    return 2.0 * (jnp.log(np.float32(2.0)) - x - jax.nn.softplus(-2.0 * x))


class TanhNormal(NamedTuple):
    """tanh of normal variables, in (-1, 1); samples are the values before the tanh."""

    mean: Array  # [A]
    log_std: Array  # [A]

    @property
    def normal(self) -> Normal:
        """The distribution before the tanh."""
        return Normal(self.mean, self.log_std)

    def sample(self, key: Key) -> Array:
        """A value whose tanh is the action."""
        return self.normal.sample(key)

    def mode(self) -> Array:
        """The value whose tanh is the median action."""
        return self.mean

    def log_prob(self, sample: Array) -> Float[Array, ""]:
        """The log-density of the action tanh(sample)."""
        return self.normal.log_prob(sample) - jnp.sum(log_tanh_derivative(sample))

    def entropy(self) -> Float[Array, ""]:
        """The differential entropy of the action, by Gauss-Hermite quadrature."""
        nodes, weights = jnp.asarray(NODES, jnp.float32), jnp.asarray(NODE_WEIGHTS, jnp.float32)
        x = self.mean[:, None] + jnp.exp(self.log_std)[:, None] * nodes[None, :]
        stretch = log_tanh_derivative(x) @ weights / weights.sum()
        return self.normal.entropy() + jnp.sum(stretch)


Distribution = Categorical | MultiCategorical | Normal | TanhNormal
