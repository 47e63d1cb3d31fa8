"""Trees for programs that Python calls at every step: taken apart once, not at every call.

JAX takes the arguments of a compiled call apart and builds its result anew, and each network,
description or typed key in them costs some microseconds of Python. Of what is packed it sees a
tuple of plain arrays.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import numpy as np

from vibe_rl.types import AnyArray, PyTree, is_key


class Structure:
    """That of a tree; equal only to itself, so that a call compares it in no time."""

    def __init__(self, treedef: Any, impls: tuple[Any, ...]):
        self.treedef, self.impls = treedef, impls  # of each leaf's key, None where it is none


structure_of = cache(Structure)
"""The one structure of a treedef and its keys."""


@partial(jax.tree_util.register_dataclass, data_fields=["leaves"], meta_fields=["structure"])
@dataclass(frozen=True)
class Packed:
    """A tree's leaves, keys as their data, and its structure."""

    leaves: tuple[AnyArray, ...]
    structure: Structure

    @property
    def tree(self) -> PyTree:
        """The tree."""
        leaves = map(_unpacked, self.leaves, self.structure.impls)
        return jax.tree.unflatten(self.structure.treedef, leaves)


def pack(tree: PyTree) -> Packed:
    """What `tree` gives back."""
    leaves, treedef = jax.tree.flatten(tree)
    impls = tuple(jax.random.key_impl(leaf) if is_key(leaf) else None for leaf in leaves)
    packed = map(_packed, leaves, impls)
    return Packed(tuple(packed), structure_of(treedef, impls))


def _packed(leaf: AnyArray, impl: Any) -> AnyArray:
    return leaf if impl is None else jax.random.key_data(leaf)


def _unpacked(leaf: AnyArray, impl: Any) -> AnyArray:
    return leaf if impl is None else jax.random.wrap_key_data(leaf, impl=impl)


def fetch(tree: PyTree) -> PyTree:
    """The tree in the host's memory; quicker than `jax.device_get` where it has few leaves."""
    return jax.tree.map(np.asarray, tree)
