"""A run on several devices: where the parts of its state live, and the seed's device utilities."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array

from vibe_rl.algorithms.off_policy import sharded_over_envs
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.errors import ConfigError
from vibe_rl.runner.config import RunnerConfig, devices_of
from vibe_rl.runner.loop import HOW, TrainState, iterations, jit_start_with
from vibe_rl.sharding import (
    available_devices,
    data_sharding,
    fsdp_sharding,
    make_mesh,
    replicate_sharding,
)
from vibe_rl.types import PyTree


def mesh_of(config: RunnerConfig) -> Mesh | None:
    """The mesh that a run is spread over; None for one device.

    Raises:
        ConfigError: there are fewer devices, or fsdp_devices does not divide them.
    """
    n_devices = devices_of(config)
    if n_devices == 1 and config.fsdp_devices == 1:
        return None
    return make_mesh(config.fsdp_devices, n_devices)


def check_divides(env: AnyEnvironment, num_envs: int, mesh: Mesh | None) -> None:
    """Raises ConfigError if the envs cannot be split evenly over the devices."""
    if mesh is None:
        return
    if isinstance(env, HostEnvironment):
        raise ConfigError(
            f"num_devices {mesh.size}: environments in Python serve one device, leave it out."
        )
    if num_envs % mesh.size:
        raise ConfigError(
            f"num_envs {num_envs} does not divide over {mesh.size} devices: choose a multiple."
        )


def placement(state: TrainState, mesh: Mesh) -> TrainState:
    """A sharding for every leaf: worlds are split, the agent is whole on every device.

    Large parameters, and the optimiser's numbers for them, are split over the `fsdp` axis.
    """
    data, whole = data_sharding(mesh), replicate_sharding(mesh)
    agent = fsdp_sharding(state.agent_state, mesh)
    return TrainState(
        agent_state=sharded_over_envs(state.agent_state, agent, data),
        env_state=jax.tree.map(lambda _: data, state.env_state),
        obs=jax.tree.map(lambda _: data, state.obs),
        key=whole,  # type: ignore[arg-type]
    )


def placed_shapes(shapes: TrainState, mesh: Mesh) -> TrainState:
    """Shapes that say where each array is to be."""
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        shapes,
        placement(shapes, mesh),
    )


def start_on(placed: TrainState) -> Any:
    """`start` for states that are placed so: no device ever holds more than its part."""
    leaves, structure = jax.tree.flatten(placed)
    return _compiled_start(tuple(leaves), structure)


@lru_cache(maxsize=16)
def _compiled_start(leaves: tuple[NamedSharding, ...], structure: Any) -> Any:
    return jit_start_with(out_shardings=jax.tree.unflatten(structure, leaves))


def run_chunk_on(placed: TrainState, mesh: Mesh) -> Any:
    """`run_chunk` for states that are placed so; compiled once for each placement."""
    leaves, structure = jax.tree.flatten(placed)
    return _compiled(tuple(leaves), structure, mesh)


@lru_cache(maxsize=16)
def _compiled(leaves: tuple[NamedSharding, ...], structure: Any, mesh: Mesh) -> Any:
    placed = jax.tree.unflatten(structure, leaves)
    return jax.jit(iterations, out_shardings=(placed, replicate_sharding(mesh)), **HOW)


def on_one_device(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """The tree on this process's first device alone."""
    if mesh is None:
        return tree
    whole = jax.jit(lambda x: x, out_shardings=replicate_sharding(mesh))(tree)
    return jax.tree.map(lambda x: x.addressable_data(0), whole)


def get_num_devices(requested: int | None = None) -> int:
    """The number of devices to use: `requested`, or all; ConfigError if there are fewer."""
    return available_devices(requested)


def replicate(pytree: PyTree, n_devices: int) -> PyTree:
    """Every leaf with a leading axis of `n_devices` equal entries."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (n_devices, *jnp.shape(x))), pytree)


def unreplicate(pytree: PyTree) -> PyTree:
    """The first entry of every leaf: the inverse of `replicate`."""
    return jax.tree.map(lambda x: x[0], pytree)


def split_key_across_devices(rng: Array, n_devices: int) -> Array:
    """A key for each device, `[n_devices]`."""
    return jax.random.split(rng, n_devices)
