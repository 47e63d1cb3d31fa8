"""Adam, on gradients clipped by their global norm where that is asked for (Kingma and Ba 2015).

A step over a dozen small arrays is dozens of tiny operations, and costs a third of the gradient
itself on a CPU. So small networks are a vector while they are optimised and a tree while they are
used. Large ones stay trees: for them a vector would be a copy more, and the steps of single arrays
run beside the products of the next.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from vibe_rl.sharding import is_large
from vibe_rl.types import Number, PyTree

Params = TypeVar("Params")


class Adam(NamedTuple):
    """The numbers of the optimiser; each may be traced."""

    lr: Number
    max_grad_norm: Number | None = None  # None clips nothing
    eps: Number = 1e-8

    @property
    def transformation(self) -> optax.GradientTransformation:
        """Clipping, then Adam."""
        adam = optax.adam(self.lr, eps=self.eps)  # type: ignore[arg-type]
        if self.max_grad_norm is None:
            return adam
        clip = optax.clip_by_global_norm(self.max_grad_norm)  # type: ignore[arg-type]
        return optax.chain(clip, adam)

    def init(self, params: PyTree) -> optax.OptState:
        """Moments of zero."""
        return self.transformation.init(params)

    def step(
        self, params: PyTree, opt_state: optax.OptState, grads: PyTree
    ) -> tuple[PyTree, optax.OptState, Float[Array, ""]]:
        """The next parameters and moments, and the gradient's norm before clipping."""
        updates, opt_state = self.transformation.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, optax.tree.norm(grads)


def as_vector(params: Params) -> tuple[Any, Callable[[Any], Params]]:
    """Parameters as one vector `[P]`, and the function that makes them a tree again.

    With a matrix so large that it may be split over devices they stay as they are.
    """
    if any(is_large(leaf) for leaf in jax.tree.leaves(params)):
        return params, lambda tree: tree
    vector, tree = ravel_pytree(params)
    # behind a barrier the arrays are arrays, not slices computed anew inside every product
    return vector, lambda vector: jax.lax.optimization_barrier(tree(vector))
