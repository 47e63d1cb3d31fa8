"""Hyperparameters that change with the env steps taken."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from vibe_rl.types import Number


def interpolate(start: Number, end: Number, fraction: Number) -> Float[Array, ""]:
    """The value `fraction` of the way from `start` to `end`, clamped to the two."""
    return start + (end - start) * jnp.clip(fraction, 0.0, 1.0)


def scheduled(start: Number, end: Number | None, fraction: Number) -> Float[Array, ""]:
    """`interpolate` where there is an end, else `start`; float32."""
    return jnp.float32(start if end is None else interpolate(start, end, fraction))


def linear_schedule(start: float, end: float, steps: int) -> Callable[..., Float[Array, ""]]:
    """A function of the step that goes from `start` to `end` in `steps` steps, then stays.

    Fewer than one step counts as one.
    """
    return lambda step: interpolate(
        start, end, jnp.asarray(step, jnp.float32) / float(max(steps, 1))
    )
