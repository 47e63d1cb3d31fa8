"""Drivers who follow a way: the intelligent driver model (Treiber, 2000), with lights and yielding.

They keep their distance from whoever is on the way ahead, stop at lights, and let those pass whom
their route has to let pass. The ego's scripted driver and reactive traffic share it.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vibe_rl.env.driving import rows
from vibe_rl.env.driving.codes import CAUTION_LIGHTS
from vibe_rl.env.driving.metrics import red_lights
from vibe_rl.env.driving.scene import Scene, Users
from vibe_rl.types import AnyArray

LOOK = 72
"""Points of the way ahead that are looked at, a metre apart."""
ACCELERATION, BRAKING = np.float32(2.0), np.float32(3.0)
"""m/s2."""
HEADWAY, STANDSTILL = np.float32(1.4), np.float32(2.5)
"""Seconds and metres kept."""
HARDEST = np.float32(-6.0)
"""m/s2."""
FREE = np.float32(1e4)
"""Metres to a leader that is not there."""


class Way(NamedTuple):
    """What lies before a vehicle: points a metre apart, the first beside it, `[72]`."""

    x: AnyArray
    y: AnyArray
    cos: AnyArray  # of the heading there
    sin: AnyArray


class Driven(NamedTuple):
    """A vehicle that follows a way."""

    number: AnyArray  # int32, its slot
    speed: AnyArray  # m/s
    wanted: AnyArray  # m/s
    to_line: AnyArray  # m, from its front to the next stop line
    light: AnyArray  # int32, of that line, -1 if it has none


def acceleration(
    scene: Scene, vehicle: Driven, way: Way, frame: Array, users: Users, along: Float[Array, " N"]
) -> Float[Array, ""]:
    """What the model does, in m/s2: no more than the strictest of its leaders allows.

    Args:
        scene: where it is.
        vehicle: who drives.
        way: before it.
        frame: int32, of the log, for the lights.
        users: who is where, the ego as it is.
        along: how far everybody is along the own route, see `along_routes`; m.
    """
    gaps, speeds = leaders(scene, vehicle, way, users)
    stops = (to_light(scene, vehicle, frame), to_conflict(scene, vehicle, frame, users, along))
    gaps = jnp.concatenate([gaps, jnp.stack(stops)])
    speeds = jnp.concatenate([speeds, jnp.zeros(2, jnp.float32)])
    return jnp.min(response(vehicle.speed, vehicle.wanted, gaps, speeds))


def response(
    speed: Array, wanted: Array, gap: Float[Array, " n"], leader: Float[Array, " n"]
) -> Float[Array, " n"]:
    """The model's acceleration behind leaders; m, m/s and m/s2."""
    closing = speed * (speed - leader) / (2 * np.float32(np.sqrt(ACCELERATION * BRAKING)))
    kept = STANDSTILL + jnp.maximum(0, speed * HEADWAY + closing)
    free = jnp.square(jnp.square(speed / jnp.maximum(wanted, np.float32(0.1))))
    tight = jnp.square(kept / jnp.maximum(gap, np.float32(0.1)))
    return jnp.clip(ACCELERATION * (1 - free - tight), HARDEST, ACCELERATION)


def besides(scene: Scene, vehicle: Driven, users: Users) -> Bool[Array, " N"]:
    """Who is there besides a vehicle."""
    return users.valid & (np.arange(scene.bank.obj_type.shape[-1]) != vehicle.number)


