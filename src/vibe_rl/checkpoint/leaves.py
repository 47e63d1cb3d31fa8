"""The leaves of a tree as they are written: named by their path, typed keys as integers."""

import zlib
from typing import Any

import jax
import numpy as np

from vibe_rl.errors import ConfigError
from vibe_rl.types import PyTree, is_key

NUMBERS = (bool, int, float)
"""Of Python: they are written as arrays, and are numbers again where they are loaded."""


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """The leaves by their path in the tree, keys unwrapped.

    Raises:
        ConfigError: a leaf is neither an array nor a number, or there is none.
    """
    leaves = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}
    if not leaves:
        raise ConfigError("the tree of a checkpoint has no leaves: give arrays.")
    for name, leaf in leaves.items():
        if not isinstance(leaf, NUMBERS) and not _is_array(leaf):
            raise ConfigError(
                f"leaf {name} of a checkpoint is a {type(leaf).__name__}: give arrays and numbers "
                "alone, such as eqx.filter(tree, eqx.is_array)."
            )
    return {name: unwrap_key(leaf) for name, leaf in leaves.items()}


def _is_array(leaf: Any) -> bool:
    """Whether it is an array of numbers, or the shape of one."""
    dtype = getattr(leaf, "dtype", None)
    known = hasattr(leaf, "shape") and dtype is not None
    return known and getattr(dtype, "kind", "V") not in "OSUMm"  # a key's type has no kind


def unwrap_key(leaf: Any) -> Any:
    """The integers of a typed key, or their shape for the shape of one; numbers as arrays."""
    if isinstance(leaf, (np.generic, *NUMBERS)):
        return np.asarray(leaf)
    if not is_key(leaf):
        return leaf
    if not is_shape(leaf):
        return jax.random.key_data(leaf)
    data = jax.eval_shape(jax.random.key_data, leaf)
    return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=leaf.sharding)


def wrap_key(like: Any, leaf: Any) -> Any:
    """The inverse of `unwrap_key`: a typed key, or a number of Python's, where `like` is one."""
    if isinstance(like, NUMBERS) and not isinstance(like, np.generic):
        return type(like)(leaf)
    return jax.random.wrap_key_data(leaf, impl=_key_impl(like)) if is_key(like) else leaf


def is_shape(leaf: Any) -> bool:
    """Whether it is only the shape of an array."""
    return isinstance(leaf, jax.ShapeDtypeStruct)


def _key_impl(leaf: Any) -> Any:
    """The generator of a key, or of the shape of one."""
    found = []
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), leaf)
    return found[0]


class _Snapshot(np.ndarray):
    """An array that nothing changes while it is written, so that Orbax need not copy it."""

    def __deepcopy__(self, memo: dict[int, Any] | None) -> "_Snapshot":
        return self


def snapshot(leaf: Any, copy: bool) -> Any:
    """The leaf for Orbax; `copy` if a NumPy array may be changed before it is written."""
    if not isinstance(leaf, np.ndarray):
        return leaf  # JAX's arrays are never changed
    return (leaf.copy() if copy else leaf).view(_Snapshot)


def checksum_of_leaf(leaf: Any) -> int | None:
    """CRC-32 of an array's bytes in C order; None where other processes hold some of them."""
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        return None
    in_order = np.asarray(_on_host(leaf), order="C")
    return zlib.crc32(in_order.reshape(-1).view(np.uint8).data)


def _on_host(leaf: Any) -> np.ndarray:
    """The array in the host's memory; JAX keeps what is brought there, and Orbax writes that."""
    if not isinstance(leaf, jax.Array) or leaf.is_fully_replicated:
        return np.asarray(leaf)
    whole = np.empty(leaf.shape, leaf.dtype)
    for shard in leaf.addressable_shards:
        if shard.replica_id == 0:
            whole[shard.index] = np.asarray(shard.data)
    return whole
