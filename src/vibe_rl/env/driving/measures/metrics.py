"""What is measured after a step: once, for the reward, the end of the episode and all reports."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vibe_rl.env.driving.geometry import corners
from vibe_rl.env.driving.measures import comfort
from vibe_rl.env.driving.measures.collisions import SeenUsers, at_fault, hits, time_to_collision
from vibe_rl.env.driving.motion.dynamics import Motion
from vibe_rl.env.driving.motion.routes import RoutePlace, passes_stop_line, progression
from vibe_rl.env.driving.road import road
from vibe_rl.env.driving.rows import smallest_entry
from vibe_rl.env.driving.scenarios.codes import STOP_LIGHTS, among
from vibe_rl.env.driving.scenarios.scenario import DT, EGO, FIRST_FRAME
from vibe_rl.env.driving.scenarios.scene import Scene, Users, boxes_of, ego_box, others
from vibe_rl.types import AnyArray

HORIZONS = {"vmax": 5.0, "nuplan": 3.0}
"""Seconds that one looks ahead for collisions, by the preset of metrics."""


class Metrics(NamedTuple):
    """Of one step, float32 scalars; those said to be flags are 0 or 1."""

    overlap: AnyArray  # a flag
    offroad: AnyArray  # a flag
    run_red_light: AnyArray  # a flag
    at_fault_collision: AnyArray  # a flag
    log_divergence: AnyArray  # m
    sdc_off_route: AnyArray  # m
    sdc_wrongway: AnyArray  # m
    sdc_progression: AnyArray  # of the logged drive's
    progress_ratio_nuplan: AnyArray  # of the logged drive's, where the log came nearest
    advance: AnyArray  # m, along the route
    pace: AnyArray  # m/s, how fast one would drive there
    ttc: AnyArray  # s
    comfort: AnyArray  # a flag
    soft_comfort: AnyArray  # 0 to 1
    speed: AnyArray  # m/s
    overspeed: AnyArray  # m/s above the limit
    multiple_lanes: AnyArray  # m driven astride lanes
    wrong_direction: AnyArray  # m driven where all lanes lead the other way


def measured_step(
    scene: Scene,
    frame: Array,
    history: Motion,
    users: Users,
    place: tuple[RoutePlace, RoutePlace],
    tolerance: AnyArray,
    kinds: tuple[str, str],
) -> Metrics:
    """All of them.

    Args:
        scene: where it is.
        frame: int32, of the log.
        history: of the ego, the last frames, the newest first.
        users: who is where.
        place: of the ego, before the step and after it.
        tolerance: how far a corner may stand off the road, m.
        kinds: the test for that, and the preset; see `Driving.offroad` and `Driving.metrics`.
    """
    (before, after), (test, preset) = place, kinds
    ego = Motion(*(row[0] for row in history))
    box = ego_box(scene, ego)
    seen = SeenUsers(boxes_of(scene, users), users, others(scene, users), scene.of("obj_type"))
    hit, red = hits(box, seen), red_lights(scene, frame)
    at = road(scene, ego, corners(box), tolerance, test)
    speed = jnp.hypot(ego.vx, ego.vy)
    excess = comfort.excesses(history, comfort.LIMITS[preset])
    numbers = Metrics(
        overlap=jnp.any(hit),
        offroad=at.offroad,
        run_red_light=passes_stop_line(before, after, scene.row("stop_s"), red),
        at_fault_collision=at_fault(box, speed, seen, hit, at.astride),
        log_divergence=log_divergence(scene, frame, ego),
        sdc_off_route=after.off_route,
        sdc_wrongway=after.wrong_way,
        sdc_progression=progression(scene, after),
        progress_ratio_nuplan=log_progress(scene, ego),
        advance=after.driven - before.driven,
        pace=after.pace,
        ttc=time_to_collision(box, ego, seen, HORIZONS[preset]),
        comfort=jnp.all(excess <= 0),
        soft_comfort=comfort.soft(excess),
        speed=speed,
        overspeed=jnp.maximum(speed - at.limit, 0),
        multiple_lanes=jnp.where(at.astride, speed * np.float32(DT), 0),
        wrong_direction=jnp.where(at.opposed, speed * np.float32(DT), 0),
    )
    return Metrics(*(jnp.asarray(x, jnp.float32) for x in numbers))


def red_lights(scene: Scene, frame: Array) -> Array:
    """Bool `[L]`, which lights say stop."""
    state = scene.of("light_state", slice(None), frame)
    return among(state, STOP_LIGHTS) & scene.of("light_valid")


def log_divergence(scene: Scene, frame: Array, ego: Motion) -> Float[Array, ""]:
    """Metres between the ego and where it was in the log."""
    logged = scene.of("log_xy", EGO, frame)
    return jnp.hypot(ego.x - logged[0], ego.y - logged[1])


def log_progress(scene: Scene, ego: Motion) -> Float[Array, ""]:
    """How much of the logged drive lies before its point nearest to the ego; 1 if it stood."""
    log = scene.of("log_xy", EGO)[FIRST_FRAME:]
    dx, dy = log[:, 0] - ego.x, log[:, 1] - ego.y
    room = -len(log) % 20
    distances = jnp.pad(dx * dx + dy * dy, (0, room), constant_values=np.inf)
    at = smallest_entry(distances)[1] + FIRST_FRAME
    whole = scene.row("log_s", scene.frames - 1)
    driven = scene.row("log_s", at)
    return jnp.where(whole < np.float32(0.5), 1, driven / jnp.maximum(whole, np.float32(0.5)))
