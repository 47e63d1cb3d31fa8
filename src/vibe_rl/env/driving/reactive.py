"""Others who react: they follow their routes by `idm` instead of their logs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.env.driving import idm
from vibe_rl.env.driving.dynamics import MAX_SPEED, Motion
from vibe_rl.env.driving.geometry import wrap
from vibe_rl.env.driving.scenario import DT, EGO
from vibe_rl.env.driving.scene import Scene, Users, logged, others


class Traffic(NamedTuple):
    """Everybody who reacts; the slots of the others are not used."""

    s: Array  # [N], m along the route
    speed: Array  # [N], m/s
    past: Users  # [frames, N], everybody, the newest first


def reacts(scene: Scene, who: str) -> Bool[Array, " N"]:
    """Who follows a route: all who have one ("idm"), or those who are said to ("mixed")."""
    routed = scene.of("agent_route") >= 0
    routed = routed & (np.arange(routed.shape[0]) != EGO)
    return routed & scene.of("reactive") if who == "mixed" else routed


def begin(scene: Scene, frame: int, frames: int) -> Traffic:
    """As the log has it at a frame, with as many frames of the past."""
    past = logged_past(scene, jnp.int32(frame), frames)
    now = Users(*(row[0] for row in past))
    return Traffic(idm.along_routes(scene, now), jnp.hypot(now.vx, now.vy), past)


def logged_past(scene: Scene, frame: Array, frames: int) -> Users:
    """Everybody in the log, `[frames, N]`, the newest first."""
    at = frame - np.arange(frames, dtype=np.int32)
    who = np.arange(scene.bank.obj_type.shape[-1], dtype=np.int32)
    return logged(scene, at[:, None], who[None, :])


def step(scene: Scene, traffic: Traffic, ego: Motion, frame: Array, who: str) -> Traffic:
    """Everybody after a tenth of a second.

    Args:
        scene: where they are.
        traffic: they before it.
        ego: as it was then.
        frame: int32, of the log, after it.
        who: see `reacts`.
    """
    now = with_ego(Users(*(row[0] for row in traffic.past)), ego)
    along = jnp.where(reacts(scene, who), traffic.s, idm.along_routes(scene, now))

    def accelerate(number: Array) -> Array:
        return agent_acceleration(scene, traffic, number, frame - 1, (now, along))

    numbers = jnp.arange(now.x.shape[0], dtype=jnp.int32)
    changes = jax.vmap(accelerate)(numbers)
    speed = jnp.clip(traffic.speed + changes * np.float32(DT), 0, MAX_SPEED)
    s = traffic.s + (traffic.speed + speed) * np.float32(DT / 2)
    log, driven = logged(scene, frame), on_routes(scene, s, speed)
    driven = driven._replace(valid=others(scene, now))
    mine = reacts(scene, who)
    users = Users(*(jnp.where(mine, a, b) for a, b in zip(driven, log, strict=True)))
    past = jax.tree.map(lambda x, rows: jnp.concatenate([x[None], rows[:-1]]), users, traffic.past)
    return Traffic(s, speed, past)


def with_ego(users: Users, ego: Motion) -> Users:
    """Everybody, the ego where it is and not where it was in the log."""
    own = Users(ego.x, ego.y, ego.yaw, ego.vx, ego.vy, jnp.array(True))
    return Users(*(row.at[EGO].set(x) for row, x in zip(users, own, strict=True)))


def agent_acceleration(
    scene: Scene, traffic: Traffic, number: Array, frame: Array, seen: tuple[Users, Array]
) -> Array:
    """Of the vehicle in a slot, m/s2; `seen` are everybody and how far along their routes."""
    route, s = jnp.maximum(scene.of("agent_route", number), 0), traffic.s[number]
    first, last = s.astype(jnp.int32), scene.bank.route_yaw.shape[-1] - 1
    points = jnp.minimum(first + np.arange(idm.LOOK, dtype=np.int32), last)
    xy, yaw = scene.of("route_xy", route, points), scene.of("route_yaw", route, points)
    wanted = scene.of("route_vref", route, points[0]) * scene.of("agent_speed_factor", number)
    half = scene.of("size", number, 0) / 2
    vehicle = idm.Driven(
        number=number,
        speed=traffic.speed[number],
        wanted=wanted,
        to_line=scene.of("route_stop_s", route) - s - half,
        light=scene.of("route_light", route),
    )
    way = idm.Way(xy[:, 0], xy[:, 1], jnp.cos(yaw), jnp.sin(yaw))
    return idm.acceleration(scene, vehicle, way, frame, *seen)


def on_routes(scene: Scene, s: Array, speed: Array) -> Users:
    """Where one is that far along one's route, between its points."""
    routes = jnp.maximum(scene.of("agent_route"), 0)
    last = jnp.maximum(scene.of("route_len", routes) - 1, 0).astype(jnp.int32)
    point = jnp.minimum(s.astype(jnp.int32), last)
    after = jnp.minimum(point + 1, last)
    part = jnp.minimum(s - point.astype(jnp.float32), 1)

    def between(field: str, *axis: Any) -> Array:
        a, b = (scene.of(field, routes, at, *axis) for at in (point, after))
        return a + part * (b - a)

    yaw = wrap(between("route_yaw"))
    vx, vy = speed * jnp.cos(yaw), speed * jnp.sin(yaw)
    x, y = between("route_xy", 0), between("route_xy", 1)
    return Users(x, y, yaw, vx, vy, jnp.ones(x.shape, bool))
