"""The ego as a driver who follows its path: the intelligent driver model (Treiber, 2000).

It keeps its distance from whoever is on the path ahead, stops at lights, and lets those pass whom
its route has to let pass.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vibe_rl.env.driving import rows
from vibe_rl.env.driving.codes import CAUTION_LIGHTS
from vibe_rl.env.driving.dynamics import Motion
from vibe_rl.env.driving.metrics import red_lights
from vibe_rl.env.driving.routes import Place
from vibe_rl.env.driving.scenario import EGO
from vibe_rl.env.driving.scene import Scene, Users, others

LOOK = 72
"""Points of the path ahead that are looked at, a metre apart."""
ACCELERATION, BRAKING = np.float32(2.0), np.float32(3.0)
"""m/s2."""
HEADWAY, STANDSTILL = np.float32(1.4), np.float32(2.5)
"""Seconds and metres kept."""
HARDEST = np.float32(-6.0)
"""m/s2."""
FREE = np.float32(1e4)
"""Metres to a leader that is not there."""


def acceleration(
    scene: Scene, ego: Motion, frame: Array, place: Place, users: Users
) -> Float[Array, ""]:
    """What the model does, in m/s2: no more than the strictest of its leaders allows."""
    wanted = path_pace(scene, place) * jnp.maximum(scene.of("agent_speed_factor", EGO), 0.5)
    gaps, speeds = leaders(scene, ego, place, users)
    stops = jnp.stack([to_light(scene, ego, frame, place), to_conflict(scene, ego, users)])
    gaps = jnp.concatenate([gaps, stops])
    speeds = jnp.concatenate([speeds, jnp.zeros(2, jnp.float32)])
    return jnp.min(response(ego.speed, wanted, gaps, speeds))


def response(
    speed: Array, wanted: Array, gap: Float[Array, " n"], leader: Float[Array, " n"]
) -> Float[Array, " n"]:
    """The model's acceleration behind leaders; m, m/s and m/s2."""
    closing = speed * (speed - leader) / (2 * np.float32(np.sqrt(ACCELERATION * BRAKING)))
    kept = STANDSTILL + jnp.maximum(0, speed * HEADWAY + closing)
    free = jnp.square(jnp.square(speed / jnp.maximum(wanted, np.float32(0.1))))
    tight = jnp.square(kept / jnp.maximum(gap, np.float32(0.1)))
    return jnp.clip(ACCELERATION * (1 - free - tight), HARDEST, ACCELERATION)


def path_pace(scene: Scene, place: Place) -> Float[Array, ""]:
    """How fast one would drive here, m/s."""
    return scene.row("path_pace", scene.row("main_path"), place.point)


def leaders(
    scene: Scene, ego: Motion, place: Place, users: Users
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """How far it is to everybody on the path ahead, and how fast they go along it."""
    path, last = scene.row("main_path"), scene.row("path_end", scene.row("main_path"))
    points = jnp.minimum(place.point + np.arange(LOOK, dtype=np.int32), last)
    px, py = scene.row("path_x", path, points), scene.row("path_y", path, points)
    dx, dy = users.x[:, None] - px[None], users.y[:, None] - py[None]
    squared, near = rows.nearest(dx * dx + dy * dy)
    c, s = scene.row("path_cos", path, points[near]), scene.row("path_sin", path, points[near])
    along, across = (
        jnp.abs(jnp.cos(users.yaw) * c + jnp.sin(users.yaw) * s),
        jnp.abs(jnp.sin(users.yaw) * c - jnp.cos(users.yaw) * s),
    )
    long, wide = scene.of("size")[:, 0], scene.of("size")[:, 1]
    beside = (long * across + wide * along) / 2
    before = (long * along + wide * across) / 2
    room = beside + scene.of("size", EGO, 1) / 2 + np.float32(0.25)
    ahead = others(scene, users) & (jnp.sqrt(squared) < room) & (near > 0)
    gap = near.astype(jnp.float32) - before - scene.of("size", EGO, 0) / 2
    speed = jnp.maximum(users.vx * c + users.vy * s, 0)
    return jnp.where(ahead, gap, FREE), speed


def to_light(scene: Scene, ego: Motion, frame: Array, place: Place) -> Float[Array, ""]:
    """Metres to the next light at which it stops: a red one, or a yellow one if it still can."""
    way = scene.row("stop_s") - place.bumper
    state = scene.of("light_state", slice(None), frame)
    yellow = (state == CAUTION_LIGHTS[0]) | (state == CAUTION_LIGHTS[1])
    yellow = yellow | (state == CAUTION_LIGHTS[2])
    able = jnp.square(ego.speed) / (2 * BRAKING) < way + 1
    stops = (red_lights(scene, frame) | (yellow & able)) & (way > 0)
    return jnp.where(stops, way, FREE).min()


def to_conflict(scene: Scene, ego: Motion, users: Users) -> Float[Array, ""]:
    """Metres to the first place where it has to let somebody pass who is coming."""
    routes = scene.of("agent_route")
    own, safe = jnp.maximum(routes[EGO], 0), jnp.maximum(routes, 0)
    known = others(scene, users) & (routes >= 0) & (routes[EGO] >= 0)
    at = along_routes(scene, safe, users)
    way = scene.of("conflict_s", own, safe) - at[EGO]
    theirs = scene.of("conflict_other_s", own, safe) - at
    speeds = jnp.hypot(users.vx, users.vy)
    yields = known & scene.of("must_yield", own, safe)
    yields &= comes_between(ego, way, theirs, speeds, scene.of("size")[:, 0])
    return jnp.where(yields, way - scene.of("size", EGO, 0) / 2, FREE).min()


def along_routes(scene: Scene, routes: Array, users: Users) -> Float[Array, " N"]:
    """How far everybody is along a route, to the metre."""
    xy = scene.of("route_xy", routes)
    dx, dy = xy[..., 0] - users.x[:, None], xy[..., 1] - users.y[:, None]
    return rows.nearest(dx * dx + dy * dy)[1].astype(jnp.float32)


def comes_between(
    ego: Motion,
    way: Float[Array, " N"],
    theirs: Float[Array, " N"],
    speeds: Float[Array, " N"],
    lengths: Float[Array, " N"],
) -> Bool[Array, " N"]:
    """Whether others are where ways cross about when the ego would be, and it can still stop.

    Args:
        ego: who yields.
        way: its metres to the crossing.
        theirs: the others'.
        speeds: theirs, m/s.
        lengths: theirs, m.
    """
    arrival = way / jnp.maximum(ego.speed, 3)
    begin = (theirs - 6) / jnp.maximum(speeds, np.float32(2.5))
    end = (theirs + lengths + 8) / jnp.maximum(speeds, np.float32(0.8))
    meets = (arrival >= begin - 2) & (arrival <= end + np.float32(1.5))
    coming = (way > 0) & (way < 45) & (theirs > -lengths - 6) & (theirs < 70)
    able = jnp.square(ego.speed) / 9 < way + np.float32(0.5)
    return meets & coming & able
