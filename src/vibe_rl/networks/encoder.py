"""Encoders: from an observation of any space to one feature vector, an example at a time.

Which encoder an observation gets follows from its space: images pass through convolutions, numbers
are flattened, choices become one-hot vectors, and everything is joined before the dense layers.
"""

from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vibe_rl.errors import ConfigError
from vibe_rl.networks.layers import CNN, MLP, Layer, Linear
from vibe_rl.spaces import ArraySpace, Box, Dict, Discrete, Image, Masked, MultiDiscrete, Space
from vibe_rl.types import Key, MaskedObs, PyTree

NATURE_CNN = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # channels, kernel, stride: Mnih et al. 2015
SMALL_CNN = ((16, 3, 1), (32, 3, 1))
NATURE_CNN_SIDE = 36  # pixels; smaller images get SMALL_CNN


def is_image(space: ArraySpace) -> bool:
    """Whether the space's members are pictures: three axes, height, width and channels."""
    return isinstance(space, Image) or (isinstance(space, Box) and len(space.shape) == 3)


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
        return jax.nn.one_hot(x, space.n)
    if isinstance(space, MultiDiscrete):
        return jnp.concatenate([jax.nn.one_hot(x[i], n) for i, n in enumerate(space.nvec)])
    return x.astype(jnp.float32).ravel()


def pixels(x: Array) -> Float[Array, " H W C"]:
    """An image as float32; integers 0 .. 255 become 0 .. 1."""
    return x.astype(jnp.float32) / 255.0 if jnp.issubdtype(x.dtype, jnp.integer) else x


def join(space: Space, cnns: Sequence[CNN | None], obs: PyTree) -> Float[Array, " n"]:
    """What the dense layers get: every array of the observation as a vector, end to end."""
    leaves = jax.tree.leaves(view(obs))
    vectors = [
        flat_vector(leaf_space, x) if cnn is None else cnn(pixels(x))
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
            CNN(keys[i], leaf.shape, conv_layers or default_cnn(leaf)) if is_image(leaf) else None
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


def default_cnn(space: ArraySpace) -> tuple[tuple[int, int, int], ...]:
    """The convolutions that suit an image of this size."""
    return NATURE_CNN if min(space.shape[:2]) >= NATURE_CNN_SIDE else SMALL_CNN
