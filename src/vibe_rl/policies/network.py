"""A policy as a list of operations: what every format is written from."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.errors import ConfigError
from vibe_rl.networks.actor_critic import choices, unit_bounds
from vibe_rl.networks.encoder import OF_ANY_SPACE, array_spaces, parts_for
from vibe_rl.networks.layers import CNN, MLP, Linear, RowLinear
from vibe_rl.networks.vectors import is_image, picture_shape, scale
from vibe_rl.ops.normalization import RunningStatistics
from vibe_rl.policies.boards import board_vector
from vibe_rl.policies.operations import PolicyNetwork, convolutions
from vibe_rl.policies.parts import Parts, Streams, kind_of
from vibe_rl.spaces import (
    ArraySpace,
    Board,
    Box,
    Dict,
    Discrete,
    Flat,
    Masked,
    MultiDiscrete,
    Space,
)
from vibe_rl.types import PyTree

CLIP = 10.0
"""Standard deviations at which observations are cut, as in `ops.normalization.normalize`."""
EPSILON = np.float32(1e-8)


def network_of(algorithm: Algorithm, state: PyTree) -> PolicyNetwork:
    """The greedy policy of an algorithm's state; ConfigError if it cannot be written down."""
    kind = kind_of(algorithm)
    parts, space = kind.parts(algorithm, state), algorithm.action_space
    network = PolicyNetwork()
    features, legal = encode(network, parts, algorithm.obs_space)
    dtype = greedy_dtype(algorithm, state)
    if isinstance(space, Box):
        add_numbers(network, parts, features, space, dtype)
        return network
    out = head(network, parts, features)
    out = network.add("mask", out, legal) if legal else out
    counts = choices(space)
    chosen = network.add("choose", out, counts=list(counts))
    chosen = network.add(
        "reshape", chosen, shape=[] if isinstance(space, Discrete) else [len(counts)]
    )
    network.outputs |= {"action": network.add("cast", chosen, dtype=dtype), kind.choice: out}
    return network


def greedy_dtype(algorithm: Algorithm, state: PyTree) -> str:
    """The type of the actions that the algorithm itself gives."""
    obs = jax.eval_shape(algorithm.obs_space.sample, jax.random.key(0))
    return np.dtype(jax.eval_shape(algorithm.greedy, state, obs).dtype).name


def encode(network: PolicyNetwork, parts: Parts, space: Space) -> tuple[str, str | None]:
    """The features of an observation, and the legal actions if it says which they are."""
    encoder = parts.encoder
    if encoder.over_sets is not None:
        raise ConfigError(f"encoder {encoder.name} cannot be exported: use another, such as mlp.")
    inputs = list(array_inputs(network, space))
    if encoder.name not in OF_ANY_SPACE:
        inputs = [part for name, leaf in inputs for part in taken_apart(network, leaf, name)]
    names = [name for name, _ in inputs]
    seen = zip(parts_for(encoder.name, space), encoder.cnns, names, strict=True)
    vectors = [
        vector(network, part.space, name, cnn, leaf_statistics(parts.statistics, i))
        if cnn is None or isinstance(cnn, CNN)
        else board_vector(network, part, cnn, name, names)
        for i, (part, cnn, name) in enumerate(seen)
    ]
    legal = None
    if isinstance(space, Masked):
        legal = network.input("obs.legal", ["legal"], [space.n_actions], bool)
    joined = vectors[0] if len(vectors) == 1 else network.add("concatenate", *vectors)
    return _layers(network, encoder.mlp, joined), legal


def array_inputs(network: PolicyNetwork, space: Space) -> Iterator[tuple[str, ArraySpace]]:
    """An input for each array of an observation, in the order of the encoder."""
    array_spaces(space)  # refuses what has no encoder
    for path, leaf in paths(space):
        name = ".".join(["obs", *path])
        while name in {spec["name"] for spec in network.inputs}:
            name += "_"
        yield network.input(name, path, leaf.shape, leaf.dtype), leaf


def paths(space: Space) -> Iterator[tuple[list[str], ArraySpace]]:
    """The single arrays of an observation, and the names on the way to them."""
    parts = {"view": space.view} if isinstance(space, Masked) else {}
    parts |= dict(space.items) if isinstance(space, Dict) else {}
    for name, part in parts.items():
        for path, leaf in paths(part):
            yield [name, *path], leaf
    if isinstance(space, ArraySpace):
        yield [], space


