"""What env_params take of the devices' memory: banks of scenarios can be large."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from vibe_rl.env.params.many import is_shared, params_axes
from vibe_rl.errors import ConfigError
from vibe_rl.runner.env_params import EnvParamsSchedule
from vibe_rl.system.memory import format_bytes, free_on_device
from vibe_rl.types import PyTree

WORTH_SAYING = 2**20
"""Bytes from which on they are mentioned."""


def _bytes_of(tree: PyTree) -> int:
    """The bytes of all leaves."""
    return sum(map(bytes_of_leaf, jax.tree.leaves(tree)))


def bytes_of_leaf(leaf: Any) -> int:
    """The bytes of an array, or of a number as JAX holds it."""
    return math.prod(jnp.shape(leaf)) * jnp.result_type(leaf).itemsize


def copies_of(env_params: PyTree) -> int:
    """How many blocks of env_params are there at once: a schedule's next one is made ahead."""
    return 2 if isinstance(env_params, EnvParamsSchedule) else 1


def describe_params(first_params: PyTree, copies: int) -> str:
    """What so many blocks take, with the arithmetic; nothing if it is not worth saying."""
    n_bytes = _bytes_of(first_params)
    if n_bytes < WORTH_SAYING:
        return ""
    size = format_bytes(n_bytes)
    several = f"{copies} x {size} = {format_bytes(copies * n_bytes)}"
    return f"env_params of {size if copies == 1 else several}"


def bytes_to_place(env: Any, first_params: PyTree, copies: int, n_devices: int) -> int:
    """What is still to be allocated of one memory: of a device, or of a host that pretends some."""
    cpu, needed = jax.default_backend() == "cpu", 0
    leaves = jax.tree.leaves(first_params)
    axes = jax.tree.leaves(params_axes(env, first_params), is_leaf=is_shared)
    for leaf, axis in zip(leaves, axes, strict=True):
        there = isinstance(leaf, jax.Array) and n_devices == 1
        whole = bytes_of_leaf(leaf) * (copies - there)
        if axis is None:
            needed += whole * (n_devices if cpu else 1)
        else:  # a part on each device
            needed += whole // (1 if cpu else n_devices)
    return needed


def check_params_memory(
    env: Any, first_params: PyTree, eval_params: PyTree, copies: int, n_devices: int
) -> None:
    """Raises ConfigError for env_params that do not fit into the memory of the devices."""
    known = {id(leaf) for leaf in jax.tree.leaves(first_params)}
    own = [x for x in jax.tree.leaves(eval_params) if id(x) not in known]
    of_eval = _bytes_of([x for x in own if not isinstance(x, jax.Array)])
    needed, free = bytes_to_place(env, first_params, copies, n_devices) + of_eval, free_on_device()
    if needed > free:
        raise ConfigError(
            f"env_params of training and evaluation take {format_bytes(needed)} more, and the "
            f"device has {format_bytes(free)} free: give fewer scenarios, or a schedule of smaller "
            "banks."
        )
