"""Layers that prepare pictures for a convolutional network, and a short memory for any observation.

They act on every picture of an observation (an `Image` space: uint8, height x width x channels),
also inside `Dict` and `MaskedObs`, and leave all else as it is. The usual order, from the inside:
resize, grayscale, stack, norm.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from vibe_rl.env.base import Step
from vibe_rl.env.wrappers import ObservationWrapper, Wrapper, select
from vibe_rl.errors import ConfigError, set_whole_numbers
from vibe_rl.spaces import Box, Discrete, Image, MultiDiscrete, Space, map_spaces, map_views
from vibe_rl.types import Key, PyTree


@dataclass(frozen=True)
class ImageWrapper(ObservationWrapper):
    """The base of layers that transform every picture of an observation."""

    @abstractmethod
    def image(self, image: UInt8[Array, "h w c"]) -> Array:
        """One picture, transformed."""

    @abstractmethod
    def image_space(self, space: Image) -> Space:
        """Where transformed pictures of `space` lie."""

    def observation(self, obs: PyTree, params: PyTree) -> PyTree:
        """Its pictures transformed."""
        return map_views(lambda x: self.image(x) if _is_image(x) else x, obs)

    def observation_space(self, params: PyTree) -> Space:
        """The pictures' new space; refuses observations without pictures."""
        return self._map_images(super().observation_space(params))

    def _map_images(self, space: Space) -> Space:
        found: list[Space] = []

        def image_space(part: Space) -> Space:
            if not isinstance(part, Image):
                return part
            found.append(part)
            return self.image_space(part)

        mapped = map_spaces(image_space, space)
        if not found:
            raise ConfigError(
                f"{type(self).__name__} needs pictures (an Image space), not {space}: "
                "put it inside ImageNormWrapper, around an environment that shows some."
            )
        return mapped


def _is_image(x: Array) -> bool:
    return x.ndim == 3 and x.dtype == jnp.uint8


@dataclass(frozen=True)
class ImageResizeWrapper(ImageWrapper):
    """Fits pictures into `height` x `width`: aspect ratio kept, centred, padded with black."""

    height: int
    width: int

    def __post_init__(self):
        set_whole_numbers(self, height=1, width=1)

    def image(self, image: UInt8[Array, "h w c"]) -> UInt8[Array, "height width c"]:
        """Resized bilinearly, smoothed where it shrinks."""
        h, w, channels = image.shape
        scale = min(self.height / h, self.width / w)
        new_h, new_w = max(1, round(h * scale)), max(1, round(w * scale))
        size = (new_h, new_w, channels)
        with jax.enable_x64(False):  # else the weights would be computed in 64 bits
            resized = jax.image.resize(image.astype(jnp.float32), size, "bilinear")
        pixels = jnp.clip(jnp.round(resized), 0, 255).astype(image.dtype)
        top, left = (self.height - new_h) // 2, (self.width - new_w) // 2
        bottom, right = self.height - new_h - top, self.width - new_w - left
        return jnp.pad(pixels, ((top, bottom), (left, right), (0, 0)))

    def image_space(self, space: Image) -> Image:
        """Pictures of the new size."""
        return replace(space, height=self.height, width=self.width)


@dataclass(frozen=True)
class GrayscaleWrapper(ImageWrapper):
    """Colour to one channel, by the luma weights of ITU-R BT.601 (1982)."""

    def image(self, image: UInt8[Array, "h w 3"]) -> UInt8[Array, "h w 1"]:
        """0.2989 red + 0.5870 green + 0.1140 blue."""
        weights = np.array([0.2989, 0.5870, 0.1140], np.float32)
        gray = jnp.einsum("hwc,c->hw", image.astype(jnp.float32), weights, precision="highest")
        return jnp.round(gray).astype(image.dtype)[..., None]

    def image_space(self, space: Image) -> Image:
        """The same size with one channel; refuses pictures that have no three."""
        if space.channels != 3:
            raise ConfigError(
                f"{space} has {space.channels} channels: give GrayscaleWrapper pictures of 3."
            )
        return replace(space, channels=1)


