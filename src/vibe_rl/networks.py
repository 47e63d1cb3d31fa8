"""Networks about one example, whose leaves are all arrays: plain `jax.jit`, `grad` and optax work.

Which encoder an observation gets follows from its space: images pass through convolutions, numbers
are flattened, choices become one-hot vectors, and everything is joined before the dense layers.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vibe_rl.errors import ConfigError, unknown
from vibe_rl.spaces import ArraySpace, Box, Dict, Discrete, Image, Masked, MultiDiscrete, Space
from vibe_rl.types import Key, MaskedObs, PyTree

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "elu": jax.nn.elu,
}
NATURE_CNN = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # channels, kernel, stride: Mnih et al. 2015
SMALL_CNN = ((16, 3, 1), (32, 3, 1))
POLAR_STEPS = 48  # each brings singular values towards 1, the small ones by half as much again
NATURE_CNN_SIDE = 36  # pixels; smaller images get SMALL_CNN


def orthogonal(key: Key, rows: int, columns: int, scale: float = 1.0) -> Array:
    """A random matrix whose shorter side is orthonormal, times `scale` (Saxe et al. 2014).

    The polar factor of a Gaussian matrix, found by Newton-Schulz iteration: the same law as the
    usual QR decomposition, made of products alone, for batched QR can deadlock on a CPU.
    """
    tall = jax.random.normal(key, (max(rows, columns), min(rows, columns)))
    matmul = partial(jnp.matmul, precision="highest")

    def improve(_, x):
        return 1.5 * x - 0.5 * matmul(x, matmul(x.T, x))

    x = jax.lax.fori_loop(0, POLAR_STEPS, improve, tall / jnp.sqrt(jnp.sum(tall**2)))
    return scale * (x if rows >= columns else x.T)


class Linear(eqx.Module):
    """W x + b, orthogonal at first, without bias; a batch of examples is a matrix of columns.

    It and `RowLinear` compute the same numbers. Which is sooner on a CPU depends on the widths: a
    gradient step of a Q-network of 120 and 84 units takes a tenth less time with columns, one of
    SAC's networks of 256 and 256 units a tenth less with rows.
    """

    batch_axis: ClassVar[int] = -1
    weight: Array  # [out, in]
    bias: Array  # [out]

    def __init__(self, key: Key, n_in: int, n_out: int, scale: float = math.sqrt(2.0)):
        self.weight = orthogonal(key, n_out, n_in, scale)
        self.bias = jnp.zeros(n_out)

    def __call__(self, x: Float[Array, " in *B"]) -> Float[Array, " out *B"]:
        """The affine map of one example, or of examples in a last axis."""
        bias = self.bias.reshape(-1, *(1,) * (x.ndim - 1))
        return jnp.tensordot(self.weight, x, 1) + bias


class RowLinear(eqx.Module):
    """x W + b, orthogonal at first, without bias; a batch of examples is a matrix of rows."""

    batch_axis: ClassVar[int] = 0
    weight: Array  # [in, out]
    bias: Array  # [out]

    def __init__(self, key: Key, n_in: int, n_out: int, scale: float = math.sqrt(2.0)):
        self.weight = orthogonal(key, n_in, n_out, scale)
        self.bias = jnp.zeros(n_out)

    def __call__(self, x: Float[Array, "*B in"]) -> Float[Array, "*B out"]:
        """The affine map of one example, or of examples in a first axis."""
        return x @ self.weight + self.bias.reshape(*(1,) * (x.ndim - 1), -1)


Layer = type[Linear] | type[RowLinear]


class MLP(eqx.Module):
    """Dense layers, each followed by the activation."""

    layers: tuple[Linear | RowLinear, ...]
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        n_in: int,
        hidden_sizes: Sequence[int],
        activation: str = "tanh",
        layer: Layer = Linear,
    ):
        if activation not in ACTIVATIONS:
            raise unknown("activation", activation, ACTIVATIONS)
        if min(hidden_sizes, default=1) < 1:
            raise ConfigError(f"hidden_sizes {tuple(hidden_sizes)}: give widths of at least 1.")
        sizes = (n_in, *hidden_sizes)
        keys = jax.random.split(key, max(len(hidden_sizes), 1))
        self.layers = tuple(layer(keys[i], sizes[i], sizes[i + 1]) for i in range(len(sizes) - 1))
        self.activation = activation

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The last layer's activations, for one example or for a batch as the layers take it."""
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
        return x


class CNN(eqx.Module):
    """Convolutions over one image `[H, W, C]`, ReLU after each, flattened."""

    kernels: tuple[Array, ...]  # [k, k, in, out]
    strides: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, key: Key, shape: tuple[int, ...], layers: Sequence[tuple[int, int, int]]):
        keys = jax.random.split(key, len(layers))
        kernels, channels = [], shape[-1]
        for layer_key, (n_out, side, _) in zip(keys, layers, strict=True):
            flat = orthogonal(layer_key, side * side * channels, n_out, math.sqrt(2.0))
            kernels.append(flat.reshape(side, side, channels, n_out))
            channels = n_out
        if min(feature_map(shape, layers)) < 1:
            raise ConfigError(
                f"conv_layers {tuple(layers)} leave nothing of an image of {shape[0]} x {shape[1]} "
                "pixels: give smaller kernels or strides."
            )
        self.kernels = tuple(kernels)
        self.strides = tuple(stride for _, _, stride in layers)

    def __call__(self, image: Float[Array, " H W C"]) -> Float[Array, " out"]:
        """The last feature map, flattened."""
        x = image[None]
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            layout = ("NHWC", "HWIO", "NHWC")
            x = jax.lax.conv_general_dilated(
                x, kernel, (stride, stride), "VALID", dimension_numbers=layout
            )
            x = jax.nn.relu(x)
        return x.ravel()


def feature_map(shape: tuple[int, ...], layers: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Height and width of what convolutions without padding leave of an image."""
    height, width = shape[:2]
    for _, side, stride in layers:
        height, width = (height - side) // stride + 1, (width - side) // stride + 1
    return height, width


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

    def batch(self, obs: PyTree) -> Float[Array, "..."]:
        """The features of observations `[B, ...]`, a column or a row each, as the layers have it.

        The same numbers as those of `vmap`, sooner.
        """
        example = partial(join, self.space, self.cnns)
        return self.mlp(jax.vmap(example, out_axes=self.layer.batch_axis)(obs))


def default_cnn(space: ArraySpace) -> tuple[tuple[int, int, int], ...]:
    """The convolutions that suit an image of this size."""
    return NATURE_CNN if min(space.shape[:2]) >= NATURE_CNN_SIDE else SMALL_CNN
