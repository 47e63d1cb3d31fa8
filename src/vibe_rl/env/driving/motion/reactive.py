"""Others who react: `traffic` moves them along their routes, instead of their logs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vibe_rl.env.driving import rows
from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.motion.traffic import Traffic, TruePoses, poses, tracked, traffic_step
from vibe_rl.env.driving.scenarios.scenario import DT, EGO
from vibe_rl.env.driving.scenarios.scene import Scene, Users, logged, others


class Others(NamedTuple):
    """Everybody, however they are moved."""

    traffic: Traffic  # along their routes, [N]
    past: Users  # [frames, N], the newest first


def reacts(scene: Scene, who: str) -> Bool[Array, " N"]:
    """Who follows a route: all who have one ("idm"), or those who are said to ("mixed")."""
    routed = scene.of("agent_route") >= 0
    routed = routed & (np.arange(routed.shape[0]) != EGO)
    return routed & scene.of("reactive") if who == "mixed" else routed


def begin_traffic(scene: Scene, frame: int, frames: int) -> Others:
    """As the log has it at a frame, with as many frames of the past."""
    at = jnp.int32(frame) - np.arange(frames, dtype=np.int32)
    who = np.arange(scene.bank.obj_type.shape[-1], dtype=np.int32)
    past = logged(scene, at[:, None], who[None, :])
    return Others(found(scene, _seen(Users(*(row[0] for row in past)))), past)


def step_traffic(scene: Scene, before: Others, ego: Motion, frame: Array, who: str) -> Others:
    """Everybody after a tenth of a second.

    Args:
        scene: where they are.
        before: they before it.
        ego: as it was then.
        frame: int32, of the log, after it.
        who: see `reacts`.
    """
    users, mine = Users(*(row[0] for row in before.past)), reacts(scene, who)
    boxes = _seen(with_ego(users, ego))
    moved = tracked(scene.of, before.traffic, boxes)
    now = Traffic(*(jnp.where(mine, a, b) for a, b in zip(before.traffic, moved, strict=True)))
    after = traffic_step(scene.of, now, boxes, frame - 1)
    x, y, yaw = poses(scene.of, after.s)
    there = others(scene, users)
    driven = Users(x, y, yaw, after.v * jnp.cos(yaw), after.v * jnp.sin(yaw), there)
    log = logged(scene, frame)
    follows = mine & there  # whoever is not there yet enters by the log
    users = Users(*(jnp.where(follows, a, b) for a, b in zip(driven, log, strict=True)))
    entered = found(scene, _seen(log))
    after = Traffic(*(jnp.where(follows, a, b) for a, b in zip(after, entered, strict=True)))
    past = jax.tree.map(lambda x, rows: jnp.concatenate([x[None], rows[:-1]]), users, before.past)
    return Others(after, past)


def ego_acceleration(scene: Scene, users: Users, ego: Motion, frame: Array) -> Float[Array, ""]:
    """What the model would have the ego do on its own route, m/s2; 0 if it has none."""
    boxes = _seen(with_ego(users, ego))
    now = found(scene, boxes)
    change = traffic_step(scene.of, now, boxes, frame).v - now.v
    return jnp.where(scene.of("agent_route", EGO) >= 0, change[EGO] / np.float32(DT), 0)


def with_ego(users: Users, ego: Motion) -> Users:
    """Everybody, the ego where it is and not where it was in the log."""
    own = Users(ego.x, ego.y, ego.yaw, ego.vx, ego.vy, jnp.array(True))
    return Users(*(row.at[EGO].set(x) for row, x in zip(users, own, strict=True)))


def _seen(users: Users) -> TruePoses:
    """As the model sees them."""
    speed = users.vx * jnp.cos(users.yaw) + users.vy * jnp.sin(users.yaw)
    return TruePoses(users.x, users.y, users.yaw, speed, users.valid)


def found(scene: Scene, boxes: TruePoses) -> Traffic:
    """How far everybody is along the own route, wherever that is."""
    xy = scene.of("route_xy", jnp.maximum(scene.of("agent_route"), 0))
    dx, dy = xy[..., 0] - boxes.x[:, None], xy[..., 1] - boxes.y[:, None]
    point = rows.smallest_entry(dx * dx + dy * dy)[1].astype(jnp.float32)
    return tracked(scene.of, Traffic(point, boxes.speed), boxes)
