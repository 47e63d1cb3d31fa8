"""Boxes in the plane: corners, overlaps, and whether they stand off the road.

All functions take arrays with any leading axes; angles are radians, lengths metres.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vibe_rl.env.driving import rows
from vibe_rl.types import AnyArray

TURN = np.float32(2 * np.pi)
TOLERANCE = np.float32(0.3)
"""How far a corner may stand off the road, in metres: nuPlan's."""


class Boxes(NamedTuple):
    """Rectangles with a heading, `[...]`."""

    xy: AnyArray  # [..., 2], the centres
    yaw: AnyArray
    length: AnyArray
    width: AnyArray


def wrap(angle: Float[AnyArray, "..."]) -> Float[Array, "..."]:
    """The same angles in (-pi, pi]."""
    return angle - TURN * jnp.ceil((angle - np.float32(np.pi)) / TURN)


def rotate(xy: Float[AnyArray, "*n 2"], angle: Float[AnyArray, "*n"]) -> Float[Array, "*n 2"]:
    """Vectors turned to the left by angles."""
    c, s = jnp.cos(angle), jnp.sin(angle)
    x, y = xy[..., 0], xy[..., 1]
    return jnp.stack([c * x - s * y, s * x + c * y], -1)


def corners(boxes: Boxes) -> Float[Array, "*n 4 2"]:
    """Front left, front right, rear right, rear left."""
    xy = jnp.asarray(boxes.xy)
    along = jnp.stack([jnp.cos(boxes.yaw), jnp.sin(boxes.yaw)], -1) * boxes.length[..., None] / 2
    left = jnp.stack([-jnp.sin(boxes.yaw), jnp.cos(boxes.yaw)], -1) * boxes.width[..., None] / 2
    return jnp.stack(
        [xy + along + left, xy + along - left, xy - along - left, xy - along + left], -2
    )


def obb_overlap(a: Boxes, b: Boxes) -> Bool[Array, "..."]:
    """Whether boxes overlap; those that only touch do not.

    By separating axes: two boxes are apart if their shadows on one of their four sides are.
    """
    dx, dy = b.xy[..., 0] - a.xy[..., 0], b.xy[..., 1] - a.xy[..., 1]
    turn = b.yaw - a.yaw
    c, s = jnp.abs(jnp.cos(turn)), jnp.abs(jnp.sin(turn))
    apart = jnp.zeros(jnp.shape(c), bool)
    for own, other in ((a, b), (b, a)):
        ahead, beside = jnp.cos(own.yaw), jnp.sin(own.yaw)
        along = jnp.abs(dx * ahead + dy * beside)
        across = jnp.abs(dy * ahead - dx * beside)
        apart |= 2 * along >= own.length + other.length * c + other.width * s
        apart |= 2 * across >= own.width + other.length * s + other.width * c
    return ~apart


def offroad_corridor(
    corners: Float[AnyArray, "corners 2"],
    points: Float[AnyArray, "points 2"],
    reach: Float[AnyArray, " points"],
) -> Bool[Array, ""]:
    """Whether any corner lies farther than `reach` from every centre point of lanes.

    Args:
        corners: of a vehicle.
        points: of the middle of lanes.
        reach: half of a lane's width and the tolerance; negative for points that are none.
    """
    within = squared_distances(corners, points) <= jnp.square(reach)[None]
    return ~jnp.any(within & (reach >= 0)[None], -1).all()


def offroad_edge(
    corners: Float[AnyArray, "corners 2"],
    points: Float[AnyArray, "points 2"],
    directions: Float[AnyArray, "points 2"],
    follows: Bool[AnyArray, " points"],
    valid: Bool[AnyArray, " points"],
) -> Bool[Array, ""]:
    """Whether any corner lies to the right of the nearest point of a road's edge.

    Args:
        corners: of a vehicle.
        points: of edges, in the order in which they follow each other.
        directions: along the edge there; the road is on its left.
        follows: whether the edge comes from the point before, whose direction counts as well: left
            of one of the two is inside.
        valid: points that are none are left out; without any, nothing is outside.
    """
    distances = jnp.where(valid[None], squared_distances(corners, points), jnp.inf)
    nearest = rows.smallest_entry(distances)[1]
    before = jnp.where(follows[nearest], jnp.maximum(nearest - 1, 0), nearest)
    offsets = corners - points[nearest]
    right = jnp.minimum(_cross(offsets, directions[nearest]), _cross(offsets, directions[before]))
    return jnp.any((right > 0) & valid[nearest])


def _cross(a: Float[AnyArray, "*n 2"], b: Float[AnyArray, "*n 2"]) -> Float[Array, "*n"]:
    """Positive where `b` lies to the left of `a`."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def squared_distances(a: Float[AnyArray, "n 2"], b: Float[AnyArray, "m 2"]) -> Float[Array, "n m"]:
    """Of every point of `a` from every point of `b`, in square metres."""
    x, y = a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1]
    return x * x + y * y