@dataclass(frozen=True)
class ImageNormWrapper(ImageWrapper):
    """Bytes 0 .. 255 to float32 -1 .. 1: `x / 127.5 - 1`."""

    def image(self, image: UInt8[Array, "h w c"]) -> Float[Array, "h w c"]:
        """Scaled to +-1, cut there because a fused multiply-add gives 1.0000001 for 255."""
        return jnp.minimum(image.astype(jnp.float32) / 127.5 - 1.0, 1.0)

    def image_space(self, space: Image) -> Box:
        """Real numbers between -1 and 1."""
        return Box(-1.0, 1.0, space.shape)


class FrameStackState(NamedTuple):
    """The state below and what the agent sees."""

    inner: PyTree
    frames: PyTree  # the stacked observation, oldest frame first


@dataclass(frozen=True)
class FrameStackWrapper(Wrapper):
    """Shows the last `n_frames` observations, oldest first; a reset repeats its one.

    Arrays of rank 3 (pictures) are joined along their last axis, as more channels, and matrices
    stacked there; others are stacked along a new first axis. Masks of legal actions are not
    stacked. Right inside and outside `AutoResetWrapper`: no frame of an episode is shown in the
    next one, and `info["final_obs"]` is the stack that ends with the true last observation.
    """

    n_frames: int

    def __post_init__(self):
        set_whole_numbers(self, n_frames=1)

    def inner_state(self, state: FrameStackState) -> PyTree:
        """Without the frames."""
        return state.inner

    def observation_space(self, params: PyTree) -> Space:
        """Every part of the observation, `n_frames` times."""
        return map_spaces(self._stacked_space, super().observation_space(params))

    def _stacked_space(self, space: Space) -> Space:
        if isinstance(space, Image):
            return replace(space, channels=space.channels * self.n_frames)
        if isinstance(space, Discrete):
            return MultiDiscrete((space.n,) * self.n_frames, space.dtype)
        if isinstance(space, Box):
            low, high = (_joined([bound] * self.n_frames, np) for bound in (space.low, space.high))
            return Box(low, high, dtype=space.dtype)
        raise ConfigError(
            f"FrameStackWrapper cannot stack {space}: it stacks Box, Discrete, Image."
        )

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, FrameStackState]:
        """A reset of `env`, its observation repeated."""
        obs, inner = super().reset(key, params)
        frames = self._repeat(obs)
        return frames, FrameStackState(inner, frames)

    def step(self, key: Key, state: FrameStackState, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, its observation the newest frame."""
        step = super().step(key, state.inner, action, params)
        frames, info = self._push(state.frames, step.obs), dict(step.info)
        if "final_obs" in info:  # below, an ended episode has made way for the next
            info["final_obs"] = self._push(state.frames, info["final_obs"])
            done = step.terminated | step.truncated
            frames = select(done, self._repeat(step.obs), frames)
        return step._replace(obs=frames, state=FrameStackState(step.state, frames), info=info)

    def _repeat(self, obs: PyTree) -> PyTree:
        return map_views(lambda new: _joined([new] * self.n_frames), obs)

    def _push(self, frames: PyTree, obs: PyTree) -> PyTree:
        return map_views(_push, obs, frames)


def _joined(arrays: list[Any], xp: Any = jnp) -> Any:
    """Pictures channel after channel, matrices as the channels of one, others on a new axis."""
    if arrays[0].ndim == 3:
        return xp.concatenate(arrays, -1)
    return xp.stack(arrays, -1 if arrays[0].ndim == 2 else 0)


def _push(new: Array, frames: Array) -> Array:
    """`frames` without the oldest, and `new`."""
    if new.ndim == 2:
        new = new[..., None]
    if new.ndim == 3:
        return jnp.concatenate([frames[..., new.shape[-1] :], new], -1)
    return jnp.concatenate([frames[1:], new[None]])