def taken_apart(network: PolicyNetwork, space: ArraySpace, x: str) -> list[tuple[str, ArraySpace]]:
    """The parts of a `Flat`; of any other array itself."""
    if not isinstance(space, Flat):
        return [(x, space)]
    parts, begin = [], 0
    for _, part in space.items:
        end = begin + math.prod(part.shape)
        name = network.add("part", x, begin=begin, end=end)
        parts.append((network.add("reshape", name, shape=list(part.shape)), part))
        begin = end
    return parts


def leaf_statistics(
    statistics: RunningStatistics | None, i: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and one over the standard deviation of the i-th array."""
    if statistics is None:
        return None
    mean, var = (jax.tree.leaves(tree)[i] for tree in (statistics.mean, statistics.var))
    return np.asarray(mean), np.asarray(1 / np.sqrt(np.asarray(var, np.float32) + EPSILON))


def vector(
    network: PolicyNetwork, space: ArraySpace, x: str, cnn: CNN | None, statistics: Any
) -> str:
    """One array of an observation as a vector of float32."""
    if isinstance(space, Discrete | MultiDiscrete):
        x = network.add("reshape", x, shape=[len(choices(space))])
        return network.add("one_hot", x, counts=list(choices(space)))
    if space.dtype != np.float32:
        x = network.add("cast", x, dtype="float32")
    if statistics is not None:
        mean, one_over_std = statistics
        x = network.add("standardise", x, params={"mean": mean, "scale": one_over_std}, clip=CLIP)
    if cnn is None:
        flat = len(space.shape) == 1
        if is_image(space) and not isinstance(space, Board):
            x = _pixels(network, space, x)
        return x if flat else network.add("reshape", x, shape=[math.prod(space.shape)])
    x = convolutions(network, _pixels(network, space, x), cnn)
    picture = jax.ShapeDtypeStruct(picture_shape(space), np.float32)
    return network.add("reshape", x, shape=list(jax.eval_shape(cnn, picture).shape))


def _pixels(network: PolicyNetwork, space: ArraySpace, x: str) -> str:
    """A picture `[H, W, C]`, divided by its largest bound; a stack's pictures are more channels."""
    assert is_image(space)
    if scale(space) != 1.0:
        x = network.add("divide", x, by=scale(space))
    if len(space.shape) == 4:
        x = network.add("transpose", x, axes=[2, 3, 1, 4])
    return network.add("reshape", x, shape=list(picture_shape(space)))


def _layers(network: PolicyNetwork, mlp: MLP, x: str) -> str:
    """The dense layers."""
    for layer in mlp.layers:
        x = network.add("activate", _dense(network, layer, x), kind=mlp.activation)
    return x


def _dense(network: PolicyNetwork, layer: Linear | RowLinear, x: str) -> str:
    """One affine map, its weight `[in, out]`."""
    weight = layer.weight if isinstance(layer, RowLinear) else np.asarray(layer.weight).T
    return network.add("dense", x, params={"weight": weight, "bias": layer.bias})


def head(network: PolicyNetwork, parts: Parts, features: str) -> str:
    """Logits, values or what else the last layer gives."""
    if not isinstance(parts.head, Streams):
        return _dense(network, parts.head, features)
    halves = [
        _dense(network, each.head, _layers(network, each.hidden, features)) for each in parts.head
    ]
    return network.add("join_streams", *halves)


def add_numbers(
    network: PolicyNetwork, parts: Parts, features: str, space: Box, dtype: str
) -> None:
    """Adds a continuous policy's outputs."""
    mean = head(network, parts, features)
    if isinstance(parts.log_std, tuple):
        n, (low, high) = space.shape[0], parts.log_std
        log_std = network.add("part", mean, begin=n, end=2 * n)
        log_std = network.add("clip", log_std, low=low, high=high)
        mean = network.add("part", mean, begin=0, end=n)
    else:
        log_std = network.add("repeat", mean, params={"value": parts.log_std})
    unit = network.add("activate", mean, kind="tanh") if parts.squash else mean
    names = ("low", "high", "unit_low", "unit_high")
    bounds = dict(zip(names, (space.low, space.high, *unit_bounds(space)), strict=True))
    action = network.add("rescale", unit, params=bounds, whole=space.whole)
    if space.whole and np.dtype(dtype).itemsize >= 4:  # a float can be larger than its largest
        action = network.add("clip", action, **float_limits(dtype))
    action = network.add("cast", action, dtype=dtype)
    network.outputs |= {"action": action, "mean": mean, "log_std": log_std}


def float_limits(dtype: str) -> dict[str, float]:
    """The least and the largest float32 that an integer type can hold."""
    least, most = (np.float32(end) for end in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    return {"low": float(least), "high": float(np.nextafter(most, np.float32(0)))}
