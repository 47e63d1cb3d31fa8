"""A policy as StableHLO, by `jax.export`: the algorithm's own program, its batch size free.

It takes the arrays of an observation, in the order of the description's inputs, and a sampled one a
key besides: the two words of `jax.random.key_data`. Example i of a batch draws by
`jax.random.fold_in(key, i)`. It runs on CPUs, GPUs and TPUs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.extras import require
from vibe_rl.spaces import Dict, Masked, Space
from vibe_rl.types import MaskedObs, PyTree, narrow

PLATFORMS = ("cpu", "cuda", "tpu")
PRECISION = "highest"
"""Of products: the other formats have no less, and GPUs would otherwise compute with TF32."""
Program = Callable[..., Array]
"""From the arrays of a batch, and a key if it samples, to its actions."""


def greedy_program(algorithm: Algorithm, state: PyTree) -> Program:
    """The best actions at a batch."""

    @jax.default_matmul_precision(PRECISION)
    def greedy(*leaves: Array) -> Array:
        obs = _observation(algorithm.obs_space, leaves)
        return jax.vmap(lambda one: algorithm.greedy(state, one))(obs)

    return greedy


def sampled_program(algorithm: Algorithm, state: PyTree) -> Program:
    """Random actions of the policy at a batch; the last argument is a key's two words."""

    @jax.default_matmul_precision(PRECISION)
    def sampled(*leaves_and_key: Array) -> Array:
        *leaves, words = leaves_and_key
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        numbers = jnp.arange(leaves[0].shape[0], dtype=jnp.uint32)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(numbers)
        obs = _observation(algorithm.obs_space, leaves)
        return jax.vmap(lambda one, k: algorithm.act(state, one, k)[0])(obs, keys)

    return sampled


def _observation(space: Space, leaves: Sequence[Array]) -> PyTree:
    """A batch of observations, from its arrays in the order of the description's inputs."""
    if isinstance(space, Masked):
        *view, legal = leaves
        return MaskedObs(_observation(space.view, view), legal)
    return jax.tree.unflatten(jax.tree.structure(skeleton(space)), leaves)


def skeleton(space: Space) -> PyTree:
    """Something in place of every array of a view."""
    return {name: skeleton(part) for name, part in space.items} if isinstance(space, Dict) else 0


def serialise(program: Program, inputs: Sequence[dict[str, Any]], samples: bool) -> bytes:
    """The program as bytes that `jax.export.deserialize` reads."""
    export = exporter()
    (batch,) = export.symbolic_shape("batch")
    shapes = [
        jax.ShapeDtypeStruct((batch, *spec["shape"]), np.dtype(spec["dtype"])) for spec in inputs
    ]
    shapes += [jax.ShapeDtypeStruct((2,), np.uint32)] * samples
    exported = export.export(jax.jit(program), platforms=PLATFORMS)(*shapes)
    return bytes(exported.serialize())


def deserialise(program: bytes) -> Program:
    """The program again; neither equinox nor the algorithm is needed."""
    return exporter().deserialize(bytearray(program)).call


def exporter() -> Any:
    """The module `jax.export`; ConfigError if what it writes with is not installed."""
    require("flatbuffers", "export", "StableHLO files")
    return require("jax.export", "export", "StableHLO files")


def on_one_device(state: PyTree) -> PyTree:
    """The state's arrays where JAX puts new ones, in 32 bits; keys stay as they are."""

    def moved(leaf: Any) -> Any:
        if jnp.issubdtype(getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key):
            return leaf
        return jnp.asarray(jax.device_get(leaf))

    return narrow(jax.tree.map(moved, state))
