"""One scenario of a bank, as a step reads it, and who drives in it at a time."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.env.driving.geometry import Boxes
from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.scenarios.scenario import EGO, Scenario
from vibe_rl.env.driving.scenarios.tables import Tables
from vibe_rl.types import AnyArray


class Scene(NamedTuple):
    """A scenario of a bank, by its number; nothing of the bank is copied."""

    bank: Scenario
    tables: Tables
    index: Array  # int32

    def of(self, field: str, *place: Any) -> Array:
        """A field of the scenario, or an entry of it; places are taken to exist."""
        return taken(getattr(self.bank, field), self.index, *place)

    def row(self, name: str, *place: Any) -> Array:
        """A row of its tables, or an entry of it."""
        return taken(getattr(self.tables, name), self.index, *place)

    @property
    def frames(self) -> int:
        """T."""
        return self.bank.log_yaw.shape[-1]


def taken(array: AnyArray, *place: Any) -> Array:
    """An entry of an array that exists: no place is checked."""
    place = tuple(np.int32(index) if isinstance(index, int) else index for index in place)
    return jnp.asarray(array).at[place].get(mode="promise_in_bounds")


class Users(NamedTuple):
    """All road users at one time, `[N]`, or some of them."""

    x: AnyArray  # m
    y: AnyArray
    yaw: AnyArray
    vx: AnyArray  # m/s
    vy: AnyArray
    valid: AnyArray  # bool


def logged(scene: Scene, frame: AnyArray, who: Any = slice(None)) -> Users:
    """Those of the log at a frame."""
    xy, velocity = scene.of("log_xy", who, frame), scene.of("log_vel", who, frame)
    yaw, valid = scene.of("log_yaw", who, frame), scene.of("log_valid", who, frame)
    return Users(xy[..., 0], xy[..., 1], yaw, velocity[..., 0], velocity[..., 1], valid)


def logged_ego(scene: Scene, frame: AnyArray) -> Motion:
    """How the ego moved in the log at a frame; with an axis of frames if there are many."""
    ego = logged(scene, frame, EGO)
    speed = ego.vx * jnp.cos(ego.yaw) + ego.vy * jnp.sin(ego.yaw)
    return Motion(ego.x, ego.y, ego.yaw, speed, ego.vx, ego.vy)


def ego_box(scene: Scene, motion: Motion) -> Boxes:
    """The ego's."""
    size = scene.of("size", EGO)
    return Boxes(jnp.stack([motion.x, motion.y], -1), motion.yaw, size[0], size[1])


def boxes_of(scene: Scene, users: Users) -> Boxes:
    """Those of all road users."""
    size = scene.of("size")
    return Boxes(jnp.stack([users.x, users.y], -1), users.yaw, size[:, 0], size[:, 1])


def others(scene: Scene, users: Users) -> Bool[Array, " N"]:
    """Who of them is there and not the ego."""
    return users.valid & (np.arange(scene.bank.obj_type.shape[-1]) != EGO)
