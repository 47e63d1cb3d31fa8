"""Adam (Kingma and Ba 2015), on gradients that may be clipped by their global norm.

A step over a dozen small arrays is dozens of tiny operations, and costs a third of the gradient
itself on a CPU. So small networks may be one vector to the optimiser, as `optax.flatten` makes
them. Large ones stay trees: for them a vector would be a copy more, and the steps of single arrays
run beside the products of the next.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from vibe_rl.sharding import is_large
from vibe_rl.types import Number, PyTree


class Adam(NamedTuple):
    """The optimiser's hyperparameters; each may be traced."""

    lr: Number
    max_grad_norm: Number | None = None  # None clips nothing
    eps: Number = 1e-8
    flat: bool = False  # whether small networks are a vector to it

    def transformation(self, flat: bool) -> optax.GradientTransformation:
        """Clipping, then Adam."""
        adam = optax.adam(self.lr, eps=self.eps)  # type: ignore[arg-type]
        if self.max_grad_norm is not None:
            clip = optax.clip_by_global_norm(self.max_grad_norm)  # type: ignore[arg-type]
            adam = optax.chain(clip, adam)
        return optax.flatten(adam) if flat else adam

    def init(self, params: PyTree) -> optax.OptState:
        """Moments of zero."""
        return self.transformation(self.flattens(params)).init(params)

    def step(
        self, params: PyTree, opt_state: optax.OptState, grads: PyTree
    ) -> tuple[PyTree, optax.OptState, Float[Array, ""]]:
        """The next parameters and moments, and the gradient's norm before clipping."""
        flat = self.flattens(params)
        with jax.enable_x64(False):  # optax corrects the moments' bias in the widest type it finds
            updates, opt_state = self.transformation(flat).update(grads, opt_state)
        norm = optax.tree.norm(ravel_pytree(grads)[0] if flat else grads)
        return optax.apply_updates(params, updates), opt_state, norm

    def flattens(self, params: PyTree) -> bool:
        """Not with a matrix so large that it may be split over devices."""
        return self.flat and not any(map(is_large, jax.tree.leaves(params)))


def norms_by_name(grads: PyTree) -> dict[str, Float[Array, ""]]:
    """The norm of every array of a gradient, under where it is, such as `actor.mlp.weight`."""
    leaves = jax.tree.leaves_with_path(grads)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
    norms = [jnp.sqrt(jnp.sum(leaf**2)) for _, leaf in leaves]
    return {f"grad_norm.{name}": norm for name, norm in zip(names, norms, strict=True)}
