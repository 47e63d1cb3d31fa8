"""Convolutions: one function, whichever way the platform computes it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.networks.convolution import LAYOUT, convolve

CASES = [  # height, width, channels, side, stride, padding
    (10, 10, 4, 3, 1, "VALID"),
    (10, 8, 3, 3, 2, "VALID"),
    (6, 6, 2, 3, 1, "SAME"),
    (7, 10, 1, 4, 3, "SAME"),
    (20, 21, 2, 8, 4, "VALID"),
    (3, 3, 2, 3, 1, "VALID"),
]


def of_xla(image, kernel, stride, padding):
    """XLA's own convolution, by the name of its padding."""
    return jax.lax.conv_general_dilated(
        image[None], kernel, (stride, stride), padding, dimension_numbers=LAYOUT
    )[0]


def with_gradient(function, image, kernel, stride, padding):
    """What a convolution finds, and how its sum of squares changes with image and kernel."""

    def total(image, kernel):
        found = function(image, kernel, stride, padding)
        return (found**2).sum(), found

    slopes, found = jax.grad(total, (0, 1), has_aux=True)(image, kernel)
    return found, *slopes


@pytest.mark.parametrize("case", CASES)
def test_products_of_patches_are_the_convolution_and_have_its_gradient(case):
    height, width, channels, side, stride, padding = case
    rng = np.random.default_rng(height)
    image = jnp.asarray(rng.normal(size=(height, width, channels)).astype(np.float32))
    kernel = jnp.asarray(rng.normal(size=(side, side, channels, 5)).astype(np.float32))
    both = jax.jit(lambda *x: [with_gradient(f, *x, stride, padding) for f in (convolve, of_xla)])
    for ours, theirs in zip(*both(image, kernel), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_processor_is_given_products_and_an_accelerator_convolutions():
    image, kernel = jnp.zeros((2, 6, 6, 2)), jnp.zeros((3, 3, 2, 4))
    batched = jax.jit(jax.vmap(lambda x: convolve(x, kernel, 1, "SAME")))
    for platform, has in (("cpu", False), ("cuda", True)):
        text = batched.trace(image).lower(lowering_platforms=(platform,)).as_text()
        assert ("stablehlo.convolution" in text) == has
        assert ("stablehlo.dot_general" in text) != has
