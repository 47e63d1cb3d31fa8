"""Trees for programs that Python calls at every step: taken apart once, not at every call.

JAX takes the arguments of a compiled call apart and builds its result anew, and each network, layer
or description in them costs some microseconds of Python; of what is packed it sees a tuple.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import numpy as np

from vibe_rl.types import AnyArray, PyTree


class Structure:
    """That of a tree; equal only to itself, so that a call compares it in no time."""

    def __init__(self, treedef: Any):
        self.treedef = treedef


structure_of = cache(Structure)
"""The one structure of a treedef."""


@partial(jax.tree_util.register_dataclass, data_fields=["leaves"], meta_fields=["structure"])
@dataclass(frozen=True)
class Packed:
    """A tree's leaves and its structure."""

    leaves: tuple[AnyArray, ...]
    structure: Structure

    @property
    def tree(self) -> PyTree:
        """The tree."""
        return jax.tree.unflatten(self.structure.treedef, self.leaves)


def pack(tree: PyTree) -> Packed:
    """What `tree` gives back."""
    leaves, treedef = jax.tree.flatten(tree)
    return Packed(tuple(leaves), structure_of(treedef))


def fetch(tree: PyTree) -> PyTree:
    """The tree in the host's memory; quicker than `jax.device_get` where it has few leaves."""
    return jax.tree.map(np.asarray, tree)
