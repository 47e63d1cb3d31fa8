"""Pictures of environments, from their states alone.

An environment that can be seen has a method `draw(state, params)` about one state, which returns
uint8 `[height, width, 3]`, or `draw_cells(state, params)`, which returns rows of coloured text (see
`vibe_rl.env.pictures.cells`), or both. They run on the host. Layers pass them on.
"""

from typing import Any

import numpy as np
from jaxtyping import UInt8

from vibe_rl.env.pictures.cells import Cells, Picture, cells, to_image
from vibe_rl.env.wrappers import Wrapper, layers
from vibe_rl.errors import ConfigError
from vibe_rl.types import PyTree


def _has(env: Any, method: str) -> bool:
    """Whether an environment, or what it wraps, has a method of its own of this name."""
    passed_on = getattr(Wrapper, method)
    return any(getattr(type(layer), method, passed_on) is not passed_on for layer in layers(env))


def can_draw(env: Any) -> bool:
    """Whether an environment, or what it wraps, has a method `draw` or `draw_cells`."""
    return _has(env, "draw") or _has(env, "draw_cells")


def check_draws(env: Any) -> None:
    """Raises ConfigError if an environment cannot be drawn."""
    if not can_draw(env):
        *_, inner = layers(env)
        raise ConfigError(
            f"{type(inner).__name__} has no picture: give its class a method draw(state, params) "
            "that returns uint8 [height, width, 3]."
        )


def draw(env: Any, state: PyTree, params: PyTree) -> UInt8[np.ndarray, "h w 3"]:
    """An image of a state of `env`, through all its layers; of its cells if it draws no other.

    Args:
        env: wrapped or not.
        state: one of its states, on the host or on the device.
        params: its constants.

    Raises:
        ConfigError: it has no picture, or what it returns is none.
    """
    check_draws(env)
    if not _has(env, "draw"):
        return to_image(drawn_cells(env, state, params))
    image = np.asarray(env.draw(state, params))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        *_, inner = layers(env)
        raise ConfigError(
            f"draw of {type(inner).__name__} returns {image.dtype}{list(image.shape)}: return "
            "uint8 [height, width, 3]."
        )
    return image


def drawn_cells(env: Any, state: PyTree, params: PyTree) -> Cells:
    """What `draw_cells` of an environment that has it returns."""
    return cells(env.draw_cells(state, params))


def picture(env: Any, state: PyTree, params: PyTree) -> Picture:
    """A state of `env` as it is best seen in a terminal: cells if it draws any, else an image.

    Raises:
        ConfigError: it has no picture, or what it returns is none.
    """
    drawer = drawn_cells if _has(env, "draw_cells") else draw
    return drawer(env, state, params)
