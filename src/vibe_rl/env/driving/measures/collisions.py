"""Who hits whom, whose fault it is, and how long it takes until somebody does."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vibe_rl.env.driving.geometry import Boxes, obb_overlap
from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.scenarios.codes import CYCLIST, PEDESTRIAN
from vibe_rl.env.driving.scenarios.scenario import DT
from vibe_rl.env.driving.scenarios.scene import Users

STANDS = np.float32(0.05)
"""m/s, below which one stands."""
CONE = np.float32(np.tan(np.pi / 6))
"""Half of the angle in which one is ahead or behind, seen from the rear axle."""
REAR_AXLE = np.float32(0.4)
"""Of the length, behind the middle."""
PARALLEL = np.float32(1e-6)
"""m/s, below which two boxes do not come nearer along an axis."""


class SeenUsers(NamedTuple):
    """Others as seen from the ego, `[N]`."""

    boxes: Boxes
    users: Users
    there: Bool[Array, " N"]  # whether it is one, and not the ego
    kind: Int[Array, " N"]


def all_like(ego: Boxes, count: int) -> Boxes:
    """The ego's box as often as there are others."""
    return Boxes(*(jnp.broadcast_to(x, (count, *x.shape)) for x in ego))


def hits(ego: Boxes, seen: SeenUsers) -> Bool[Array, " N"]:
    """Whom the ego overlaps."""
    return obb_overlap(all_like(ego, len(seen.there)), seen.boxes) & seen.there


def from_rear_axle(ego: Boxes, seen: SeenUsers) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """How far others are ahead of the ego's rear axle, and to its left; metres."""
    c, s = jnp.cos(ego.yaw), jnp.sin(ego.yaw)
    dx, dy = seen.users.x - ego.xy[0], seen.users.y - ego.xy[1]
    return dx * c + dy * s + REAR_AXLE * ego.length, dy * c - dx * s


def at_fault(
    ego: Boxes, speed: Array, seen: SeenUsers, hit: Bool[Array, " N"], astride: Array
) -> Bool[Array, ""]:
    """Whether the ego is to blame for any hit.

    It is for whoever walks or cycles, for what stands, and, if it moves itself, for what its front
    hits and, while it is astride lanes, for what it hits with its sides.
    """
    front = ego.xy + ego.length / 2 * jnp.stack([jnp.cos(ego.yaw), jnp.sin(ego.yaw)])
    bumper = Boxes(front, ego.yaw, jnp.zeros_like(ego.length), ego.width)
    ahead, left = from_rear_axle(ego, seen)
    behind = (ahead < 0) & (jnp.abs(left) <= -ahead * CONE)
    in_front = hits(bumper, seen) & ~behind
    aside = ~behind & ~in_front
    weak = (seen.kind == PEDESTRIAN) | (seen.kind == CYCLIST)
    stands = jnp.hypot(seen.users.vx, seen.users.vy) < STANDS
    moves = jnp.abs(speed) > STANDS
    blamed = weak | stands | (moves & (in_front | (aside & astride)))
    return jnp.any(hit & blamed)


def time_to_collision(
    ego: Boxes, motion: Motion, seen: SeenUsers, horizon: float
) -> Float[Array, ""]:
    """Seconds until the ego overlaps one ahead, all going on as they do; the horizon if none.

    Times are multiples of 0.1 s. Along each of the four sides of two boxes their shadows overlap
    for one span of time; the boxes do for what these spans have in common.
    """
    ux, uy = seen.users.vx - motion.vx, seen.users.vy - motion.vy
    begin, end = common_span(all_like(ego, len(seen.there)), seen.boxes, ux, uy)
    step = jnp.maximum(jnp.floor(begin / DT) + 1, 0)
    ahead, left = from_rear_axle(ego, seen)
    looked_at = seen.there & (ahead > 0) & (jnp.abs(left) <= ahead * CONE)
    comes = looked_at & (step * DT < end)
    steps = jnp.where(comes, step, np.float32(np.inf)).min()
    return jnp.minimum(steps * np.float32(DT), np.float32(horizon))


def common_span(
    a: Boxes, b: Boxes, ux: Float[Array, " N"], uy: Float[Array, " N"]
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """When boxes begin and cease to overlap, if `b` moves with these m/s; seconds.

    The end comes before the beginning where they never do.
    """
    dx, dy = b.xy[..., 0] - a.xy[..., 0], b.xy[..., 1] - a.xy[..., 1]
    turn = b.yaw - a.yaw
    c, s = jnp.abs(jnp.cos(turn)), jnp.abs(jnp.sin(turn))
    begin, end = jnp.full_like(dx, -jnp.inf), jnp.full_like(dx, jnp.inf)
    for own, other in ((a, b), (b, a)):
        ahead, side = jnp.cos(own.yaw), jnp.sin(own.yaw)
        along = (own.length + other.length * c + other.width * s) / 2
        across = (own.width + other.length * s + other.width * c) / 2
        shadows = (
            (dx * ahead + dy * side, ux * ahead + uy * side, along),
            (dy * ahead - dx * side, uy * ahead - ux * side, across),
        )
        for shadow in shadows:
            first, last = span(*shadow)
            begin, end = jnp.maximum(begin, first), jnp.minimum(end, last)
    return begin, end


def span(p: Array, q: Array, reach: Array) -> tuple[Array, Array]:
    """When |p + q t| < reach."""
    still = jnp.abs(q) < PARALLEL
    safe = jnp.where(still, 1, q)
    one, two = (-reach - p) / safe, (reach - p) / safe
    always, never = still & (jnp.abs(p) < reach), still & (jnp.abs(p) >= reach)
    begin = jnp.where(always, -jnp.inf, jnp.where(never, jnp.inf, jnp.minimum(one, two)))
    end = jnp.where(always, jnp.inf, jnp.where(never, -jnp.inf, jnp.maximum(one, two)))
    return begin, end
