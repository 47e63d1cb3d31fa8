"""Adam on gradients clipped by their global norm (Kingma and Ba 2015), over one long vector.

A step over a dozen small arrays is dozens of tiny operations, and costs a third of the gradient
itself on a CPU. So parameters are a vector while they are optimised and a tree while they are used.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from vibe_rl.types import Number, PyTree

Params = TypeVar("Params")


class Adam(NamedTuple):
    """The numbers of the optimiser; each may be traced."""

    lr: Number
    max_grad_norm: Number
    eps: Number = 1e-8

    @property
    def transformation(self) -> optax.GradientTransformation:
        """Clipping, then Adam, on a vector."""
        return optax.chain(
            optax.clip_by_global_norm(self.max_grad_norm),  # type: ignore[arg-type]
            optax.adam(self.lr, eps=self.eps),  # type: ignore[arg-type]
        )

    def init(self, params: PyTree) -> optax.OptState:
        """Moments of zero."""
        return self.transformation.init(ravel_pytree(params)[0])

    def step(
        self, vector: Float[Array, " P"], opt_state: optax.OptState, grads: PyTree
    ) -> tuple[Float[Array, " P"], optax.OptState, Float[Array, ""]]:
        """The next parameters and moments, and the gradient's norm before clipping."""
        gradient = ravel_pytree(grads)[0]
        updates, opt_state = self.transformation.update(gradient, opt_state)
        return vector + jnp.asarray(updates), opt_state, jnp.linalg.norm(gradient)


def as_vector(params: Params) -> tuple[Float[Array, " P"], Callable[[Array], Params]]:
    """Parameters as one vector, and the function that makes them a tree again."""
    vector, tree = ravel_pytree(params)
    # behind a barrier the arrays are arrays, not slices computed anew inside every product
    return vector, lambda vector: jax.lax.optimization_barrier(tree(vector))
