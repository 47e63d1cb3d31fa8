"""What the driver misses of others, where a view asks for it: V-Max's (2025) augmentations.

Who is hidden behind somebody's box, who is overlooked by chance, and where others seem to be.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vibe_rl.env.driving.geometry import Boxes, obb_overlap
from vibe_rl.env.driving.scenarios.scene import Users
from vibe_rl.types import Key

FADES = np.float32(200.0)
"""Metres at which one is noticed with a chance of 1 / e."""


def hidden(x: Array, y: Array, boxes: Boxes, there: Bool[Array, " N"]) -> Bool[Array, " N"]:
    """Whose middle lies behind the box of another who is there, as seen from a place.

    Args:
        x: of the place, m.
        y: likewise.
        boxes: everybody's, `[N]`.
        there: who of them is there.
    """
    place = jnp.stack([x, y])
    dx, dy = boxes.xy[:, 0] - x, boxes.xy[:, 1] - y
    middle, far = (boxes.xy + place[None]) / 2, jnp.hypot(dx, dy)
    ways = Boxes(middle[:, None], jnp.arctan2(dy, dx)[:, None], far[:, None], 0 * far[:, None])
    crossed = obb_overlap(ways, Boxes(*(row[None] for row in boxes)))
    others = there[None] & ~np.eye(len(far), dtype=bool)
    return (crossed & others).any(1)


def noticed(key: Key, distance: Float[Array, " N"]) -> Bool[Array, " N"]:
    """Who is not overlooked: the farther, the fewer; distances are metres."""
    chance = jax.random.uniform(key, distance.shape, jnp.float32)
    return chance < jnp.exp(-distance / FADES)


def askew(key: Key, users: Users, metres: float) -> Users:
    """The same, seen at places that are off by so much, a standard deviation along either axis."""
    off = np.float32(metres) * jax.random.normal(key, (2, *jnp.shape(users.x)), jnp.float32)
    return users._replace(x=users.x + off[0], y=users.y + off[1])
