"""Are learned values true? What Q promised when an episode began, beside what the episode paid.

The comparison of van Hasselt et al. 2016 (arXiv:1509.06461, figure 3), kept up while training: a
promise far above the payment is an overestimate. The payment is discounted and the exploring
policy's; where the clock ended an episode it counts what was earned until then.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vibe_rl.types import Number


class ValueCheck(NamedTuple):
    """Each env's running episode, and the episodes that ended last."""

    first: Array  # bool [N], whether the next step is the first of an episode
    promised: Array  # float32 [N], Q at the first step
    paid: Array  # float32 [N], discounted rewards since then
    discount: Array  # float32 [N], of the next reward
    seen: Array  # bool [N], whether the episode's first step was valued
    last_promised: Array  # mean over the episodes that ended most recently
    last_paid: Array


def init(num_envs: int) -> ValueCheck:
    """Before any step."""
    first, seen = jnp.ones(num_envs, bool), jnp.zeros(num_envs, bool)
    promised, paid, discount = jnp.zeros((3, num_envs))
    return ValueCheck(
        first, promised, paid, discount, seen, last_promised=jnp.zeros(()), last_paid=jnp.zeros(())
    )


def skip(check: ValueCheck, done: Bool[Array, " T N"]) -> ValueCheck:
    """After steps whose actions nobody valued."""
    return check._replace(first=done[-1], seen=jnp.zeros_like(check.seen))


def update(
    check: ValueCheck,
    q: Float[Array, " T N"],
    reward: Float[Array, " T N"],
    done: Bool[Array, " T N"],
    gamma: Number,
) -> ValueCheck:
    """After a rollout in which `q` was the value of the actions taken."""

    def step(check: ValueCheck, taken: tuple[Array, Array, Array]) -> tuple[ValueCheck, None]:
        q, reward, done = taken
        promised = jnp.where(check.first, q, check.promised)
        discount = jnp.where(check.first, 1.0, check.discount)
        paid = jnp.where(check.first, 0.0, check.paid) + discount * reward
        seen = check.first | check.seen
        ended = done & seen

        def mean(x: Array, before: Array) -> Array:
            total = jnp.where(ended, x, 0.0).sum()
            return jnp.where(ended.any(), total / jnp.maximum(ended.sum(), 1), before)

        return ValueCheck(
            first=done,
            promised=promised,
            paid=paid,
            discount=discount * gamma,
            seen=seen,
            last_promised=mean(promised, check.last_promised),
            last_paid=mean(paid, check.last_paid),
        ), None

    return jax.lax.scan(step, check, (q, reward, done))[0]
