"""Returns and advantages: pure functions of time-major arrays.

Termination cuts the bootstrap, for the task has no future; truncation does not, for the clock is
not part of the task (Pardo et al. 2018, arXiv:1712.00378). Either one cuts the lambda-trace,
because what follows belongs to another episode.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vibe_rl.types import AnyArray, Number

ROUNDING = 1e-12
"""The share of their mean square up to which numbers of float32 that are all one may vary."""


def td_error(
    reward: Float[Array, " *T"],
    value: Float[Array, " *T"],
    next_value: Float[Array, " *T"],
    terminated: Bool[Array, " *T"],
    gamma: Number,
) -> Float[Array, " *T"]:
    """r + gamma V(s') - V(s), without the bootstrap where the task ended."""
    return reward + gamma * jnp.where(terminated, 0.0, next_value) - value


def gae(
    delta: Float[Array, " T *N"], done: Bool[Array, " T *N"], decay: Number
) -> Float[Array, " T *N"]:
    """Generalised advantage estimates (Schulman et al. 2016, arXiv:1506.02438, eq. 16).

    Args:
        delta: TD errors.
        done: where an episode ended, for whatever reason.
        decay: gamma times lambda.
    """

    def backward(advantage, step):
        delta, continues = step
        advantage = delta + continues * advantage
        return advantage, advantage

    continues = jnp.where(done, 0.0, decay)
    return jax.lax.scan(backward, jnp.zeros_like(delta[0]), (delta, continues), reverse=True)[1]


def compute_gae(
    reward: Float[Array, " T *N"],
    value: Float[Array, " T *N"],
    next_value: Float[Array, " T *N"],
    terminated: Bool[Array, " T *N"],
    truncated: Bool[Array, " T *N"],
    gamma: Number,
    gae_lambda: Number,
) -> tuple[Float[Array, " T *N"], Float[Array, " T *N"]]:
    """Advantages, and the targets that a critic is fitted to (advantage plus value)."""
    delta = td_error(reward, value, next_value, terminated, gamma)
    advantage = gae(delta, terminated | truncated, gamma * gae_lambda)
    return advantage, advantage + value


def n_step_return(
    reward: Sequence[AnyArray],
    terminated: Sequence[AnyArray],
    known: Sequence[AnyArray],
    goes_on: Sequence[AnyArray],
    gamma: Number,
) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Discounted sums of up to n rewards of one episode (Sutton and Barto 2018, eq. 7.1).

    The sum ends with the episode, and before a step that is not known yet.

    Args:
        reward: of n successive steps, each of any shape.
        terminated: where the task ended with the step.
        known: where the step has happened; where the first has not, nothing is summed.
        goes_on: where the episode has not ended with the step.
        gamma: discount factor.

    Returns:
        The sums, the discounts of the value of what follows (0 after termination), and how many
        steps were summed, int32.
    """
    total, discount, length = reward[0] * 1.0, gamma * ~terminated[0], known[0].astype(np.int32)
    reached = goes_on[0]
    for k in range(1, len(reward)):
        reached = reached & known[k]
        total = total + reached * discount * reward[k]
        discount = discount * (gamma * ~terminated[k] * reached + ~reached)
        length = length + reached.astype(np.int32)
        reached = reached & goes_on[k]
    return total, discount, length


def explained_variance(
    value: Float[Array, " *T"],
    target: Float[Array, " *T"],
    counts: Bool[Array, " *T"] | None = None,
) -> Float[Array, ""]:
    """1 - Var[target - value] / Var[target]: 1 is a perfect critic, 0 a constant one.

    0 where the targets do not vary. `counts` says which of them count; None: all.
    """
    spread = jnp.var(target, where=counts)
    varies = spread > ROUNDING * jnp.mean(target**2, where=counts)
    explained = 1.0 - jnp.var(target - value, where=counts) / (spread + 1e-8)
    return jnp.where(varies, explained, 0.0)


def standardize(
    advantage: Float[Array, "*B"], counts: Bool[Array, "*B"] | None = None
) -> Float[Array, "*B"]:
    """Mean 0 and standard deviation 1, over those that count."""
    centred = advantage - advantage.mean(where=counts)
    return centred / (jnp.sqrt(jnp.mean(centred**2, where=counts)) + 1e-8)
