"""What the driver sees: itself and others over some frames, the map, lights, and where to go.

The layout is V-Max's (2025): all in the ego's frame, the last feature of everything says whether it
is there, and what is not there is zero. Differences: velocities keep their sign, headings are
divided by pi. Places are divided by `reach`, and cut there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vibe_rl.env.driving import rows, sensing
from vibe_rl.env.driving.geometry import TURN, wrap
from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.motion.routes import RoutePlace
from vibe_rl.env.driving.scenarios.scenario import EGO
from vibe_rl.env.driving.scenarios.scene import Scene, Users, boxes_of, others
from vibe_rl.env.driving.scenarios.tables import SEEN
from vibe_rl.errors import ConfigError, Typed, check_bounds, check_kind, unknown
from vibe_rl.spaces import Box, Flat
from vibe_rl.types import AnyArray, Key, number

FASTEST = np.float32(30.0)
"""m/s that look like any more."""
OPPOSITE = np.float32(-np.pi + 1e-3)
"""rad; what is below is pi."""
STATES = 8
"""Of lights, from 1 on."""
OBJECT, POINT, LIGHT = 8, 5, 3 + STATES
"""Features of a road user in a frame, of a point of the map, and of a light in a frame."""


@dataclass(frozen=True)
class View(Typed):
    """What is seen; metres."""

    section = "observation."

    kind: str = "vec"  # or "gt": itself and where it was in the log after this
    frames: int = 5  # of the past, the latest included
    agents: int = 8  # the nearest others
    map_points: int = 200  # the nearest
    lights: int = 5  # the nearest
    path_points: int = 10  # ahead on the route
    path_gap: int = 12  # between them
    front: float = number(70.0, least=0)  # the part of the map that is seen, from the middle
    back: float = number(5.0, least=0)
    side: float = number(20.0, least=0)
    reach: float = number(70.0, above=0)
    occlusion: bool = False  # whether who is behind another's box is not seen; see `sensing`
    noise: float = 0.0  # by which others seem to be elsewhere, a standard deviation; V-Max: 0.1
    drop: bool = False  # whether others are overlooked by chance, the farther the more
    map_types: bool = False  # whether points of the map say what they are, see `tables.SEEN`

    @property
    def by_chance(self) -> bool:
        """Whether what is seen of a state is not always the same."""
        return self.noise > 0 or self.drop

    def __post_init__(self):
        super().__post_init__()
        check_bounds(self, self.section)
        if self.kind not in ("vec", "gt"):
            raise unknown("kind of view", self.kind, ("vec", "gt"))
        if not 1 <= self.frames <= 10:
            raise ConfigError(f"frames {self.frames} of a view: give a number from 1 to 10.")
        for name in ("agents", "map_points", "lights", "path_points", "path_gap"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)} of a view: give at least 1.")
        self.check_sensing()

    def check_sensing(self) -> None:
        """Raises ConfigError for what cannot be missed of others, or is not seen at all."""
        if not self.noise >= 0:
            raise ConfigError(f"noise {self.noise} of a view: give 0 or more metres.")
        for name in ("occlusion", "noise", "drop", "map_types"):
            if self.kind == "gt" and getattr(self, name):
                raise ConfigError(f"{name} of a view gt: others and the map are not seen, use vec.")


VIEWS = {
    "vec": View(),
    "vec_small": View(frames=3, agents=6, map_points=64, lights=2, path_points=5),
    "gt": View(kind="gt"),
}
"""By name."""


def view_of(observation: Any) -> View:
    """A view by its name, or from its fields as a mapping: `{"name": "vec", "agents": 4}`."""
    if isinstance(observation, View):
        return observation
    if isinstance(observation, str):
        observation = {"name": observation}
    check_kind("observation", observation, str, Mapping)
    fields = dict(observation)
    name = fields.pop("name", "vec")
    if name not in VIEWS:
        raise unknown("observation", name, VIEWS)
    for field in fields:
        if field not in View.__dataclass_fields__:
            raise unknown("field of an observation", field, View.__dataclass_fields__)
    return View(**{**VIEWS[name].__dict__, **fields})


def space(view: View) -> Flat:
    """Its parts, end to end."""
    ego = {"ego": Box(-1.0, 1.0, (1, view.frames, OBJECT))}
    path = {"path": Box(-1.0, 1.0, (view.path_points, 2))}
    if view.kind == "gt":
        return Flat({**ego, **path})
    scene = {
        "agents": Box(-1.0, 1.0, (view.agents, view.frames, OBJECT)),
        "map": Box(-1.0, 1.0, (view.map_points, POINT + len(SEEN) * view.map_types)),
        "lights": Box(-1.0, 1.0, (view.lights, view.frames, LIGHT)),
    }
    return Flat({**ego, **scene, **path})


class Frame(NamedTuple):
    """The ego's own axes, and how far they reach."""

    x: Array
    y: Array
    yaw: Array
    cos: Array
    sin: Array
    reach: float

    def turned(self, x: AnyArray, y: AnyArray) -> tuple[Array, Array]:
        """A vector: ahead, and to the left."""
        return x * self.cos + y * self.sin, y * self.cos - x * self.sin

    def seen_from(self, x: AnyArray, y: AnyArray) -> tuple[Array, Array]:
        """A place: metres ahead, and to the left."""
        return self.turned(x - self.x, y - self.y)

    def place(self, x: Array, y: Array) -> list[Array]:
        """A place as two features."""
        return [jnp.clip(z / np.float32(self.reach), -1, 1) for z in self.seen_from(x, y)]


