"""Where a vehicle stands on the road: off it, how fast it may be, its own lane, its direction.

Every point of the map is looked at, in one pass over rows; see `rows`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vibe_rl.env.driving import rows
from vibe_rl.env.driving.geometry import offroad_edge
from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.scenarios.scene import Scene
from vibe_rl.env.driving.scenarios.tables import FAR
from vibe_rl.types import AnyArray

BESIDE = np.float32(3.7 / 2 + 0.2)
"""Metres from a lane's middle that still belong to it."""
WITHIN, ALIGNED, OPPOSED = 15, 16, 32
"""Bits of a point: which corners it keeps on the road, and its direction if one is near."""


class Road(NamedTuple):
    """What a vehicle's place on the road is like."""

    offroad: Array  # bool
    limit: Array  # m/s
    astride: Array  # bool, whether a corner lies beyond the own lane
    opposed: Array  # bool, whether all lanes here lead the other way


def road(
    scene: Scene, motion: Motion, corners: Float[Array, "4 2"], tolerance: AnyArray, test: str
) -> Road:
    """Looks at the lanes around a vehicle.

    Args:
        scene: where it is.
        motion: of the vehicle.
        corners: of the vehicle.
        tolerance: how far, in metres, a corner may stand off the road.
        test: see `Driving.offroad`.
    """
    bits = bits_around(scene, motion, corners, tolerance)
    lane = nearest_lane(scene, motion)
    heading = scene.row("lane_cos", lane), scene.row("lane_sin", lane)
    dx = corners[:, 0] - scene.row("lane_x", lane)
    dy = corners[:, 1] - scene.row("lane_y", lane)
    across = jnp.abs(dy * heading[0] - dx * heading[1])
    return Road(
        offroad=offroad(scene, corners, (bits & WITHIN) != WITHIN, test),
        limit=scene.row("lane_limit", lane),
        astride=jnp.any(across > BESIDE),
        opposed=((bits & OPPOSED) > 0) & ((bits & ALIGNED) == 0),
    )


def bits_around(
    scene: Scene, motion: Motion, corners: Float[Array, "4 2"], tolerance: AnyArray
) -> Int[Array, ""]:
    """The bits that are set for any point of a lane."""
    x, y = scene.row("lane_x"), scene.row("lane_y")
    reach = jnp.square(scene.row("lane_half") + tolerance)
    along = scene.row("lane_cos") * jnp.cos(motion.yaw) + scene.row("lane_sin") * jnp.sin(
        motion.yaw
    )
    bits, near = jnp.zeros(x.shape, jnp.int32), jnp.zeros(x.shape, bool)
    for i in range(4):
        distance = jnp.square(x - corners[i, 0]) + jnp.square(y - corners[i, 1])
        bits = bits | jnp.where(distance <= reach, np.int32(1 << i), np.int32(0))
        near = near | (distance <= BESIDE**2)
    direction = jnp.where(along >= 0, np.int32(ALIGNED), np.int32(OPPOSED))
    return rows.row_union(bits | jnp.where(near, direction, np.int32(0)))


def nearest_lane(scene: Scene, motion: Motion) -> Int[Array, ""]:
    """The point of a lane that is nearest to a vehicle's middle."""
    x, y = scene.row("lane_x") - motion.x, scene.row("lane_y") - motion.y
    return rows.smallest_entry(x * x + y * y)[1]


def offroad(
    scene: Scene, corners: Float[Array, "4 2"], outside: Bool[Array, ""], test: str
) -> Bool[Array, ""]:
    """Whether a vehicle that is `outside` all lanes, or not, is off the road; see `road`."""
    if test == "corridor":
        return outside
    asked = scene.of("has_edges") if test == "scenario" else jnp.array(True)
    beyond = beyond_edges(scene, corners, asked)
    if test == "scenario":
        return jnp.where(asked, beyond, outside)
    return beyond & outside if test == "both" else beyond


def beyond_edges(
    scene: Scene, corners: Float[Array, "4 2"], asked: Bool[Array, ""]
) -> Bool[Array, ""]:
    """`offroad_edge` if it is asked for; of vehicles side by side, computed only if it is for any.

    What it reads hangs on the loop's own state, or XLA would compute it in advance.
    """

    def body(state: tuple[Array, Array]) -> tuple[Array, Array]:
        at = jnp.where(state[0], scene.index, 0)
        return jnp.array(False), edges_passed(scene._replace(index=at), corners) & state[0]

    return jax.lax.while_loop(lambda state: state[0], body, (asked, jnp.array(False)))[1]


def edges_passed(scene: Scene, corners: Float[Array, "4 2"]) -> Bool[Array, ""]:
    """`offroad_edge` with all edges of a scenario."""
    x, y = scene.row("edge_x"), scene.row("edge_y")
    number = scene.of("map_id")
    follows = jnp.concatenate([jnp.zeros(1, bool), number[1:] == number[:-1]])
    points = jnp.stack([x, y], -1)
    return offroad_edge(corners, points, scene.of("map_dir"), follows, x < FAR)
