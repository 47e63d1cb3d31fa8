"""A tree of sums over many weights: draws an index in proportion to its weight, changes a few.

The sum tree of prioritised replay (Schaul et al. 2016, arXiv:1511.05952, appendix B.2.1), but wide:
every node has `FANOUT` children, so that a million weights are four levels deep and each level is
one operation over the whole batch. Sums are always those of their children, so no error builds up.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

FANOUT = 32


class SumTree(NamedTuple):
    """Weights and the sums above them."""

    levels: tuple[Array, ...]  # float32 [nodes] each, from the root's children to the weights

    @property
    def total(self) -> Float[Array, ""]:
        """The sum of all weights."""
        return self.levels[0].sum()


def init(n_weights: int) -> SumTree:
    """A tree of zeros."""
    sizes = [n_weights]
    while sizes[0] > FANOUT:
        sizes.insert(0, -(-sizes[0] // FANOUT))
    padded = [max(-(-size // FANOUT), 1) * FANOUT for size in sizes]  # no node lacks children
    return SumTree(tuple(jnp.zeros(size, jnp.float32) for size in padded))


def change(tree: SumTree, index: Int[Array, " B"], weight: Float[Array, " B"]) -> SumTree:
    """The tree with some weights replaced; where an index occurs twice, the largest counts."""
    below = tree.levels[-1].at[index].min(weight).at[index].max(weight)  # in whatever order
    levels = [below]
    for level in reversed(tree.levels[:-1]):
        index = index // FANOUT
        below = level.at[index].set(below.reshape(-1, FANOUT)[index].sum(-1))
        levels.insert(0, below)
    return SumTree(tuple(levels))


def find_leaf(tree: SumTree, mass: Float[Array, " B"]) -> Int[Array, " B"]:
    """The indices at which the running sum of the weights passes `mass`, each in [0, total)."""
    index = jnp.zeros(mass.shape, jnp.int32)
    for level in tree.levels:
        children = level.reshape(-1, FANOUT)[index]
        sums = jnp.cumsum(children, axis=-1)
        # rounding may leave a mass of no less than all children's, or of less than nothing
        passed = (sums <= mass[:, None]) & (sums < sums[:, -1:])
        child = passed.sum(-1, dtype=jnp.int32)
        here = jnp.arange(FANOUT, dtype=jnp.int32)[None] == child[:, None]
        mass = jnp.maximum(mass - jnp.where(here, sums - children, 0.0).sum(-1), 0.0)
        index = index * FANOUT + child
    return index
