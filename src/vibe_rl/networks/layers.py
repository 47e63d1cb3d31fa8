"""Layers about one example, whose leaves are all arrays: plain `jax.jit`, `grad` and optax work."""

import math
from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vibe_rl.errors import ConfigError, unknown
from vibe_rl.networks.convolution import convolve
from vibe_rl.types import Key

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "elu": jax.nn.elu,
}
POLAR_STEPS = 48  # each brings singular values towards 1, the small ones by half as much again


def orthogonal(key: Key, rows: int, columns: int, scale: float = 1.0) -> Array:
    """A random matrix whose shorter side is orthonormal, times `scale` (Saxe et al. 2014).

    The polar factor of a Gaussian matrix, found by Newton-Schulz iteration: the same law as the
    usual QR decomposition, made of products alone, for batched QR can deadlock on a CPU.
    """
    tall = jax.random.normal(key, (max(rows, columns), min(rows, columns)), jnp.float32)
    matmul = partial(jnp.matmul, precision="highest")

    def improve(_, x):
        return 1.5 * x - 0.5 * matmul(x, matmul(x.T, x))

    x = jax.lax.fori_loop(0, POLAR_STEPS, improve, tall / jnp.sqrt(jnp.sum(tall**2)))
    return scale * (x if rows >= columns else x.T)


class Linear(eqx.Module):
    """W x + b, orthogonal at first, without bias; a batch of examples may be a matrix of columns.

    It and `RowLinear` compute the same numbers. Which is faster on a CPU depends on the widths: a
    gradient step of a Q-network of 120 and 84 units takes a tenth less time with columns, one of
    SAC's networks of 256 and 256 units a tenth less with rows, which is what `vmap` makes.
    """

    weight: Array  # [out, in]
    bias: Array  # [out]

    def __init__(self, key: Key, n_in: int, n_out: int, scale: float = math.sqrt(2.0)):
        self.weight = orthogonal(key, n_out, n_in, scale)
        self.bias = jnp.zeros(n_out, jnp.float32)

    def __call__(self, x: Float[Array, " in *B"]) -> Float[Array, " out *B"]:
        """The affine map of one example, or of examples in a last axis."""
        bias = self.bias.reshape(-1, *(1,) * (x.ndim - 1))
        return jnp.tensordot(self.weight, x, 1) + bias


def row_product(x: Float[Array, " rows in"], weight: Float[Array, " in out"]) -> Array:
    """x W for many rows of few features, the gradient of which is computed as d^T x.

    XLA would transpose that to x^T d, which is slow on its CPU; the barrier keeps it from that.
    """
    transposed = jax.lax.optimization_barrier(weight.T)
    return jax.lax.dot_general(x, transposed, (((1,), (1,)), ((), ())))


class RowLinear(eqx.Module):
    """x W + b, orthogonal at first, without bias."""

    weight: Array  # [in, out]
    bias: Array  # [out]

    def __init__(self, key: Key, n_in: int, n_out: int, scale: float = math.sqrt(2.0)):
        self.weight = orthogonal(key, n_in, n_out, scale)
        self.bias = jnp.zeros(n_out, jnp.float32)

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        """The affine map of one example."""
        return x @ self.weight + self.bias


class NormedLinear(RowLinear):
    """x W + b with mean 0 and variance 1 over its entries (Ba et al. 2016), then scaled and moved.

    In critics it keeps the values of actions that nobody has tried from growing without bound (Ball
    et al. 2023, arXiv:2302.02948).
    """

    gain: Array  # [out]
    shift: Array  # [out]

    def __init__(self, key: Key, n_in: int, n_out: int, scale: float = math.sqrt(2.0)):
        super().__init__(key, n_in, n_out, scale)
        self.gain, self.shift = jnp.ones(n_out, jnp.float32), jnp.zeros(n_out, jnp.float32)

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        """The normed map of one example."""
        x = super().__call__(x)
        return (x - x.mean()) * jax.lax.rsqrt(x.var() + 1e-6) * self.gain + self.shift


Layer = type[Linear] | type[RowLinear]


def without_norm(layer: Layer) -> Layer:
    """The layer of this kind that norms nothing: for the last one of a network."""
    return RowLinear if issubclass(layer, RowLinear) else layer


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
    padding: str = eqx.field(static=True)  # VALID: none; SAME: as large as before at a stride of 1

    def __init__(
        self,
        key: Key,
        shape: tuple[int, ...],
        layers: Sequence[tuple[int, int, int]],
        padding: str = "VALID",
    ):
        keys = jax.random.split(key, len(layers))
        kernels, channels = [], shape[-1]
        for layer_key, (n_out, side, _) in zip(keys, layers, strict=True):
            flat = orthogonal(layer_key, side * side * channels, n_out, math.sqrt(2.0))
            kernels.append(flat.reshape(side, side, channels, n_out))
            channels = n_out
        if padding == "VALID" and min(feature_map(shape, layers)) < 1:
            raise ConfigError(
                f"conv_layers {tuple(layers)} leave nothing of an image of {shape[0]} x {shape[1]} "
                "pixels: give smaller kernels or strides."
            )
        self.kernels = tuple(kernels)
        self.strides = tuple(stride for _, _, stride in layers)
        self.padding = padding

    def __call__(self, image: Float[Array, " H W C"]) -> Float[Array, " out"]:
        """The last feature map, flattened."""
        x = image
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            x = jax.nn.relu(convolve(x, kernel, stride, self.padding))
        return x.ravel()


def feature_map(shape: tuple[int, ...], layers: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Height and width of what convolutions without padding leave of an image."""
    height, width = shape[:2]
    for _, side, stride in layers:
        height, width = (height - side) // stride + 1, (width - side) // stride + 1
    return height, width
