"""How road users follow their routes: keep a distance, stop at lights, let others pass.

The intelligent driver model (Treiber, 2000) behind whoever is on the way, with leaders that stand
where a light or a conflict stops one. Logs are made by it, and whoever reacts is moved by it.

A scenario is read by `of(field, *place)`, an entry of one of its arrays, so that one scene of a
bank is read in place.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vibe_rl.env.driving import rows
from vibe_rl.env.driving.scenarios.codes import CAUTION_LIGHTS, STOP_LIGHTS, among
from vibe_rl.env.driving.scenarios.scenario import DT, NO_STOP_LINE, Scenario
from vibe_rl.types import AnyArray

LOOK = 72
"""Points of the route ahead that are looked at, a metre apart."""
ACCELERATION, BRAKING, LATE = np.float32(2.0), np.float32(3.0), np.float32(4.5)
"""m/s2: of the model, and up to which it is not too late to let somebody pass."""
HEADWAY, STANDSTILL = np.float32(1.4), np.float32(2.5)
"""Seconds and metres kept."""
HARDEST = np.float32(-6.0)
"""m/s2."""
STEP = np.float32(DT)
PLACE = np.int32(127)
"""The bits of a place among `LOOK`."""

Of = Callable[..., Array]


class Traffic(NamedTuple):
    """Where everybody is along their routes, float32 `[N]`."""

    s: AnyArray  # m
    v: AnyArray  # m/s


class TruePoses(NamedTuple):
    """Everybody's true pose, `[N]`; sizes are those of the scenario."""

    x: AnyArray  # m
    y: AnyArray
    yaw: AnyArray
    speed: AnyArray  # m/s along the heading
    valid: AnyArray  # bool


class Leaders(NamedTuple):
    """Who or what is ahead, `[N, n]`; an infinite gap where there is none."""

    gap: Array  # m, bumper to bumper
    speed: Array  # m/s along the route


def fields_of(scenario: Scenario) -> Of:
    """How one scenario that is no part of a bank is read."""
    return lambda field, *place: jnp.asarray(getattr(scenario, field))[place]


def traffic_step(of: Of, now: Traffic, seen: TruePoses, frame: AnyArray) -> Traffic:
    """Everybody along their route one frame later; who has none stays where they are.

    Args:
        of: reads the scenario.
        now: where they are; for those whom the model does not move, see `tracked`.
        seen: everybody's boxes, in the same frame.
        frame: int, of the lights.
    """
    everything = [leaders(of, now, seen), lights(of, now, frame), conflicts(of, now, seen, frame)]
    gap, speed = (jnp.concatenate(x, -1) for x in zip(*everything, strict=True))
    a = acceleration(now.v, desired(of, now.s), Leaders(gap, speed))
    v = jnp.maximum(0, now.v + a * STEP)
    return Traffic(now.s + (now.v + v) * STEP / 2, v)


def acceleration(v: Float[Array, " N"], v_des: Float[Array, " N"], ahead: Leaders) -> Array:
    """The model's, in m/s2, behind the leader that asks for most."""
    closing = v[:, None] * (v[:, None] - ahead.speed) / np.float32(2 * np.sqrt(6.0))
    kept = STANDSTILL + jnp.maximum(0, v[:, None] * HEADWAY + closing)
    tight = jnp.square(kept / jnp.maximum(ahead.gap, np.float32(0.1))).max(-1)
    free = jnp.square(jnp.square(v / jnp.maximum(v_des, np.float32(0.1))))
    return jnp.clip(ACCELERATION * (1 - free - tight), HARDEST, ACCELERATION)


def desired(of: Of, s: Float[AnyArray, " N"]) -> Float[Array, " N"]:
    """How fast each wants to go, m/s."""
    route = _routes(of)
    return of("route_vref", route, _points(of, s)) * of("agent_speed_factor")


