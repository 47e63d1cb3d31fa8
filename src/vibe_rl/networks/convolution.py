"""Convolutions that a compiled loop does not slow down tenfold.

On a CPU, XLA's own take ten times as long in the body of a loop (jax-ml/jax issue 12868), where all
training happens. There a convolution is a matrix product of the patches that the kernel sees. Both
ways have the same parameters, and the same results up to rounding.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

LAYOUT = ("NHWC", "HWIO", "NHWC")


def convolve(
    image: Float[Array, " H W C"], kernel: Float[Array, " k k C F"], stride: int, padding: str
) -> Float[Array, " h w F"]:
    """The features that a kernel finds in an image, by what the platform at hand does best.

    Args:
        image: with its channels last.
        kernel: of one number for each row, column and channel of a patch, and each feature.
        stride: pixels from one patch to the next.
        padding: VALID: none; SAME: zeros, so that there is a patch for every `stride` pixels.
    """
    beside = jax.lax.padtype_to_pads(image.shape[:2], kernel.shape[:2], (stride, stride), padding)

    def by_product(image: Array, kernel: Array) -> Array:
        seen = patches(jnp.pad(image, (*beside, (0, 0))), kernel.shape[0], stride)
        rows, columns, size = seen.shape
        found = seen.reshape(rows * columns, size) @ kernel.reshape(size, -1)
        return found.reshape(rows, columns, -1)

    def by_xla(image: Array, kernel: Array) -> Array:
        return jax.lax.conv_general_dilated(
            image[None], kernel, (stride, stride), beside, dimension_numbers=LAYOUT
        )[0]

    return jax.lax.platform_dependent(image, kernel, cpu=by_product, default=by_xla)


def patches(image: Float[Array, " H W C"], side: int, stride: int) -> Float[Array, " h w size"]:
    """The patches of `side * side * C` numbers, row after row, `stride` pixels apart."""
    height, width, channels = image.shape
    last = [(length - side) // stride * stride + 1 for length in (height, width)]
    corners = [(i, j) for i in range(side) for j in range(side)]
    ends = [(i + last[0], j + last[1], channels) for i, j in corners]
    steps = (stride, stride, 1)
    cut = [
        jax.lax.slice(image, (*corner, 0), end, steps)
        for corner, end in zip(corners, ends, strict=True)
    ]
    return jnp.concatenate(cut, -1)
