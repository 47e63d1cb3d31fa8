"""Encoders: from an observation of any space to one feature vector, an example at a time.

Which encoder an observation gets follows from its space: images pass through convolutions, divided
by their largest bound; numbers are flattened as they are, choices become one-hot vectors, and all
is joined before the dense layers. `describe` says it in words. `ENCODERS` has others, chosen by
name, for observations in which there is a board.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vibe_rl.errors import ConfigError, unknown
from vibe_rl.networks import boards
from vibe_rl.networks.layers import CNN, MLP, Layer, Linear
from vibe_rl.networks.parts import Part, arrays, parts, viewer
from vibe_rl.spaces import (
    ArraySpace,
    Board,
    Box,
    Dict,
    Discrete,
    Image,
    Masked,
    MultiDiscrete,
    Space,
)
from vibe_rl.types import Key, MaskedObs, PyTree

NATURE_CNN = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # channels, kernel, stride: Mnih et al. 2015
SMALL_CNN = ((16, 3, 1), (32, 3, 1))
NATURE_CNN_SIDE = 36  # pixels; smaller images get SMALL_CNN


GRAY_SIDE = 8
"""Pixels from which on a matrix of bytes is a gray picture; smaller ones are boards of numbers."""


def is_image(space: ArraySpace) -> bool:
    """Whether the space's members are pictures.

    Three axes are height, width and channels; four a stack of such pictures; a matrix of bytes is
    gray.
    """
    if isinstance(space, Image):
        return True
    gray = len(space.shape) == 2 and space.dtype == jnp.uint8 and min(space.shape) >= GRAY_SIDE
    return isinstance(space, Box) and (len(space.shape) in (3, 4) or gray)


def scale(space: ArraySpace) -> float:
    """What a picture is divided by: the largest of its bounds; 1 where it has none."""
    if not isinstance(space, Box):
        return 255.0
    bounds = np.abs([bound for bound in sum(space.bounds, ()) if np.isfinite(bound)])
    return float(bounds.max(initial=0.0)) or 1.0


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
        return jax.nn.one_hot(x, space.n, dtype=jnp.float32)
    if isinstance(space, MultiDiscrete):
        choices = [jax.nn.one_hot(x[i], n, dtype=jnp.float32) for i, n in enumerate(space.nvec)]
        return jnp.concatenate(choices)
    if is_image(space) and not isinstance(space, Board):
        return pixels(space, x).ravel()
    return x.astype(jnp.float32).ravel()


def pixels(space: ArraySpace, x: Array) -> Float[Array, " H W C"]:
    """A picture as float32, divided by its largest bound; a stack's pictures are more channels."""
    size = scale(space)
    x = x.astype(jnp.float32) if size == 1.0 else x.astype(jnp.float32) / size
    if x.ndim == 4:
        return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:3], -1)
    return x[..., None] if x.ndim == 2 else x


def picture_shape(space: ArraySpace) -> tuple[int, int, int]:
    """Height, width and channels of what the convolutions get."""
    example = jax.ShapeDtypeStruct(space.shape, space.dtype)
    return jax.eval_shape(partial(pixels, space), example).shape


Choice = Callable[[Key, Part, "Look"], Any]


class Look(NamedTuple):
    """What the networks over pictures and boards are made of."""

    cell_width: int  # features of a cell after the layer that the cells share
    activation: str
    conv_layers: Sequence[tuple[int, int, int]] | None


def as_picture(key: Key, part: Part, look: Look) -> CNN | None:
    """Convolutions if it is a picture."""
    return make_cnn(key, part.space, look.conv_layers) if is_image(part.space) else None


def flattened(key: Key, part: Part, look: Look) -> None:
    """Nothing, whatever it is."""


def as_board(network: Callable[..., Any]) -> Choice:
    """`network` over a board, of its width and activation; pictures are still convolved."""

    def choose(key: Key, part: Part, look: Look) -> Any:
        if isinstance(part.space, Board):
            return network(key, part.space, look.cell_width, look.activation)
        return as_picture(key, part, look)

    return choose


ENCODERS: dict[str, Choice] = {
    "auto": as_picture,
    "mlp": flattened,
    "cells": as_board(boards.Cells),
    "rolled": as_board(boards.Rolled),
    "centred": as_board(boards.Centred),
    "conv": as_board(boards.Convolutions),
    "attention": as_board(boards.Attention),
}
"""What looks at each array of an observation before all is joined; None flattens it."""
OF_ANY_SPACE = ("auto", "mlp")
"""Those that need no board, and see a `Flat` as the vector it is."""


def parts_for(name: str, space: Space) -> list[Part]:
    """The arrays that an encoder looks at; ConfigError if it cannot serve the space."""
    if name not in ENCODERS:
        raise unknown("encoder", name, ENCODERS)
    whole = array_spaces(space)  # refuses what has no encoder
    if name in OF_ANY_SPACE:
        return [Part(leaf) for leaf in whole]
    found = parts(space)
    if not any(isinstance(part.space, Board) for part in found):
        raise ConfigError(f"encoder {name} needs a Board, and {space} has none: use auto or mlp.")
    return found


