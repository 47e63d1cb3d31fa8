"""One step of Adam on gradients clipped by their global norm (Kingma and Ba 2015).

Parameters stay a tree; gradients and moments are one vector, so that a step is a few operations
however many arrays a network has.
"""

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
        self, params: Params, opt_state: optax.OptState, grads: Params
    ) -> tuple[Params, optax.OptState, Float[Array, ""]]:
        """The next parameters and moments, and the gradient's norm before clipping."""
        vector, tree = ravel_pytree(grads)
        updates, opt_state = self.transformation.update(vector, opt_state)
        params = jax.tree.map(jnp.add, params, tree(updates))  # type: ignore[arg-type]
        return params, opt_state, jnp.linalg.norm(vector)
