"""Spaces made of others: dictionaries, dictionaries laid end to end, and masks of actions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.errors import ConfigError, check_kind, listed, short
from vibe_rl.spaces.arrays import Space, all_true, check_counts
from vibe_rl.types import Key, MaskedObs, PyTree


@dataclass(frozen=True, init=False)
class Dict(Space):
    """A dictionary of spaces; members are dictionaries with the same names."""

    items: tuple[tuple[str, Space], ...]

    def __init__(self, spaces: Mapping[str, Space]):
        check_kind("spaces of a Dict", spaces, dict, Mapping)
        if not spaces:
            raise ConfigError("Dict of no spaces: give one.")
        for name, space in spaces.items():
            check_kind("a name in a Dict", name, str)
            check_kind(f"{short(name)} of a Dict", space, Space)
        object.__setattr__(self, "items", tuple(sorted(spaces.items())))

    def __repr__(self) -> str:
        return f"Dict({listed([f'{name}: {space}' for name, space in self.items], 90)})"

    def sample(self, key: Key) -> dict[str, PyTree]:
        """A member of each space, drawn independently."""
        keys = jax.random.split(key, len(self.items))
        return {name: space.sample(keys[i]) for i, (name, space) in enumerate(self.items)}

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether `x` has these names and each value is a member of its space."""
        if not isinstance(x, dict) or sorted(x) != [name for name, _ in self.items]:
            return all_true(False)
        return all_true(jnp.stack([space.contains(x[name]) for name, space in self.items]))


@dataclass(frozen=True)
class Masked(Space):
    """Observations that carry the legal actions: a `view` and one bool per action.

    At least one is legal, but where the episode has ended and nothing follows.
    """

    view: Space
    n_actions: int

    def __post_init__(self):
        check_kind("view of Masked", self.view, Space)
        check_counts(self, (self.n_actions,))

    def sample(self, key: Key) -> MaskedObs:
        """A random view; every action legal."""
        return MaskedObs(self.view.sample(key), jnp.ones(self.n_actions, bool))

    def contains(self, x: Any) -> Bool[Array, ""]:
        """Whether the view is a member and at least one action is legal."""
        if not isinstance(x, MaskedObs) or np.shape(x.legal) != (self.n_actions,):
            return all_true(False)
        return self.view.contains(x.view) & jnp.any(x.legal) & all_true(x.legal.dtype == bool)


def map_spaces(function: Callable[[Space], Space], space: Space) -> Space:
    """`space` with every single space replaced, inside `Dict` and `Masked` too; masks are kept."""
    if isinstance(space, Masked):
        return replace(space, view=map_spaces(function, space.view))
    if isinstance(space, Dict):
        return Dict({name: map_spaces(function, part) for name, part in space.items})
    return function(space)


def map_views(function: Callable[..., Array], obs: PyTree, *rest: PyTree) -> PyTree:
    """`function` of every array of the view, `rest` alongside; masks of `obs` are kept."""

    def view(part: Any, *others: Any) -> Any:
        if not isinstance(part, MaskedObs):
            return function(part, *others)
        views = [other.view for other in others]
        return part._replace(view=map_views(function, part.view, *views))

    return jax.tree.map(view, obs, *rest, is_leaf=lambda part: isinstance(part, MaskedObs))