def frame_of(ego: Motion, view: View) -> Frame:
    """The ego's."""
    return Frame(ego.x, ego.y, ego.yaw, jnp.cos(ego.yaw), jnp.sin(ego.yaw), view.reach)


def _features(columns: list[Array], valid: Array) -> Float[Array, "..."]:
    """Columns side by side, then whether they are there; zero where they are not."""
    there = jnp.asarray(valid, jnp.float32)
    return jnp.stack([*(column * there for column in columns), there], -1)


def of_users(frame: Frame, users: Users, size: Float[Array, "..."]) -> Float[Array, "..."]:
    """Road users as features: place, velocity, heading, length and width.

    Args:
        frame: the ego's.
        users: with any axes.
        size: length and width, with the same axes and one more.
    """
    vx, vy = (jnp.clip(v / FASTEST, -1, 1) for v in frame.turned(users.vx, users.vy))
    yaw = towards(users.yaw - frame.yaw) / np.float32(np.pi)
    long, wide = (jnp.clip(size[..., i] / np.float32(frame.reach), -1, 1) for i in (0, 1))
    place = frame.place(users.x, users.y)
    return _features([*place, vx, vy, jnp.clip(yaw, -1, 1), long, wide], users.valid)


def towards(angle: Array) -> Array:
    """Angles in (-pi, pi], or a little more: who comes the other way looks the same from all sides.

    Rounding alone would say pi of one and -pi of another.
    """
    angle = wrap(angle)
    return jnp.where(angle < OPPOSITE, angle + TURN, angle)


def of_ego(
    scene: Scene, frame: Frame, history: Motion, view: View
) -> Float[Array, "1 frames _features"]:
    """The ego's own past."""
    past = Motion(*(row[: view.frames] for row in history))
    users = Users(past.x, past.y, past.yaw, past.vx, past.vy, jnp.ones(view.frames, bool))
    size = jnp.broadcast_to(scene.of("size", EGO)[None, :2], (view.frames, 2))
    return of_users(frame, users, size)[None]


def who_is_seen(
    scene: Scene, frame: Frame, users: Users, view: View, key: Key | None
) -> Bool[Array, " N"]:
    """Who of the others is seen; with a key where that is by chance."""
    there, seen = others(scene, users), True
    if view.occlusion:
        seen = ~sensing.hidden(frame.x, frame.y, boxes_of(scene, users), there)
    if view.drop:
        assert key is not None
        distance = jnp.hypot(users.x - frame.x, users.y - frame.y)
        seen = seen & sensing.noticed(key, distance)
    return there & seen