def join(space: Space, name: str, networks: Sequence[Any], obs: PyTree) -> Float[Array, " n"]:
    """What the dense layers get: every array of the observation as a vector, end to end."""
    seen = parts_for(name, space)
    found = jax.tree.leaves(view(obs)) if name in OF_ANY_SPACE else arrays(space, obs)
    vectors = [
        part_vector(part, network, x, found)
        for part, network, x in zip(seen, networks, found, strict=True)
    ]
    return vectors[0] if len(vectors) == 1 else jnp.concatenate(vectors)


def part_vector(part: Part, network: Any, x: Array, found: list[Array]) -> Float[Array, " n"]:
    """One array as a vector; `found` are all of them."""
    if network is None:
        return flat_vector(part.space, x)
    if isinstance(network, CNN):
        return network(pixels(part.space, x))
    return network(x.astype(jnp.float32), viewer(part, found))


class Encoder(eqx.Module):
    """An observation of `space` -> features: a network for each picture or board, then an MLP."""

    cnns: tuple[Any, ...]  # the network over each array of the observation; None for vectors
    mlp: MLP
    space: Space = eqx.field(static=True)
    n_in: int = eqx.field(static=True)  # width of the dense layers' input
    layer: Layer = eqx.field(static=True)
    name: str = eqx.field(static=True)  # in ENCODERS

    def __init__(
        self,
        key: Key,
        space: Space,
        hidden_sizes: Sequence[int],
        activation: str = "tanh",
        conv_layers: Sequence[tuple[int, int, int]] | None = None,
        layer: Layer = Linear,
        look: tuple[str, int] = ("auto", 16),
    ):
        name, cell_width = look
        seen = parts_for(name, space)
        how = Look(cell_width, activation, conv_layers)
        plain = not any(is_image(part.space) for part in seen)
        keys = (key,) * (len(seen) + 1) if plain else jax.random.split(key, len(seen) + 1)
        self.space, self.name, self.layer = space, name, layer
        self.cnns = tuple(ENCODERS[name](keys[i], part, how) for i, part in enumerate(seen))
        example = jax.eval_shape(space.sample, jax.random.key(0))
        self.n_in = jax.eval_shape(partial(join, space, name, self.cnns), example).shape[0]
        self.mlp = MLP(keys[-1], self.n_in, hidden_sizes, activation, layer)

    def _join(self, obs: PyTree) -> Float[Array, " n"]:
        return join(self.space, self.name, self.cnns, obs)

    @property
    def width(self) -> int:
        """How many features `__call__` returns."""
        return self.n_in if not self.mlp.layers else self.mlp.layers[-1].bias.shape[0]

    def __call__(self, obs: PyTree) -> Float[Array, " out"]:
        """The features of one observation."""
        return self.mlp(self._join(obs))

    def batch(self, obs: PyTree) -> Float[Array, " out B"]:
        """The features of observations `[B, ...]`, a column each: for layers that are `Linear`.

        Equal to `vmap`, but faster.
        """
        return self.mlp(jax.vmap(self._join, out_axes=-1)(obs))


def encoder_of(
    config: Any, key: Key, space: Space, hidden_sizes: Sequence[int], layer: Layer = Linear
) -> Encoder:
    """The encoder of `space` that an algorithm's config describes."""
    look = config.encoder, config.cell_width
    return Encoder(key, space, hidden_sizes, config.activation, config.conv_layers, layer, look)


def make_cnn(
    key: Key, space: ArraySpace, layers: Sequence[tuple[int, int, int]] | None = None
) -> CNN:
    """The convolutions over one picture; those that suit its size unless `layers` are given."""
    shape = picture_shape(space)
    return CNN(key, shape, layers or default_cnn(shape))


def default_cnn(shape: tuple[int, int, int]) -> tuple[tuple[int, int, int], ...]:
    """The convolutions that suit an image of this size."""
    return NATURE_CNN if min(shape[:2]) >= NATURE_CNN_SIDE else SMALL_CNN


def describe(space: Space) -> list[str]:
    """What the networks see of each array of an observation, in words."""
    return [_seen(leaf) for leaf in array_spaces(space)]


def _seen(space: ArraySpace) -> str:
    if is_image(space):
        height, width, channels = picture_shape(space)
        size = scale(space)
        by = "as it is" if size == 1.0 else f"divided by {size:g}"
        return f"a picture of {height} x {width} pixels, {channels} channels, {by}"
    n = jax.eval_shape(partial(flat_vector, space), jax.ShapeDtypeStruct(space.shape, space.dtype))
    kind = "numbers as they are" if isinstance(space, Box) else "ones and zeros"
    return f"{n.shape[0]} {kind}"


LARGE = 100.0
"""Numbers of such a size are better scaled than learned from as they are."""


def surprises(space: Space) -> list[str]:
    """What networks will see of an observation, where that may not be what was meant."""
    return [
        f"the networks see {_seen(leaf)}: {remedy}."
        for leaf in array_spaces(space)
        if (remedy := _remedy(leaf))
    ]


def _remedy(space: ArraySpace) -> str:
    if not isinstance(space, Box):
        return ""
    finite = np.isfinite(sum(space.bounds, ()))
    if is_image(space):
        if len(space.shape) != 3:
            return "flatten it if it is no picture"
        return "" if finite.any() else "give it bounds, by which it is then divided"
    too_large = finite.any() and scale(space) > LARGE
    return f"scale them, they go up to {scale(space):g}, or set normalize_obs" if too_large else ""
