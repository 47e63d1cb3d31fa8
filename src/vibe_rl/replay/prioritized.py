"""Draws in proportion to priorities (Schaul et al. 2016, arXiv:1511.05952)."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.replay import sum_tree
from vibe_rl.replay.ring import Batch, Ring
from vibe_rl.types import Key, Number


def draw_by_priority(
    ring: Ring,
    key: Key,
    shape: tuple[int, ...],
    beta: Number,
    least_of_all: Callable[[Array], Array],
) -> tuple[Array, Array]:
    """Slots, one from each of B equal shares of the total, and importance weights.

    Args:
        ring: one that has priorities.
        key: for a place within each share.
        shape: what is drawn; B is the last axis.
        beta: the weights' exponent.
        least_of_all: from the least probability drawn here to that among all parts of a ring, of
            which weights are fractions.
    """
    assert ring.priorities is not None
    n, batch = math.prod(shape), math.prod(shape[-1:])
    place = jnp.arange(n, dtype=jnp.int32) % batch
    share = (place + jax.random.uniform(key, (n,), jnp.float32)) / batch
    slot = sum_tree.find_leaf(ring.priorities, share * ring.priorities.total)
    slot = jnp.minimum(slot, ring.num_envs * ring.length - 1)
    probability = ring.priorities.levels[-1][slot] / ring.priorities.total
    hit = probability > 0.0
    least = least_of_all(jnp.where(hit, probability, jnp.inf).min())
    weight = jnp.where(hit, (least / jnp.where(hit, probability, 1.0)) ** beta, 0.0)
    return slot.reshape(shape), weight.reshape(shape)


def reprioritize(ring: Ring, batch: Batch, priority: Array) -> Ring:
    """The ring with the priorities of a batch's transitions replaced, if it has any."""
    if ring.priorities is None:
        return ring
    priority = jnp.where(batch.weight > 0, priority, 0.0)
    n = batch.slot.shape[-1]
    # batch after batch, so that the last one counts where a transition occurs in several
    priorities, _ = jax.lax.scan(
        lambda tree, one: (sum_tree.change(tree, *one), None),
        ring.priorities,
        (batch.slot.reshape(-1, n), priority.reshape(-1, n)),
    )
    highest = jnp.maximum(ring.highest, priority.max())
    return ring._replace(priorities=priorities, highest=highest)