def leaders(of: Of, now: Traffic, seen: TruePoses) -> Leaders:
    """Those whose boxes reach into the way of each, `[N, N]`."""
    point = (
        jnp.clip(now.s, 0, None).astype(jnp.int32)[:, None] + np.arange(LOOK, dtype=np.int32)[None]
    )
    x, y = route_points(of, point)
    dx, dy = x[:, None] - seen.x[None, :, None], y[:, None] - seen.y[None, :, None]
    squared, near = nearest_point(dx * dx + dy * dy)
    point = point[:, :1] + near
    turn = seen.yaw[None] - route_yaw(of, point)
    c, s = jnp.cos(turn), jnp.sin(turn)
    length, width = of("size")[:, 0], of("size")[:, 1]
    beside = (length[None] * jnp.abs(s) + width[None] * jnp.abs(c)) / 2
    before = (length[None] * jnp.abs(c) + width[None] * jnp.abs(s)) / 2
    ahead = point.astype(jnp.float32) - now.s[:, None]
    own = np.eye(length.shape[0], dtype=bool)
    there = jnp.sqrt(squared) < beside + width[:, None] / 2 + np.float32(0.25)
    there &= (ahead > np.float32(0.1)) & seen.valid[None] & ~own & (of("agent_route") >= 0)[:, None]
    gap = jnp.where(there, ahead - before - length[:, None] / 2, jnp.inf)
    return Leaders(gap, jnp.maximum(0, seen.speed[None] * c))


def nearest_point(squared: Float[Array, "*n LOOK"]) -> tuple[Array, Array]:
    """The smallest along the last axis and its place, to 17 bits; of equal ones the first.

    Floats that are not negative are ordered as their bits, the last of which here say the place.
    """
    place = jax.lax.broadcasted_iota(jnp.int32, squared.shape, squared.ndim - 1)
    bits = (jax.lax.bitcast_convert_type(squared, jnp.int32) & ~PLACE) | place
    best = rows.folded(jnp.minimum, bits, 8).min(-1)
    return jax.lax.bitcast_convert_type(best & ~PLACE, jnp.float32), best & PLACE


def lights(of: Of, now: Traffic, frame: AnyArray) -> Leaders:
    """The stop line of whoever has to stop there, `[N, 1]`."""
    gap = jnp.where(_held(of, now, frame), _to_stop_line(of, now), jnp.inf)[:, None]
    return Leaders(gap, jnp.zeros_like(gap))


def _held(of: Of, now: Traffic, frame: AnyArray) -> Bool[Array, " N"]:
    """Whether a light stops each: a red one, or a yellow one before which one can stop."""
    can = now.v * now.v / (2 * BRAKING) < _to_stop_line(of, now) + 1
    return faces(of, now, frame, STOP_LIGHTS) | (faces(of, now, frame, CAUTION_LIGHTS) & can)


def faces(of: Of, now: Traffic, frame: AnyArray, codes: tuple[int, ...]) -> Bool[Array, " N"]:
    """Whether each comes to a light that shows one of these codes."""
    light, distance = of("route_light", _routes(of)), _to_stop_line(of, now)
    shown = among(of("light_state", jnp.maximum(light, 0), frame), codes)
    there = (light >= 0) & (of("agent_route") >= 0)
    return there & (distance > 0) & (distance < np.float32(NO_STOP_LINE / 2)) & shown


def conflicts(of: Of, now: Traffic, seen: TruePoses, frame: AnyArray) -> Leaders:
    """The points at which each has to let somebody pass, `[N, N]`; nobody waits for whom red holds.

    Who stops at a yellow light may still go on, and is waited for.
    """
    first, second = _routes(of)[:, None], _routes(of)[None]
    own = of("conflict_s", first, second) - now.s[:, None]
    other = of("conflict_other_s", first, second) - now.s[None]
    length, v = of("size")[:, 0], now.v[:, None]
    arrives = own / jnp.maximum(v, 3)
    enters = (other - 6) / jnp.maximum(now.v, np.float32(2.5))[None]
    leaves = (other + length[None] + 8) / jnp.maximum(now.v, np.float32(0.8))[None]
    meet = (arrives >= enters - 2) & (arrives <= leaves + np.float32(1.5))
    near = (own > 0) & (own < 45) & (other > -length[None] - 6) & (other < 70)
    in_time = v * v / (2 * LATE) < own + np.float32(0.5)
    routed = of("agent_route") >= 0
    other_goes = seen.valid & routed & ~faces(of, now, frame, STOP_LIGHTS)
    yields = of("must_yield", first, second) & routed[:, None] & other_goes[None]
    gap = jnp.where(yields & meet & near & in_time, own - length[:, None] / 2, jnp.inf)
    return Leaders(gap, jnp.zeros_like(gap))


