"""One array of an observation as numbers: a vector, or a picture."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vibe_rl.spaces import ArraySpace, Board, Box, Discrete, Image, MultiDiscrete, Tokens

GRAY_SIDE = 8
"""Pixels from which on a matrix of bytes is a gray picture; smaller ones are boards of numbers."""


def is_image(space: ArraySpace) -> bool:
    """Whether the space's members are pictures.

    Three axes are height, width and channels; four a stack of such pictures; a matrix of bytes is
    gray. Tokens are none.
    """
    if isinstance(space, Image | Tokens):
        return isinstance(space, Image)
    gray = len(space.shape) == 2 and space.dtype == jnp.uint8 and min(space.shape) >= GRAY_SIDE
    return isinstance(space, Box) and (len(space.shape) in (3, 4) or gray)


def scale(space: ArraySpace) -> float:
    """What a picture is divided by: the largest of its bounds; 1 where it has none."""
    if not isinstance(space, Box):
        return 255.0
    bounds = np.abs([bound for bound in sum(space.bounds, ()) if np.isfinite(bound)])
    return float(bounds.max(initial=0.0)) or 1.0


def flat_vector(space: ArraySpace, x: Array) -> Float[Array, " n"]:
    """One array of an observation as a vector of float32; choices become one-hot."""
    if isinstance(space, Discrete):
        return jax.nn.one_hot(x, space.n, dtype=jnp.float32)
    if isinstance(space, MultiDiscrete):
        choices = [jax.nn.one_hot(x[i], n, dtype=jnp.float32) for i, n in enumerate(space.nvec)]
        return jnp.concatenate(choices)
    if is_image(space) and not isinstance(space, Board):
        return pixels(space, x).ravel()
    return x.astype(jnp.float32).ravel()


def pixels(space: ArraySpace, x: Array) -> Float[Array, " H W C"]:
    """A picture as float32, divided by its largest bound; a stack's pictures are more channels."""
    size = scale(space)
    x = x.astype(jnp.float32) if size == 1.0 else x.astype(jnp.float32) / size
    if x.ndim == 4:
        return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:3], -1)
    return x[..., None] if x.ndim == 2 else x


def picture_shape(space: ArraySpace) -> tuple[int, int, int]:
    """Height, width and channels of what the convolutions get."""
    example = jax.ShapeDtypeStruct(space.shape, space.dtype)
    return jax.eval_shape(partial(pixels, space), example).shape
