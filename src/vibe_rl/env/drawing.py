"""Pictures of environments, from their states alone.

An environment that can be seen has a method `draw(state, params)` about one state. It runs on the
host and returns uint8 `[height, width, 3]`. Layers pass it on.
"""

from typing import Any

import numpy as np
from jaxtyping import UInt8

from vibe_rl.env.wrappers import Wrapper, layers
from vibe_rl.errors import ConfigError
from vibe_rl.types import PyTree


def can_draw(env: Any) -> bool:
    """Whether an environment, or what it wraps, has a method `draw`."""
    return any(
        getattr(type(layer), "draw", Wrapper.draw) is not Wrapper.draw for layer in layers(env)
    )


def check_draws(env: Any) -> None:
    """Raises ConfigError if an environment cannot be drawn."""
    if not can_draw(env):
        *_, inner = layers(env)
        raise ConfigError(
            f"{type(inner).__name__} has no picture: give its class a method draw(state, params) "
            "that returns uint8 [height, width, 3]."
        )


def draw(env: Any, state: PyTree, params: PyTree) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of a state of `env`, through all its layers.

    Args:
        env: wrapped or not.
        state: one of its states, on the host or on the device.
        params: its constants.

    Raises:
        ConfigError: it has no `draw`, or what that returns is no picture.
    """
    check_draws(env)
    image = np.asarray(env.draw(state, params))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        *_, inner = layers(env)
        raise ConfigError(
            f"draw of {type(inner).__name__} returns {image.dtype}{list(image.shape)}: return "
            "uint8 [height, width, 3]."
        )
    return image
