"""Values learned in standard deviations of their targets (PopArt, van Hasselt et al. 2016).

The critic's last layer says how many standard deviations a value is from the mean of the targets so
far. When those change the layer is rescaled, so that no value does (arXiv:1602.07714, eq. 9); the
errors it learns from stay of size one, however large the rewards are. Means, unlike what a
transform such as symlog fits, stay means: what is rare and large keeps its weight.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vibe_rl.networks.layers import Linear
from vibe_rl.ops.normalization import RunningStatistics, initial_statistics, update_statistics

WINDOW = 50.0
"""Rollouts that the statistics remember, the older the less: targets change as the policy does."""
LEAST_STD = 1e-4


def initial_value_statistics() -> RunningStatistics:
    """Those of no target yet, under which values are what the critic says."""
    return initial_statistics(jax.ShapeDtypeStruct((), jnp.float32))


def _spread(statistics: RunningStatistics) -> Float[Array, ""]:
    """The standard deviation of the targets, never 0."""
    return jnp.maximum(jnp.sqrt(statistics.var), LEAST_STD)


def in_rewards(
    statistics: RunningStatistics | None, value: Float[Array, " *B"]
) -> Float[Array, " *B"]:
    """What the critic says, as sums of rewards."""
    return value if statistics is None else statistics.mean + _spread(statistics) * value


def in_deviations(statistics: RunningStatistics, value: Float[Array, " *B"]) -> Float[Array, " *B"]:
    """Sums of rewards as the critic says them: the inverse of `in_rewards`."""
    return (value - statistics.mean) / _spread(statistics)


def add_targets(
    statistics: RunningStatistics,
    target: Float[Array, " S n"],
    counts: Bool[Array, " S n"] | None = None,
) -> RunningStatistics:
    """The statistics after one rollout more, of which all examples count, or those that do."""
    remembered = jnp.minimum(statistics.count, WINDOW * target.size)
    return update_statistics(statistics._replace(count=remembered), target, counts)


def preserve_values(head: Linear, old: RunningStatistics, new: RunningStatistics) -> Linear:
    """The critic's last layer for `new` statistics: the same values as for the `old`."""
    ratio = _spread(old) / _spread(new)
    bias = head.bias * ratio + (old.mean - new.mean) / _spread(new)
    return eqx.tree_at(lambda h: (h.weight, h.bias), head, (head.weight * ratio, bias))