def poses(of: Of, s: Float[AnyArray, " N"]) -> tuple[Array, Array, Array]:
    """Everybody's x, y and yaw at arc lengths of their routes, which go on straight at the end.

    Who has no route has a pose that means nothing.
    """
    point, last = _points(of, s), of("route_xy").shape[1] - 1
    part = s - point.astype(jnp.float32)
    both = jnp.stack([point, point + 1], 1)
    (x, y), yaw = route_points(of, both), route_yaw(of, both)
    turned = yaw[:, 0] + (yaw[:, 1] - yaw[:, 0]) * jnp.clip(part, 0, 1) * (point < last)
    wrapped = turned - np.float32(2 * np.pi) * jnp.ceil(turned / np.float32(2 * np.pi) - 0.5)
    return x[:, 0] + (x[:, 1] - x[:, 0]) * part, y[:, 0] + (y[:, 1] - y[:, 0]) * part, wrapped


def tracked(of: Of, now: Traffic, seen: TruePoses) -> Traffic:
    """Where on their routes those are whom something else moved, near where they were.

    The nearest of the points around the old place, to the metre and by the heading to its parts.
    """
    first = jnp.clip(now.s.astype(jnp.int32) - 8, 0, None)
    point = first[:, None] + np.arange(24, dtype=np.int32)[None]
    x, y = route_points(of, point)
    dx, dy = seen.x[:, None] - x, seen.y[:, None] - y
    near = jnp.argmin(dx * dx + dy * dy, -1)[:, None]
    x, y = (jnp.take_along_axis(a, near, 1)[:, 0] for a in (dx, dy))
    yaw = route_yaw(of, first[:, None] + near)[:, 0]
    along = x * jnp.cos(yaw) + y * jnp.sin(yaw)
    s = (first + near[:, 0]).astype(jnp.float32) + jnp.clip(along, -1, 1)
    return Traffic(jnp.maximum(s, 0), jnp.maximum(seen.speed, 0))


def route_points(of: Of, point: Int[Array, "N n"]) -> tuple[Array, Array]:
    """x and y at points of everybody's routes, `[N, n]`, straight on beyond the last."""
    last = of("route_xy").shape[1] - 1
    inside = jnp.minimum(point, last)
    xy = of("route_xy", _routes(of)[:, None], inside)
    end = of("route_yaw", _routes(of), last)[:, None]
    beyond = (point - inside).astype(jnp.float32)
    return xy[..., 0] + beyond * jnp.cos(end), xy[..., 1] + beyond * jnp.sin(end)


def route_yaw(of: Of, point: Int[Array, "N n"]) -> Float[Array, "N n"]:
    """The heading at points of everybody's routes, that of the last beyond it."""
    last = of("route_yaw").shape[1] - 1
    return of("route_yaw", _routes(of)[:, None], jnp.minimum(point, last))


def start_traffic(scenario: Scenario) -> Traffic:
    """Everybody at frame 0."""
    return Traffic(jnp.asarray(scenario.agent_s0), jnp.asarray(scenario.agent_v0))


def _routes(of: Of) -> Int[Array, " N"]:
    return jnp.maximum(of("agent_route"), 0)


def _points(of: Of, s: Float[AnyArray, " N"]) -> Int[Array, " N"]:
    return jnp.clip(s.astype(jnp.int32), 0, of("route_vref").shape[1] - 1)


def _to_stop_line(of: Of, now: Traffic) -> Float[Array, " N"]:
    """Metres from the front bumper."""
    return of("route_stop_s", _routes(of)) - now.s - of("size")[:, 0] / 2
