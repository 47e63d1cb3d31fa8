"""Where arrays live when there are several devices: meshes, shardings and placement.

A mesh has two axes. Batches are split over both; parameters are on every device, or, where they are
large, split over the second (fully sharded data parallelism: Rajbhandari et al. 2020,
arXiv:1910.02054). XLA adds the communication that this asks for.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vibe_rl.errors import ConfigError, whole_number
from vibe_rl.types import PyTree

LARGE = 4.0
"""MiB from which on a matrix is split."""
BATCH_AXIS, FSDP_AXIS = "batch", "fsdp"
DATA_AXIS = (BATCH_AXIS, FSDP_AXIS)


def make_mesh(num_fsdp_devices: int = 1, num_devices: int | None = None) -> Mesh:
    """Devices in two axes: `(batch, fsdp)`.

    Args:
        num_fsdp_devices: the size of the second axis; must divide the number of devices.
        num_devices: the first so many of all devices; None takes all.

    Raises:
        ConfigError: there are fewer, or they do not divide.
    """
    n_devices = available_devices(num_devices)
    if num_fsdp_devices < 1 or n_devices % num_fsdp_devices:
        raise ConfigError(
            f"fsdp_devices {num_fsdp_devices} does not divide the {n_devices} devices: choose a "
            "divisor."
        )
    devices = np.array(jax.devices()[:n_devices])
    return Mesh(devices.reshape(-1, num_fsdp_devices), DATA_AXIS)


def available_devices(requested: int | None = None) -> int:
    """The number of devices requested, or of all there are.

    Raises:
        ConfigError: there are fewer.
    """
    n_devices = jax.device_count()
    if requested is None:
        return n_devices
    if not 1 <= requested <= n_devices:
        hint = ""
        if jax.default_backend() == "cpu":
            hint = f", or set JAX_NUM_CPU_DEVICES={requested} to pretend more on a CPU"
        raise ConfigError(
            f"num_devices {requested}, and there are {n_devices}: give 1 to {n_devices}{hint}."
        )
    return requested


@contextmanager
def set_mesh(num_fsdp_devices: int | Mesh = 1, num_devices: int | None = None) -> Iterator[Mesh]:
    """Makes a mesh the one that bare partition specs are about, and yields it.

    Args:
        num_fsdp_devices: see `make_mesh`; or a mesh.
        num_devices: see `make_mesh`.
    """
    given = isinstance(num_fsdp_devices, Mesh)
    mesh = num_fsdp_devices if given else make_mesh(num_fsdp_devices, num_devices)
    with jax.set_mesh(mesh):
        yield mesh


def leave_mesh() -> AbstractContextManager[Any]:
    """Leaves the mesh that `set_mesh` has set, if there is one, where all arrays are made."""
    if jax.sharding.get_abstract_mesh().empty:
        return nullcontext()
    return jax.set_mesh(Mesh(np.empty((), dtype=object), ()))


def data_sharding(mesh: Mesh) -> NamedSharding:
    """Of a batch: its leading axis over all devices."""
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def replicate_sharding(mesh: Mesh) -> NamedSharding:
    """Of what every device has a copy of."""
    return NamedSharding(mesh, PartitionSpec())


def fsdp_sharding(tree: PyTree, mesh: Mesh, *, min_size_mbytes: float = LARGE) -> PyTree:
    """A sharding for every leaf: large ones over the `fsdp` axis, all others on every device.

    Large is what has two axes or more and at least `min_size_mbytes` MiB; it is split along its
    longest axis that divides.
    """
    return jax.tree.map(partial(_split_if_large, mesh=mesh, least=min_size_mbytes), tree)


def is_large(leaf: Any, min_size_mbytes: float = LARGE) -> bool:
    """Whether it has two axes or more and at least so many MiB."""
    n_bytes = math.prod(leaf.shape) * leaf.dtype.itemsize
    return len(leaf.shape) > 1 and n_bytes >= min_size_mbytes * 2**20


def _split_if_large(leaf: Any, mesh: Mesh, least: float) -> NamedSharding:
    n_parts, shape = mesh.shape[FSDP_AXIS], leaf.shape
    axes = [axis for axis, size in enumerate(shape) if size % n_parts == 0]
    if n_parts == 1 or not axes or not is_large(leaf, least):
        return replicate_sharding(mesh)
    longest = max(axes, key=lambda axis: shape[axis])
    return NamedSharding(mesh, PartitionSpec(*[None] * longest, FSDP_AXIS))


def activation_sharding_constraint(x: PyTree, mesh: Mesh) -> PyTree:
    """`x`, inside `jit`, with its leading axis over all devices."""
    return jax.lax.with_sharding_constraint(x, data_sharding(mesh))


def shard_pytree(pytree: PyTree, mesh: Mesh) -> PyTree:
    """Every leaf with its leading axis split over all devices.

    Raises:
        ConfigError: a leading axis does not divide.
    """
    n_devices = mesh.size
    for path, leaf in jax.tree.leaves_with_path(pytree):
        if not leaf.shape or leaf.shape[0] % n_devices:
            raise ConfigError(
                f"leaf {jax.tree_util.keystr(path)} of shape {leaf.shape} does not divide over "
                f"{n_devices} devices: give a leading axis that does."
            )
    return jax.device_put(pytree, data_sharding(mesh))


def replicate_on_mesh(pytree: PyTree, mesh: Mesh) -> PyTree:
    """Every leaf whole on every device."""
    return jax.device_put(pytree, replicate_sharding(mesh))


def replicate(pytree: PyTree, n_devices: int) -> PyTree:
    """Every leaf with a leading axis of `n_devices` equal entries, one on each device.

    Where there are fewer devices, all entries are where JAX puts what it computes.
    """
    n_devices = whole_number("n_devices", n_devices, 1)
    if n_devices > jax.device_count():
        return _stack(pytree, n_devices)
    mesh = make_mesh(num_devices=n_devices)
    program = jax.jit(_stack, static_argnums=1, out_shardings=data_sharding(mesh))
    return program(replicate_on_mesh(pytree, mesh), n_devices)


def _stack(pytree: PyTree, n: int) -> PyTree:
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *jnp.shape(x))), pytree)


def unreplicate(pytree: PyTree) -> PyTree:
    """The first entry of every leaf: the inverse of `replicate`.

    Raises:
        ConfigError: a leaf has no leading axis.
    """
    for path, leaf in jax.tree.leaves_with_path(pytree):
        if not jnp.shape(leaf):
            raise ConfigError(
                f"leaf {jax.tree_util.keystr(path)} has no leading axis of devices: it is not "
                "replicated, take it as it is."
            )
    return jax.tree.map(lambda x: x[0], pytree)


def wait_for(first: PyTree, then: PyTree) -> PyTree:
    """`then`, unchanged, which nothing can read before the numbers `first` are computed.

    On a CPU, XLA starts a loop and then what comes next in the program, unless that reads what the
    loop computes. If both communicate, some devices may wait for the others in the loop and some
    behind it, for ever. No operation says "later" and is kept, so this compares numbers and chooses
    by what is always true.
    """
    number = sum(jnp.sum(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(first))
    computed = (number == number) | (number != number)  # noqa: PLR0124 - true of NaN as well
    return jax.tree.map(lambda x: jnp.where(computed, x, jnp.zeros_like(x)), then)
