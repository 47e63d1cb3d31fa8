"""Spaces as plain values that JSON can hold, and back: beside parameters they say what is seen."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.plain import plain
from vibe_rl.spaces import (
    ArraySpace,
    Board,
    Box,
    Dict,
    Discrete,
    Flat,
    Image,
    Masked,
    MultiBinary,
    MultiDiscrete,
    Space,
    Tokens,
)

FIELDS: dict[type[ArraySpace], tuple[str, ...]] = {
    Discrete: ("n",),
    MultiDiscrete: ("nvec",),
    MultiBinary: ("n",),
    Image: ("height", "width", "channels"),
}
"""What each class is made of, besides its type."""
BY_NAME = {kind.__name__: kind for kind in FIELDS}


def to_plain(space: Space) -> dict[str, Any]:
    """The space as dicts, lists, strings and numbers; infinities are "inf" and "-inf"."""
    name = type(space).__name__
    if isinstance(space, Masked):
        return {"space": name, "view": to_plain(space.view), "n_actions": space.n_actions}
    if isinstance(space, Dict):
        return {"space": name, "spaces": {key: to_plain(part) for key, part in space.items}}
    if isinstance(space, Flat):
        return {"space": name, "parts": [[key, to_plain(part)] for key, part in space.items]}
    if isinstance(space, Box):
        low, high = map(_shortest, space.bounds)
        shape = list(space.shape)
        box = {"space": name, "low": low, "high": high, "shape": shape, "dtype": _dtype(space)}
        return box | _beyond_box(space)
    if isinstance(space, ArraySpace) and type(space) in FIELDS:
        made_of = {field: plain(getattr(space, field)) for field in FIELDS[type(space)]}
        return {"space": name, **made_of, "dtype": _dtype(space)}
    raise ConfigError(f"space {space} cannot be written down: use one of vibe_rl.spaces.")


def from_plain(record: Mapping[str, Any]) -> Space:
    """The space that `to_plain` wrote down.

    Raises:
        ConfigError: it is of a kind that does not exist.
    """
    name = record["space"]
    if name == "Masked":
        return Masked(from_plain(record["view"]), record["n_actions"])
    if name == "Dict":
        return Dict({key: from_plain(part) for key, part in record["spaces"].items()})
    if name == "Flat":
        return Flat({key: from_plain(part) for key, part in record["parts"]})  # type: ignore[misc]
    if name in ("Box", "Board", "Tokens"):
        return _box(record)
    if name not in BY_NAME:
        raise ConfigError(f"space {name!r} does not exist: export the policy anew.")
    made_of = (record[field] for field in FIELDS[BY_NAME[name]])
    values = (tuple(x) if isinstance(x, list) else x for x in made_of)
    return BY_NAME[name](*values, getattr(jnp, record["dtype"]))  # type: ignore[call-arg]


def _beyond_box(space: Box) -> dict[str, Any]:
    """What a kind of Box has besides its bounds."""
    if isinstance(space, Tokens):
        return {"agents": space.agents}
    return {"centre": plain(space.centre)} if isinstance(space, Board) else {}


def _box(record: Mapping[str, Any]) -> Box:
    """A Box, a Board or Tokens."""
    bounds = (np.array(record[end], np.float64) for end in ("low", "high"))
    shape = tuple(record["shape"])
    low, high = (x if x.ndim == 0 else x.reshape(shape) for x in bounds)
    made_of = low, high, shape, getattr(jnp, record["dtype"])
    if record["space"] == "Box":
        return Box(*made_of)
    if record["space"] == "Tokens":
        return Tokens(*made_of, agents=record["agents"])
    centre = record["centre"]
    return Board(*made_of, centre=None if centre is None else tuple(centre))


def _shortest(bounds: tuple[float, ...]) -> Any:
    """All of them, or the one that they all are."""
    return plain(bounds[0] if len(set(bounds)) == 1 else list(bounds))


def _dtype(space: ArraySpace) -> str:
    return np.dtype(space.dtype).name
