"""Logs of many scenes at once, by the traffic model, and what is wrong with the ego's."""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.driving.geometry import (
    TOLERANCE,
    Boxes,
    corners,
    obb_overlap,
    offroad_corridor,
)
from vibe_rl.env.driving.motion.traffic import (
    Of,
    Traffic,
    TruePoses,
    fields_of,
    poses,
    start_traffic,
    traffic_step,
)
from vibe_rl.env.driving.scenarios.codes import LANES, STOP_LIGHTS, among
from vibe_rl.env.driving.scenarios.scenario import EGO, FIRST_FRAME, Scenario

LEAST = np.float32(10.0)
"""Metres that the ego drives from the first frame of an episode on."""
BRAKING = np.float32(4.0)
"""m/s2: who stops so from the first frame of an episode on gets less than half as far."""
ROOM = np.float32(0.2)
"""Metres that the ego's corners keep from where an episode would end off the road."""


class Log(NamedTuple):
    """Everybody in all frames, `[T, N]`."""

    x: Any
    y: Any
    yaw: Any
    speed: Any


class Faults(NamedTuple):
    """What is wrong with a scene, bool."""

    overlap: Any
    off_road: Any
    red_light: Any
    short: Any  # the ego hardly moves, or no farther than by braking

    def any(self) -> Any:
        """Whether it has to be drawn anew."""
        return self.overlap | self.off_road | self.red_light | self.short


@cache
def roll_out() -> Any:
    """Of a bank of scenarios without logs: their logs, and the faults of each. Compiled once."""
    return jax.jit(jax.vmap(_roll_out))


def _roll_out(scenario: Scenario) -> tuple[Log, Faults]:
    of = fields_of(scenario)

    def step(now: Traffic, frame: Array) -> tuple[Traffic, tuple[Log, Array]]:
        seen = seen_at(of, now, frame)
        log = Log(seen.x, seen.y, seen.yaw, seen.speed)
        return traffic_step(of, now, seen, frame), (log, now.s)

    frames = jnp.arange(scenario.log_yaw.shape[-1], dtype=jnp.int32)
    log, s = jax.lax.scan(step, start_traffic(scenario), frames)[1]
    return log, faults(scenario, of, log, s[:, EGO])


def seen_at(of: Of, now: Traffic, frame: Array) -> TruePoses:
    """Everybody: on their routes, or where the log has those who walk."""
    routed, everybody = of("agent_route") >= 0, slice(None)
    walkers = of("log_xy", everybody, frame), of("log_vel", everybody, frame)
    x, y, yaw = poses(of, now.s)
    return TruePoses(
        x=jnp.where(routed, x, walkers[0][:, 0]),
        y=jnp.where(routed, y, walkers[0][:, 1]),
        yaw=jnp.where(routed, yaw, of("log_yaw", everybody, frame)),
        speed=jnp.where(routed, now.v, jnp.hypot(walkers[1][:, 0], walkers[1][:, 1])),
        valid=routed | of("log_valid", everybody, frame),
    )


def faults(scenario: Scenario, of: Of, log: Log, s: Array) -> Faults:
    """What is wrong with the log of the ego, which is at `s` `[T]` along its route."""
    size, there = of("size"), (of("agent_route") >= 0) | of("log_valid").any(-1)
    xy = jnp.stack([log.x, log.y], -1)
    everybody = Boxes(xy, log.yaw, size[None, :, 0], size[None, :, 1])
    ego = Boxes(everybody.xy[:, EGO], log.yaw[:, EGO], size[EGO, 0][None], size[EGO, 1][None])
    first = Boxes(ego.xy[:, None], ego.yaw[:, None], size[EGO, 0], size[EGO, 1])
    others = np.arange(size.shape[0]) != EGO
    hit = obb_overlap(first, everybody) & (there & others)[None]
    return Faults(
        overlap=hit.any(),
        off_road=_off_road(of, ego),
        red_light=_red_light(of, s),
        short=_short(s, log.speed[FIRST_FRAME, EGO]),
    )


def _short(s: Array, speed: Array) -> Array:
    """Whether a drive is no task: `s` is where it is in each frame, `speed` that at its start."""
    driven = s[-1] - s[FIRST_FRAME]
    return (driven < LEAST) | (driven / 2 < jnp.square(speed) / (2 * BRAKING))


def _off_road(of: Of, ego: Boxes) -> Array:
    lane = of("map_valid") & among(of("map_type"), LANES)
    reach = jnp.where(lane, of("map_width") / 2 + TOLERANCE - ROOM, -1)
    return offroad_corridor(corners(ego).reshape(-1, 2), of("map_xy"), reach)


def _red_light(of: Of, s: Array) -> Array:
    """Whether the front passes the stop line while the light says stop, in one frame."""
    route = of("agent_route")[EGO]
    front = s + of("size")[EGO, 0] / 2
    stops = among(of("light_state")[jnp.maximum(of("route_light")[route], 0)], STOP_LIGHTS)
    line = of("route_stop_s")[route]
    passed = (front[:-1] < line) & (line <= front[1:])
    return (passed & stops[1:]).any() & (of("route_light")[route] >= 0)
