"""An actor and a critic: from observations to a distribution over actions, and to a value."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from vibe_rl.errors import ConfigError
from vibe_rl.networks.distributions import (
    Categorical,
    Distribution,
    MultiCategorical,
    Normal,
    TanhNormal,
    mask_logits,
)
from vibe_rl.networks.encoder import Encoder
from vibe_rl.networks.layers import Linear
from vibe_rl.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space, check_masks
from vibe_rl.types import Key, MaskedObs, Number, PyTree

SUPPORTED = "Discrete, MultiDiscrete, MultiBinary or a one-dimensional Box"


def choices(space: Space) -> tuple[int, ...]:
    """How many options each independent choice of a discrete action space has."""
    if isinstance(space, Discrete):
        return (space.n,)
    if isinstance(space, MultiDiscrete):
        return space.nvec
    if isinstance(space, MultiBinary):
        return (2,) * space.n
    if isinstance(space, Box) and len(space.shape) == 1:
        return ()
    raise ConfigError(f"action space {space} is not supported: use {SUPPORTED}.")


def check_policy(obs_space: Space, action_space: Space, squash: bool) -> None:
    """Raises ConfigError for unsupported action spaces, and for masks that do not fit them."""
    options = choices(action_space)
    check_masks(obs_space, sum(options))
    if squash and isinstance(action_space, Box) and not action_space.bounded:
        raise ConfigError(f"squash True needs bounds, and {action_space} has none: turn it off.")


def unit_bounds(space: Box) -> tuple[np.ndarray, np.ndarray]:
    """What -1 and 1 stand for; integers reach half a step further, so that all are as likely.

    Entries without two bounds are learned as they are, and their unit is 1.
    """
    finite = np.isfinite(space.low) & np.isfinite(space.high)
    margin = np.float32(0.5 if space.whole else 0.0)
    return np.where(finite, space.low - margin, -1.0), np.where(finite, space.high + margin, 1.0)


def rescale(space: Box, unit: Float[Array, " A"]) -> Float[Array, " A"]:
    """Maps -1 .. 1 to the bounds of `space`, or any number to the side of a single bound.

    Entries without bounds stay as they are. Whole numbers, as floats, for integers.
    """
    low, high = unit_bounds(space)
    scaled = 0.5 * (1.0 - unit) * low + 0.5 * (1.0 + unit) * high  # high - low may overflow
    has_low, has_high = np.isfinite(space.low), np.isfinite(space.high)
    if (has_low != has_high).any():
        above, below = space.low + jax.nn.softplus(unit), space.high - jax.nn.softplus(-unit)
        one_sided = jnp.where(has_low, above, below)
        scaled = jnp.where(has_low != has_high, one_sided, scaled)
    scaled = jnp.round(scaled) if space.whole else scaled
    return jnp.clip(scaled, space.low, space.high)


def to_unit(space: Box, action: Num[Array, " *B A"]) -> Float[Array, " *B A"]:
    """Maps the bounds of `space`, which must be finite, to -1 .. 1; the inverse of `rescale`.

    An entry with a single possible value is 0.
    """
    low, high = unit_bounds(space)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    half = np.where(half > 0.0, half, 1.0)
    middle, half = (jnp.broadcast_to(x, action.shape) for x in (middle, half))
    return (action - middle) / half


class PolicyHead(eqx.Module):
    """A linear layer and, for continuous actions, standard deviations that no input moves.

    Continuous actions are learned in units in which the bounds are -1 and 1: with `squash` the
    distribution is a tanh-normal within them, else a normal whose samples are clipped to them.
    """

    linear: Linear
    log_std: Array | None  # [A]; None for discrete actions
    space: Space = eqx.field(static=True)
    squash: bool = eqx.field(static=True)

    def __init__(
        self, key: Key, n_in: int, space: Space, squash: bool = False, log_std: Number = 0.0
    ):
        options = choices(space)
        n_out = sum(options) if options else space.shape[0]  # type: ignore[attr-defined]
        self.linear = Linear(key, n_in, n_out, scale=0.01)
        self.log_std = None if options else jnp.full(n_out, log_std, jnp.float32)
        self.space = space
        self.squash = squash

    def __call__(self, features: Float[Array, " in"], obs: PyTree) -> Distribution:
        """The policy at one observation; a `MaskedObs` makes illegal actions impossible."""
        outputs = self.linear(features)
        if self.log_std is not None:
            return (TanhNormal if self.squash else Normal)(outputs, self.log_std)
        if isinstance(obs, MaskedObs):
            outputs = mask_logits(outputs, obs.legal)
        return categorical(self.space, outputs)

    def action(self, sample: Array) -> Array:
        """The environment's action for one sample of the policy."""
        if not isinstance(self.space, Box):
            return sample
        unit = jnp.tanh(sample) if self.squash else sample
        return rescale(self.space, unit).astype(self.space.dtype)


def categorical(space: Space, logits: Float[Array, " A"]) -> Categorical | MultiCategorical:
    """The distribution whose logits stand one choice after another."""
    if isinstance(space, Discrete):
        return Categorical(logits)
    options = choices(space)
    starts = [sum(options[:i]) for i in range(len(options))]
    parts = [logits[s : s + n] for s, n in zip(starts, options, strict=True)]
    return MultiCategorical(tuple(Categorical(part) for part in parts))


class ActorCritic(eqx.Module):
    """A policy and a value function over one observation, with their own encoders or one."""

    actor: Encoder
    critic: Encoder | None  # None: the actor's
    policy_head: PolicyHead
    value_head: Linear

    def __init__(
        self,
        key: Key,
        make_encoder: Callable[[Key], Encoder],
        make_head: Callable[[Key, int], PolicyHead],
        shared: bool = False,
    ):
        keys = jax.random.split(key, 4)
        self.actor = make_encoder(keys[0])
        self.critic = None if shared else make_encoder(keys[1])
        self.policy_head = make_head(keys[2], self.actor.width)
        self.value_head = Linear(keys[3], self.actor.width, 1, scale=1.0)

    def policy(self, obs: PyTree) -> Distribution:
        """The distribution of actions."""
        return self.policy_head(self.actor(obs), obs)

    def policy_and_value(self, obs: PyTree) -> tuple[Distribution, Float[Array, ""]]:
        """Both; a shared encoder is passed once, and so is its gradient."""
        return self.of_prepared(self.prepare(obs))

    def prepare(self, obs: PyTree) -> PyTree:
        """See `Encoder.prepare`; actor and critic look alike."""
        return self.actor.prepare(obs)

    def of_prepared(self, prepared: PyTree) -> tuple[Distribution, Float[Array, ""]]:
        """`policy_and_value` of what `prepare` made of an observation."""
        features = self.actor.of_prepared(prepared)
        of_value = features if self.critic is None else self.critic.of_prepared(prepared)
        return self.policy_head(features, prepared), self.value_head(of_value)[0]

    def value(self, obs: PyTree) -> Float[Array, ""]:
        """The expected discounted return."""
        encoder = self.actor if self.critic is None else self.critic
        return self.value_head(encoder(obs))[0]
