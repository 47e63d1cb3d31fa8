"""Encoders: from an observation of any space to one feature vector, an example at a time.

Which encoder an observation gets follows from its space: images pass through convolutions, divided
by their largest bound; numbers are flattened as they are, choices become one-hot vectors, and all
is joined before the dense layers; `in_words.describe` says it. `ENCODERS` has others, chosen by
name, for observations in which there is a board, or sets of things of which some may be missing:
`OF_TOKENS` look at all sets together, and what is no set joins what they make of them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vibe_rl.errors import ConfigError, unknown
from vibe_rl.networks import boards
from vibe_rl.networks.embedded import Embedded
from vibe_rl.networks.latents import LatentQueries, Wayformer
from vibe_rl.networks.layers import CNN, MLP, Layer, Linear
from vibe_rl.networks.neighbours import Neighbours
from vibe_rl.networks.parts import Part, arrays, parts, viewer
from vibe_rl.networks.token_fields import TokenFields
from vibe_rl.networks.tokens import Sets, is_set
from vibe_rl.networks.vectors import flat_vector, is_image, picture_shape, pixels
from vibe_rl.spaces import ArraySpace, Board, Dict, Masked, Space, Tokens
from vibe_rl.types import Key, MaskedObs, PyTree

NATURE_CNN = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # channels, kernel, stride: Mnih et al. 2015
SMALL_CNN = ((16, 3, 1), (32, 3, 1))
TINY_CNN = ((16, 2, 1), (32, 2, 1))
NATURE_CNN_SIDE = 36  # pixels; smaller images get SMALL_CNN
SMALL_CNN_SIDE = 5  # pixels; smaller ones get TINY_CNN


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


Choice = Callable[[Key, Part, "_Look"], Any]


class _Look(NamedTuple):
    """What the networks over pictures and boards are made of."""

    cell_width: int  # features of a cell after the layer that the cells share
    activation: str
    conv_layers: Sequence[tuple[int, int, int]] | None


def as_picture(key: Key, part: Part, look: _Look) -> CNN | None:
    """Convolutions if it is a picture."""
    return make_cnn(key, part.space, look.conv_layers) if is_image(part.space) else None


def _flattened(key: Key, part: Part, look: _Look) -> None:
    """Nothing, whatever it is."""


def as_board(network: Callable[..., Any]) -> Choice:
    """`network` over a board, of its width and activation; pictures are still convolved."""

    def choose(key: Key, part: Part, look: _Look) -> Any:
        if isinstance(part.space, Board):
            return network(key, part.space, look.cell_width, look.activation)
        return as_picture(key, part, look)

    return choose


def beside_tokens(key: Key, part: Part, look: _Look) -> CNN | None:
    """Nothing of a set; convolutions of a picture."""
    return None if is_set(part.space) else as_picture(key, part, look)


OF_TOKENS: dict[str, Callable[[Key, Sets], Any]] = {
    "embedded": Embedded,
    "lq": partial(LatentQueries, together=True),
    "lqh": partial(LatentQueries, together=False),
    "mtr": Neighbours,
    "wayformer": Wayformer,
}
"""What looks at all sets of an observation at once."""
OF_TOKENS |= {"perceiver": OF_TOKENS["lq"], "mgail": OF_TOKENS["lqh"]}

ENCODERS: dict[str, Choice] = {
    "auto": as_picture,
    "mlp": _flattened,
    "none": _flattened,
    "cells": as_board(boards.Cells),
    "rolled": as_board(boards.Rolled),
    "centred": as_board(boards.Centred),
    "conv": as_board(boards.Convolutions),
    "attention": as_board(boards.Attention),
    **dict.fromkeys(OF_TOKENS, beside_tokens),
}
"""What looks at each array of an observation before all is joined; None flattens it."""
OF_ANY_SPACE = ("auto", "mlp", "none")
"""Those that need no board and no set, and see a `Flat` as the vector it is."""


def parts_for(name: str, space: Space) -> list[Part]:
    """The arrays that an encoder looks at; ConfigError if it cannot serve the space."""
    if name not in ENCODERS:
        raise unknown("encoder", name, ENCODERS)
    whole = array_spaces(space)  # refuses what has no encoder
    if name in OF_ANY_SPACE:
        return [Part(leaf) for leaf in whole]
    found, needed = parts(space), Tokens if name in OF_TOKENS else Board
    if not any(isinstance(part.space, needed) for part in found):
        what = "Tokens" if name in OF_TOKENS else "a Board"
        raise ConfigError(f"encoder {name} needs {what}, and {space} has none: use auto or mlp.")
    return found


def arrays_for(name: str, space: Space, obs: PyTree) -> list[Array]:
    """The arrays of an observation, in the order of `parts_for`."""
    return jax.tree.leaves(view(obs)) if name in OF_ANY_SPACE else arrays(space, obs)


def join_vectors(
    seen: Sequence[Part], networks: Sequence[Any], over_sets: Any, found: Sequence[Any]
) -> Float[Array, " n"]:
    """What the dense layers get: every array of the observation as a vector, end to end.

    Where a network looks over all sets, they have one vector, the last.
    """
    vectors = [
        part_vector(part, network, x, found)
        for part, network, x in zip(seen, networks, found, strict=True)
        if over_sets is None or not is_set(part.space)
    ]
    if over_sets is not None:
        pairs = zip(seen, found, strict=True)
        sets = [x.astype(jnp.float32) for part, x in pairs if is_set(part.space)]
        vectors.append(over_sets(sets))
    return vectors[0] if len(vectors) == 1 else jnp.concatenate(vectors)


def part_vector(part: Part, network: Any, x: Any, found: Sequence[Any]) -> Float[Array, " n"]:
    """One array as a vector; `found` are all of them, prepared where a network prepares."""
    if network is None:
        return flat_vector(part.space, x)
    if isinstance(network, CNN):
        return network(pixels(part.space, x))
    if hasattr(network, "prepare"):
        return network.of_prepared(x)
    return network(x.astype(jnp.float32), viewer(part, found))


class Encoder(eqx.Module):
    """An observation of `space` -> features: networks over what is no vector, then an MLP."""

    cnns: tuple[Any, ...]  # the network over each array of the observation; None for vectors
    over_sets: Any  # the network over all sets; None if the encoder is of no tokens
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
        fields: TokenFields = TokenFields(),  # noqa: B008 - frozen
    ):
        name, cell_width = look
        seen = parts_for(name, space)
        how = _Look(cell_width, activation, conv_layers)
        plain = not any(is_image(part.space) for part in seen)
        keys = (key,) * (len(seen) + 1) if plain else jax.random.split(key, len(seen) + 1)
        self.space, self.name, self.layer = space, name, layer
        self.cnns = tuple(ENCODERS[name](keys[i], part, how) for i, part in enumerate(seen))
        self.over_sets = None
        if name in OF_TOKENS:
            spaces = tuple(part.space for part in seen if is_set(part.space))
            sets_key = jax.random.fold_in(key, 1)
            self.over_sets = OF_TOKENS[name](sets_key, Sets(spaces, fields, activation))
        example = jax.eval_shape(space.sample, jax.random.key(0))
        vector = lambda obs: self._vector(obs)  # noqa: E731, PLW0108 - a method has all fields
        self.n_in = jax.eval_shape(vector, example).shape[0]
        self.mlp = MLP(keys[-1], self.n_in, hidden_sizes, activation, layer)

    @property
    def width(self) -> int:
        """How many features `__call__` returns."""
        return self.n_in if not self.mlp.layers else self.mlp.layers[-1].bias.shape[0]

    def __call__(self, obs: PyTree) -> Float[Array, " out"]:
        """The features of one observation."""
        return self.of_prepared(self.prepare(obs))

    def batch(self, obs: PyTree) -> Float[Array, " out B"]:
        """The features of observations `[B, ...]`, a column each: for layers that are `Linear`.

        Equal to `vmap`, but faster.
        """
        return self.mlp(jax.vmap(self._vector, out_axes=-1)(obs))

    def prepare(self, obs: PyTree) -> PyTree:
        """An observation after what takes time and needs no parameters; its mask is kept.

        Most networks have nothing of the kind, and it stays as it is.
        """
        if not self._prepares:
            return obs
        found = arrays_for(self.name, self.space, obs)
        made = [
            network.prepare(x, viewer(part, found)) if hasattr(network, "prepare") else x
            for part, network, x in zip(self._parts, self.cnns, found, strict=True)
        ]
        return obs._replace(view=made) if isinstance(obs, MaskedObs) else made

    def of_prepared(self, prepared: PyTree) -> Float[Array, " out"]:
        """The features of what `prepare` made of an observation."""
        return self.mlp(self._join(prepared))

    def _join(self, prepared: PyTree) -> Float[Array, " n"]:
        found = view(prepared)
        if not self._prepares:
            found = arrays_for(self.name, self.space, prepared)
        return join_vectors(self._parts, self.cnns, self.over_sets, found)

    def _vector(self, obs: PyTree) -> Float[Array, " n"]:
        return self._join(self.prepare(obs))

    @property
    def _parts(self) -> list[Part]:
        return parts_for(self.name, self.space)

    @property
    def _prepares(self) -> bool:
        return any(hasattr(network, "prepare") for network in self.cnns)


def encoder_of(
    config: Any, key: Key, space: Space, hidden_sizes: Sequence[int], layer: Layer = Linear
) -> Encoder:
    """The encoder of `space` that an algorithm's config describes."""
    look = config.encoder, config.cell_width
    how = config.activation, config.conv_layers, layer, look
    return Encoder(key, space, hidden_sizes, *how, config)


def make_cnn(
    key: Key, space: ArraySpace, layers: Sequence[tuple[int, int, int]] | None = None
) -> CNN:
    """The convolutions over one picture; those that suit its size unless `layers` are given."""
    shape = picture_shape(space)
    return CNN(key, shape, layers or default_cnn(shape))


def default_cnn(shape: tuple[int, int, int]) -> tuple[tuple[int, int, int], ...]:
    """The convolutions that suit an image of this size."""
    side = min(shape[:2])
    if side >= NATURE_CNN_SIDE:
        return NATURE_CNN
    return SMALL_CNN if side >= SMALL_CNN_SIDE else TINY_CNN
