"""Two ways to smooth a curve; both keep its length."""

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
    width = 2 * radius + 1
    return np.convolve(np.pad(y, radius, mode="edge"), np.full(width, 1 / width), mode="valid")


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
