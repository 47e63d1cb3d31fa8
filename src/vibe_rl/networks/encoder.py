"""Encoders: from an observation of any space to one feature vector, an example at a time.

Which encoder an observation gets follows from its space: images pass through convolutions, divided
by their largest bound; numbers are flattened as they are, choices become one-hot vectors, and all
is joined before the dense layers. `describe` says it in words.
"""

from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vibe_rl.errors import ConfigError
from vibe_rl.networks.layers import CNN, MLP, Layer, Linear
from vibe_rl.spaces import ArraySpace, Box, Dict, Discrete, Image, Masked, MultiDiscrete, Space
from vibe_rl.types import Key, MaskedObs, PyTree

NATURE_CNN = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # channels, kernel, stride: Mnih et al. 2015
SMALL_CNN = ((16, 3, 1), (32, 3, 1))
NATURE_CNN_SIDE = 36  # pixels; smaller images get SMALL_CNN


GRAY_SIDE = 8
"""Pixels from which on a matrix of bytes is a gray picture; smaller ones are boards of numbers."""


def is_image(space: ArraySpace) -> bool:
    """Whether the space's members are pictures.

    Three axes are height, width and channels; four a stack of such pictures; a matrix of bytes is
    gray.
    """
    if isinstance(space, Image):
        return True
    gray = len(space.shape) == 2 and space.dtype == jnp.uint8 and min(space.shape) >= GRAY_SIDE
    return isinstance(space, Box) and (len(space.shape) in (3, 4) or gray)


def scale(space: ArraySpace) -> float:
    """What a picture is divided by: the largest of its bounds; 1 where it has none."""
    if not isinstance(space, Box):
        return 255.0
    bounds = np.abs([bound for bound in sum(space.bounds, ()) if np.isfinite(bound)])
    return float(bounds.max(initial=0.0)) or 1.0


def array_spaces(space: Space) -> list[ArraySpace]:
    """The single arrays of an observation, in the order of `jax.tree.leaves`."""
    if isinstance(space, Masked):
        return array_spaces(space.view)
    if isinstance(space, Dict) and not any(isinstance(part, Masked) for _, part in space.items):
        return [leaf for _, part in space.items for leaf in array_spaces(part)]
    if isinstance(space, ArraySpace):
        return [space]
    raise ConfigError(
        f"observation space {space} has no encoder: use a space of "
        "vibe_rl.spaces, with Masked outermost."
    )


def view(obs: PyTree) -> PyTree:
    """What the networks see of an observation."""
    return obs.view if isinstance(obs, MaskedObs) else obs


def flat_vector(space: ArraySpace, x: Array) -> Float[Array, " n"]:
    """One array of an observation as a vector of float32; choices become one-hot."""
    if isinstance(space, Discrete):
        return jax.nn.one_hot(x, space.n, dtype=jnp.float32)
    if isinstance(space, MultiDiscrete):
        choices = [jax.nn.one_hot(x[i], n, dtype=jnp.float32) for i, n in enumerate(space.nvec)]
        return jnp.concatenate(choices)
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


def join(space: Space, cnns: Sequence[CNN | None], obs: PyTree) -> Float[Array, " n"]:
    """What the dense layers get: every array of the observation as a vector, end to end."""
    leaves = jax.tree.leaves(view(obs))
    vectors = [
        flat_vector(leaf_space, x) if cnn is None else cnn(pixels(leaf_space, x))
        for leaf_space, cnn, x in zip(array_spaces(space), cnns, leaves, strict=True)
    ]
    return vectors[0] if len(vectors) == 1 else jnp.concatenate(vectors)


class Encoder(eqx.Module):
    """An observation of `space` -> features: convolutions where there are images, then an MLP."""

    cnns: tuple[CNN | None, ...]  # one per array of the observation; None for vectors
    mlp: MLP
    space: Space = eqx.field(static=True)
    n_in: int = eqx.field(static=True)  # width of the dense layers' input
    layer: Layer = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        space: Space,
        hidden_sizes: Sequence[int],
        activation: str = "tanh",
        conv_layers: Sequence[tuple[int, int, int]] | None = None,
        layer: Layer = Linear,
    ):
        spaces = array_spaces(space)
        keys = (key,) if not any(map(is_image, spaces)) else jax.random.split(key, len(spaces) + 1)
        self.space = space
        self.cnns = tuple(
            make_cnn(keys[i], leaf, conv_layers) if is_image(leaf) else None
            for i, leaf in enumerate(spaces)
        )
        example = jax.eval_shape(space.sample, jax.random.key(0))
        self.n_in = jax.eval_shape(partial(join, space, self.cnns), example).shape[0]
        self.mlp = MLP(keys[-1], self.n_in, hidden_sizes, activation, layer)
        self.layer = layer

    @property
    def width(self) -> int:
        """How many features `__call__` returns."""
        return self.n_in if not self.mlp.layers else self.mlp.layers[-1].bias.shape[0]

    def __call__(self, obs: PyTree) -> Float[Array, " out"]:
        """The features of one observation."""
        return self.mlp(join(self.space, self.cnns, obs))

    def batch(self, obs: PyTree) -> Float[Array, " out B"]:
        """The features of observations `[B, ...]`, a column each: for layers that are `Linear`.

        Equal to `vmap`, but faster.
        """
        return self.mlp(jax.vmap(partial(join, self.space, self.cnns), out_axes=-1)(obs))


def make_cnn(
    key: Key, space: ArraySpace, layers: Sequence[tuple[int, int, int]] | None = None
) -> CNN:
    """The convolutions over one picture; those that suit its size unless `layers` are given."""
    shape = picture_shape(space)
    return CNN(key, shape, layers or default_cnn(shape))


def default_cnn(shape: tuple[int, int, int]) -> tuple[tuple[int, int, int], ...]:
    """The convolutions that suit an image of this size."""
    return NATURE_CNN if min(shape[:2]) >= NATURE_CNN_SIDE else SMALL_CNN


def describe(space: Space) -> list[str]:
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


LARGE = 100.0
"""Numbers of such a size are better scaled than learned from as they are."""


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
