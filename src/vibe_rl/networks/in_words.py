"""What networks see of an observation, in words, and where that may not be what was meant."""

from functools import partial

import jax
import numpy as np

from vibe_rl.networks.encoder import array_spaces
from vibe_rl.networks.vectors import flat_vector, is_image, picture_shape, scale
from vibe_rl.spaces import ArraySpace, Box, Space

LARGE = 100.0
"""Numbers of such a size are better scaled than learned from as they are."""


def describe_network(space: Space) -> list[str]:
    """What the networks see of each array of an observation, in words."""
    return [_seen(leaf) for leaf in array_spaces(space)]


def _seen(space: ArraySpace) -> str:
    if is_image(space):
        height, width, channels = picture_shape(space)
        size = scale(space)
        by = "as it is" if size == 1.0 else f"divided by {size:g}"
        return f"a picture of {height} x {width} pixels, {channels} channels, {by}"
    n = jax.eval_shape(partial(flat_vector, space), jax.ShapeDtypeStruct(space.shape, space.dtype))
    kind = "numbers as they are" if isinstance(space, Box) else "ones and zeros"
    return f"{n.shape[0]} {kind}"


def surprises(space: Space) -> list[str]:
    """What networks will see of an observation, where that may not be what was meant."""
    return [
        f"the networks see {_seen(leaf)}: {remedy}."
        for leaf in array_spaces(space)
        if (remedy := _remedy(leaf))
    ]


def _remedy(space: ArraySpace) -> str:
    if not isinstance(space, Box):
        return ""
    finite = np.isfinite(sum(space.bounds, ()))
    if is_image(space):
        if len(space.shape) != 3:
            return "flatten it if it is no picture"
        return "" if finite.any() else "give it bounds, by which it is then divided"
    too_large = finite.any() and scale(space) > LARGE
    return f"scale them, they go up to {scale(space):g}, or set normalize_obs" if too_large else ""