def nearest_things(
    frame: Frame, places: tuple[AnyArray, AnyArray], there: Bool[Array, " n"], count: int
) -> tuple[Array, Array]:
    """Which of some things are nearest to the ego, int32 `[count]`, and bool, whether they exist.

    Args:
        frame: the ego's.
        places: x and y, `[n]` each.
        there: which of them count.
        count: how many are wanted.
    """
    dx, dy = places[0] - frame.x, places[1] - frame.y
    order = rows.sorted_places(jnp.where(there, dx * dx + dy * dy, jnp.inf))[:count]
    missing = (0, count - len(order))
    return jnp.pad(order, missing), jnp.pad(there[order], missing)


def of_map(scene: Scene, frame: Frame, view: View) -> Float[Array, "points _features"]:
    """The nearest points in front of the ego."""
    x, y = frame.seen_from(scene.row("seen_x"), scene.row("seen_y"))
    inside = (x > -view.back) & (x < view.front) & (jnp.abs(y) < view.side)
    distances = jnp.where(inside, x * x + y * y, jnp.inf)
    count = min(view.map_points, distances.shape[0])
    chosen = rows.nearest_few(distances, count)
    place = frame.place(scene.row("seen_x", chosen), scene.row("seen_y", chosen))
    direction = scene.of("map_dir", scene.row("seen", chosen))
    heading = frame.turned(direction[:, 0], direction[:, 1])
    heading = [jnp.clip(z, -1, 1) for z in heading]
    kinds = []
    if view.map_types:
        kind = scene.of("map_type", scene.row("seen", chosen))
        kinds = [jnp.float32(kind == np.int32(code)) for code in SEEN]
    points = _features([*place, *heading, *kinds], jnp.isfinite(distances[chosen]))
    return jnp.pad(points, ((0, view.map_points - count), (0, 0)))


def of_lights(
    scene: Scene, frame: Frame, time: Array, view: View
) -> Float[Array, "lights frames _features"]:
    """The nearest lights: place, state, over the last frames."""
    xy, valid = scene.of("light_xy"), scene.of("light_valid")
    chosen, found = nearest_things(frame, (xy[:, 0], xy[:, 1]), valid, view.lights)
    frames = time - np.arange(view.frames, dtype=np.int32)
    state = scene.of("light_state", chosen[:, None], frames[None, :])
    place = [
        jnp.broadcast_to(z[:, None], state.shape)
        for z in frame.place(scene.of("light_xy", chosen, 0), scene.of("light_xy", chosen, 1))
    ]
    states = [jnp.float32(state == code) for code in range(1, STATES + 1)]
    return _features([*place, *states], jnp.broadcast_to(found[:, None], state.shape))


def of_path(scene: Scene, frame: Frame, place: RoutePlace, view: View) -> Float[Array, "points 2"]:
    """Points ahead on the longest way that leads where the log does; its end if it is near."""
    path = scene.row("main_path")
    ahead = np.arange(1, view.path_points + 1, dtype=np.int32) * np.int32(view.path_gap)
    points = jnp.minimum(place.point + ahead, scene.row("path_end", path))
    x, y = scene.row("path_x", path, points), scene.row("path_y", path, points)
    return jnp.stack(frame.place(x, y), -1)


def of_log(scene: Scene, frame: Frame, time: Array, view: View) -> Float[Array, "points 2"]:
    """Where the ego was in the log in the frames after this one."""
    after = time + np.arange(1, view.path_points + 1, dtype=np.int32)
    xy = scene.of("log_xy", EGO, jnp.minimum(after, scene.frames - 1))
    return jnp.stack(frame.place(xy[:, 0], xy[:, 1]), -1)