def leaders(
    scene: Scene, vehicle: Driven, way: Way, users: Users
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """How far it is to everybody on the way ahead, and how fast they go along it."""
    dx, dy = users.x[:, None] - way.x[None], users.y[:, None] - way.y[None]
    squared, near = rows.nearest(dx * dx + dy * dy)
    c, s = way.cos[near], way.sin[near]
    along = jnp.abs(jnp.cos(users.yaw) * c + jnp.sin(users.yaw) * s)
    across = jnp.abs(jnp.sin(users.yaw) * c - jnp.cos(users.yaw) * s)
    size = scene.of("size")
    long, wide, own = size[:, 0], size[:, 1], size[vehicle.number]
    room = (long * across + wide * along + own[1]) / 2 + np.float32(0.25)
    ahead = besides(scene, vehicle, users) & (jnp.sqrt(squared) < room) & (near > 0)
    gap = near.astype(jnp.float32) - (long * along + wide * across + own[0]) / 2
    return jnp.where(ahead, gap, FREE), jnp.maximum(users.vx * c + users.vy * s, 0)


def to_light(scene: Scene, vehicle: Driven, frame: Array) -> Float[Array, ""]:
    """Metres to the light if it stops there: at a red one, or a yellow one if it still can."""
    light = jnp.maximum(vehicle.light, 0)
    state = scene.of("light_state", light, frame)
    yellow = (state == CAUTION_LIGHTS[0]) | (state == CAUTION_LIGHTS[1])
    yellow = yellow | (state == CAUTION_LIGHTS[2])
    able = jnp.square(vehicle.speed) / (2 * BRAKING) < vehicle.to_line + 1
    stops = red_lights(scene, frame)[light] | (yellow & able & scene.of("light_valid", light))
    return jnp.where(stops & (vehicle.light >= 0) & (vehicle.to_line > 0), vehicle.to_line, FREE)


def to_conflict(
    scene: Scene, vehicle: Driven, frame: Array, users: Users, along: Float[Array, " N"]
) -> Float[Array, ""]:
    """Metres to the first place where it has to let somebody pass who is coming."""
    routes = scene.of("agent_route")
    safe = jnp.maximum(routes, 0)
    own, half = safe[vehicle.number], scene.of("size", vehicle.number, 0) / 2
    known = besides(scene, vehicle, users) & (routes >= 0) & (routes[vehicle.number] >= 0)
    way = scene.of("conflict_s", own, safe) - along[vehicle.number]
    theirs = scene.of("conflict_other_s", own, safe) - along
    yields = known & scene.of("must_yield", own, safe) & ~held(scene, frame, safe, along)
    speeds = jnp.hypot(users.vx, users.vy)
    yields &= comes_between(vehicle.speed, way, theirs, speeds, scene.of("size")[:, 0])
    return jnp.where(yields, way - half, FREE).min()


def held(scene: Scene, frame: Array, routes: Array, along: Array) -> Bool[Array, " N"]:
    """Who waits before a red light."""
    light = scene.of("route_light", routes)
    red = red_lights(scene, frame)[jnp.maximum(light, 0)] & (light >= 0)
    return red & (along < scene.of("route_stop_s", routes))


def along_routes(scene: Scene, users: Users) -> Float[Array, " N"]:
    """How far everybody is along the own route, to the metre."""
    xy = scene.of("route_xy", jnp.maximum(scene.of("agent_route"), 0))
    dx, dy = xy[..., 0] - users.x[:, None], xy[..., 1] - users.y[:, None]
    return rows.nearest(dx * dx + dy * dy)[1].astype(jnp.float32)


def comes_between(
    speed: Array,
    way: Float[Array, " N"],
    theirs: Float[Array, " N"],
    speeds: Float[Array, " N"],
    lengths: Float[Array, " N"],
) -> Bool[Array, " N"]:
    """Whether others are where ways cross about when one would be, and one can still stop.

    Args:
        speed: of who yields, m/s.
        way: its metres to the crossing.
        theirs: the others'.
        speeds: theirs, m/s.
        lengths: theirs, m.
    """
    arrival = way / jnp.maximum(speed, 3)
    begin = (theirs - 6) / jnp.maximum(speeds, np.float32(2.5))
    end = (theirs + lengths + 8) / jnp.maximum(speeds, np.float32(0.8))
    meets = (arrival >= begin - 2) & (arrival <= end + np.float32(1.5))
    coming = (way > 0) & (way < 45) & (theirs > -lengths - 6) & (theirs < 70)
    able = jnp.square(speed) / 9 < way + np.float32(0.5)
    return meets & coming & able
