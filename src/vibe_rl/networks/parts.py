"""An observation's arrays one by one, taken apart as its space says."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int

from vibe_rl.spaces import ArraySpace, Board, Dict, Flat, Masked, Space
from vibe_rl.spaces.parts import check_centre
from vibe_rl.types import MaskedObs, PyTree


class Part(NamedTuple):
    """An array of an observation."""

    space: ArraySpace
    centre: tuple[int, int, int] | None = None
    """Of a board: which array says where the viewer stands, and its entries of row and column."""


def parts(space: Space) -> list[Part]:
    """The single arrays of an observation, those inside a `Flat` too."""
    if isinstance(space, Masked):
        return parts(space.view)
    if not isinstance(space, Dict | Flat):
        return [Part(space)]  # type: ignore[arg-type]
    found, begins = [], {}
    for name, part in space.items:
        begins[name] = len(found)
        found += [_moved(inner, len(found)) for inner in parts(part)]
    for name, part in space.items:
        if isinstance(part, Board) and part.centre is not None:
            beside, row, column = check_centre(part, dict(space.items))
            found[begins[name]] = Part(part, (begins[beside], row, column))
    return found


def _moved(part: Part, by: int) -> Part:
    if part.centre is None:
        return part
    beside, *entries = part.centre
    return part._replace(centre=(beside + by, *entries))


def arrays(space: Space, obs: PyTree) -> list[Array]:
    """The arrays of one observation, in the order of `parts`."""
    if isinstance(space, Masked):
        return arrays(space.view, obs.view if isinstance(obs, MaskedObs) else obs)
    if isinstance(space, Flat):
        obs = space.take_apart(obs)
    if isinstance(space, Dict | Flat):
        return [x for name, part in space.items for x in arrays(part, obs[name])]
    return [obs]


def viewer(part: Part, found: Sequence[Any]) -> Int[Array, " 2"] | None:
    """Row and column of a board's viewer, of arrays in the order of `parts`; None if unknown."""
    if part.centre is None:
        return None
    beside, *entries = part.centre
    last = [side - 1 for side in part.space.shape[:2]]
    places = [jnp.round(found[beside][i] * n) for i, n in zip(entries, last, strict=True)]
    return jnp.stack([jnp.clip(x, 0, n) for x, n in zip(places, last, strict=True)]).astype(
        jnp.int32
    )
