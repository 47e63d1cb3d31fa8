"""Two ways to smooth a curve, which keep its length, and the windows that means are taken over."""

import numpy as np
from jaxtyping import Float

from vibe_rl.errors import ConfigError


def smooth_window(y: Float[np.ndarray, " n"], radius: int) -> Float[np.ndarray, " n"]:
    """Means over `[i - radius, i + radius]`; the first and last values are repeated at the edges.

    Raises:
        ConfigError: `radius` is negative.
    """
    if radius < 0:
        raise ConfigError(f"smooth radius {radius} is negative: use 0 for no smoothing.")
    if radius == 0 or len(y) == 0:
        return y.copy()
    return windows(np.pad(y, radius, mode="edge"), 2 * radius + 1).mean(axis=-1)


def windows(y: Float[np.ndarray, " n"], width: int) -> Float[np.ndarray, "m {width}"]:
    """Every `width` values in a row, as a view: the last of the i-th is `y[i + width - 1]`.

    There are `n - width + 1`, or none where `y` is shorter.

    Raises:
        ConfigError: `width` is below one.
    """
    if width < 1:
        raise ConfigError(f"window of {width} values is empty: give 1 or more.")
    if len(y) < width:
        return np.empty((0, width))
    return np.lib.stride_tricks.sliding_window_view(y, width)


def smooth_ema(y: Float[np.ndarray, " n"], span: int) -> Float[np.ndarray, " n"]:
    """Exponential moving average with weight 2 / (span + 1) on the new value, from the first on.

    Raises:
        ConfigError: `span` is below one.
    """
    if span < 1:
        raise ConfigError(f"smooth span {span} is below one: use 1 for no smoothing.")
    alpha = 2 / (span + 1)
    smooth = y.copy()
    for i in range(1, len(y)):
        smooth[i] = alpha * y[i] + (1 - alpha) * smooth[i - 1]
    return smooth
