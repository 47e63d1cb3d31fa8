"""Scripted drivers: those that know the log, and those that only follow the road.

Each is a description that is called with `(obs, env_state, env_params, key)` and returns an action.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.driving.motion import dynamics
from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.motion.reactive import ego_acceleration
from vibe_rl.env.driving.road import nearest_lane
from vibe_rl.env.driving.scenarios.scenario import DT, FIRST_FRAME
from vibe_rl.env.driving.scenarios.scene import Scene, logged_ego
from vibe_rl.types import Key, PyTree, description, static

AIM = 5
"""Frames ahead at which the expert aims."""
NEAR = np.float32(0.5)
"""Metres; nothing nearer is steered for."""
SHARPEST = np.float32(9.0)
"""m/s, a speed of which half, in metres, is the least that one looks ahead along a path."""


class _Driver(ABC):
    """Chooses where to go and how fast; the action follows from the env's dynamics."""

    env: Any

    def __call__(self, obs: PyTree, state: PyTree, params: PyTree, key: Key) -> Array:
        """An action."""
        scene = Scene(params.scenarios, params.tables, state.scenario)
        ego = Motion(*(row[0] for row in state.history))
        return _encoded(self.env, ego, self.next_motion(scene, ego, state))

    @abstractmethod
    def next_motion(self, scene: Scene, ego: Motion, state: PyTree) -> Motion:
        """How it wants to move after a tenth of a second."""


def _encoded(env: Any, ego: Motion, after: Motion) -> Array:
    """The action of an env that leads to a motion, as nearly as there is one."""
    if env.dynamics == "bicycle":
        action = dynamics.bicycle_inverse(ego, after, env.steering)
    else:
        local = env.dynamics == "delta_local"
        limits = dynamics.DELTAS if local else dynamics.WIDE_DELTAS
        action = dynamics.delta_inverse(ego, after, local, limits)
    return dynamics.nearest_bin(action, env.bins) if env.bins else action


def _driven(ego: Motion, acceleration: Array, curvature: Array) -> Motion:
    """The motion after 0.1 s of m/s2 and 1/m."""
    action = jnp.stack(
        [acceleration / dynamics.MAX_ACCELERATION, curvature / dynamics.MAX_CURVATURE]
    )
    return dynamics.bicycle(ego, action)


def pursued(ego: Motion, x: Array, y: Array) -> Array:
    """The curvature, in 1/m, of the circle along one's heading through a place."""
    dx, dy = x - ego.x, y - ego.y
    left = dy * jnp.cos(ego.yaw) - dx * jnp.sin(ego.yaw)
    squared = dx * dx + dy * dy
    return jnp.where(squared < NEAR**2, 0, 2 * left / jnp.maximum(squared, NEAR**2))


def along_path(scene: Scene, ego: Motion, state: PyTree) -> Array:
    """The curvature that leads on along the main path, half a second ahead."""
    path, last = scene.row("main_path"), scene.row("path_end", scene.row("main_path"))
    ahead = jnp.maximum(ego.speed, SHARPEST) / 2
    point = jnp.minimum(state.place.point + ahead.astype(jnp.int32), last)
    return pursued(ego, scene.row("path_x", path, point), scene.row("path_y", path, point))


@dataclass(frozen=True)
class LogFollower(_Driver):
    """Follows the log: steers for where it is half a second later, and keeps its speed."""

    env: Any

    def next_motion(self, scene: Scene, ego: Motion, state: PyTree) -> Motion:
        """Pure pursuit; the speed makes up for what it is behind or ahead."""
        last = scene.frames - 1
        now = logged_ego(scene, jnp.minimum(state.frame, last))
        after = logged_ego(scene, jnp.minimum(state.frame + 1, last))
        aim = logged_ego(scene, jnp.minimum(state.frame + AIM, last))
        beyond = jnp.maximum(state.frame + AIM - last, 0) * np.float32(DT)
        curvature = pursued(ego, aim.x + beyond * aim.vx, aim.y + beyond * aim.vy)
        behind = (now.x - ego.x) * jnp.cos(ego.yaw) + (now.y - ego.y) * jnp.sin(ego.yaw)
        speed = jnp.maximum(after.speed + behind, 0)
        return _driven(ego, (speed - ego.speed) / np.float32(DT), curvature)


@dataclass(frozen=True)
class InverseExpert(_Driver):
    """Takes the action that leads from where it is to the log's next frame, as V-Max's does."""

    env: Any

    def next_motion(self, scene: Scene, ego: Motion, state: PyTree) -> Motion:
        """The log's."""
        return logged_ego(scene, jnp.minimum(state.frame + 1, scene.frames - 1))


@dataclass(frozen=True)
class Idm(_Driver):
    """Follows its own route as the others do: keeps its distance, stops at lights, yields."""

    env: Any

    def next_motion(self, scene: Scene, ego: Motion, state: PyTree) -> Motion:
        """See `traffic`."""
        users = self.env.users(scene, state)
        acceleration = ego_acceleration(scene, users, ego, state.frame)
        return _driven(ego, acceleration, along_path(scene, ego, state))


@description
@dataclass(frozen=True)
class LaneFollower(_Driver):
    """Follows its path at a share of the speed limit and looks at nobody."""

    env: Any = static()
    factor: float | None = 0.7  # None keeps the speed with which the scene begins

    def next_motion(self, scene: Scene, ego: Motion, state: PyTree) -> Motion:
        """As comfortably as people do."""
        if self.factor is None:
            wanted = logged_ego(scene, FIRST_FRAME).speed
        else:
            limit = scene.row("lane_limit", nearest_lane(scene, ego))
            wanted = limit * jnp.asarray(self.factor, jnp.float32)
        return _driven(ego, jnp.clip(wanted - ego.speed, -3, 2), along_path(scene, ego, state))


@description
@dataclass(frozen=True)
class Brake(_Driver):
    """Brakes along its path until it stands."""

    env: Any = static()
    braking: float = 3.0  # m/s2

    def next_motion(self, scene: Scene, ego: Motion, state: PyTree) -> Motion:
        """Slower."""
        braking = jnp.asarray(self.braking, jnp.float32)
        return _driven(ego, -braking, along_path(scene, ego, state))


@dataclass(frozen=True)
class Constant(_Driver):
    """Keeps speed and heading."""

    env: Any

    def next_motion(self, scene: Scene, ego: Motion, state: PyTree) -> Motion:
        """The same."""
        return _driven(ego, jnp.float32(0), jnp.float32(0))


def actors_by_name(env: Any) -> dict[str, Callable[..., Array]]:
    """Those of an env, by name."""
    return {
        "expert": LogFollower(env),
        "expert_inverse": InverseExpert(env),
        "idm": Idm(env),
        "lane": LaneFollower(env),
        "cruise": LaneFollower(env, factor=None),
        "brake": Brake(env),
        "constant": Constant(env),
    }
