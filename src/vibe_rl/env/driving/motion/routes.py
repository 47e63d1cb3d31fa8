"""Where a vehicle is along the ways that it may take."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vibe_rl.env.driving import rows
from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.scenarios.scenario import EGO
from vibe_rl.env.driving.scenarios.scene import Scene

OFF_ROUTE, OFF_OTHER = np.float32(2.05), np.float32(1.225)
"""Metres from the route, and metres farther than from another path: V-Max's."""
WRONG_WAY = np.float32(3.5)
"""Metres from all paths."""
LANE = np.float32(3.7)
"""Metres to the side within which one passes a stop line."""


class RoutePlace(NamedTuple):
    """A vehicle beside its paths; float32 scalars unless it says otherwise."""

    path: Array  # int32, the nearest one that leads where the log does
    point: Array  # int32, the nearest point of the longest such path
    driven: Array  # metres along the path since where the log begins
    pace: Array  # m/s, how fast one would drive there
    off_route: Array  # metres, 0 on the route
    wrong_way: Array  # metres, 0 near any path
    bumper: Array  # metres along the first path, of the front
    bumper_off: Array  # metres from the first path, of the front


def _beside(
    x: Array, y: Array, px: Float[Array, "*k q"], py: Float[Array, "*k q"]
) -> tuple[Float[Array, "*k"], Int[Array, "*k"]]:
    """How far a point is from rows of points, and the nearest of each."""
    dx, dy = px - x, py - y
    squared, nearest = rows.smallest_entry(dx * dx + dy * dy)
    return jnp.sqrt(squared), nearest


def arc_length(scene: Scene, path: Array | int, point: Array, x: Array, y: Array) -> Array:
    """Of a place beside a point of a path, no farther than a metre from that point."""
    ahead = (x - scene.row("path_x", path, point)) * scene.row("path_cos", path, point)
    ahead += (y - scene.row("path_y", path, point)) * scene.row("path_sin", path, point)
    return scene.of("path_s", path, point) + jnp.clip(ahead, -1, 1)


def place(scene: Scene, motion: Motion) -> RoutePlace:
    """Where the ego is."""
    px, py = scene.row("path_x"), scene.row("path_y")
    distances, points = _beside(motion.x, motion.y, px, py)
    on_route = scene.of("path_on_route")
    on = jnp.where(on_route, distances, jnp.inf)
    path, nearest_on = jax.lax.argmin(on, 0, jnp.int32), on.min()
    nearest_off = jnp.where(on_route, jnp.inf, distances).min()
    off = (nearest_on > OFF_ROUTE) | (nearest_on - nearest_off > OFF_OTHER)
    nearest = distances.min()
    half = scene.of("size", EGO, 0) / 2
    front_x = motion.x + half * jnp.cos(motion.yaw)
    front_y = motion.y + half * jnp.sin(motion.yaw)
    bumper_off, front = _beside(front_x, front_y, px[0], py[0])
    point = points[path]
    return RoutePlace(
        path=path,
        point=points[scene.row("main_path")],
        driven=arc_length(scene, path, point, motion.x, motion.y) - scene.row("path_first", path),
        pace=scene.row("path_pace", path, point),
        off_route=jnp.where(off, nearest_on, 0),
        wrong_way=jnp.where(nearest > WRONG_WAY, nearest, 0),
        bumper=arc_length(scene, 0, front, front_x, front_y),
        bumper_off=bumper_off,
    )


def passes_stop_line(
    before: RoutePlace, after: RoutePlace, stop_s: Float[Array, " L"], stops: Array
) -> Array:
    """Whether the front came over the stop line of a light that says stop.

    Args:
        before: where it was.
        after: where it is.
        stop_s: where along the first path the lights' stop lines are.
        stops: bool `[L]`, the lights that say so.
    """
    over = (before.bumper < stop_s) & (stop_s <= after.bumper)
    return jnp.any(over & stops) & (after.bumper_off < LANE)


def progression(scene: Scene, at: RoutePlace) -> Array:
    """The metres driven over those of the log; 1 where the log stands still."""
    whole = scene.row("path_last", at.path) - scene.row("path_first", at.path)
    return jnp.where(whole < np.float32(0.5), 1, at.driven / jnp.maximum(whole, np.float32(0.5)))
