"""The traffic model against plain NumPy, and by what drivers are known to do."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.env.driving.generate import generate
from vibe_rl.env.driving.generate.logs import roll_out
from vibe_rl.env.driving.generate.making import TOGETHER
from vibe_rl.env.driving.motion.traffic import Traffic, TruePoses, fields_of, tracked, traffic_step
from vibe_rl.env.driving.scenarios.codes import GREEN, RED, YELLOW
from vibe_rl.env.driving.scenarios.scenario import Dims, Scenario, empty_scenario, stacked

step = jax.jit(lambda scene, now, seen, frame: traffic_step(fields_of(scene), now, seen, frame))


@cache
def generated() -> list[Scenario]:
    return [scene for _, scene in generate(3, 4)]


def straight_road(starts: list[float], speeds: list[float]) -> Scenario:
    """Cars on one straight route of 20 m/s, each on a copy of it."""
    scene = empty_scenario(Dims())
    n = len(starts)
    scene.route_xy[:, :, 0] = np.arange(scene.route_xy.shape[1])
    scene.route_vref[:] = 20.0
    scene.route_len[:n] = scene.route_xy.shape[1] - 1
    scene.agent_route[:n] = np.arange(n)
    scene.agent_s0[:n], scene.agent_v0[:n] = starts, speeds
    scene.agent_speed_factor[:] = 1.0
    scene.size[:n] = (4.0, 2.0, 1.5)
    return scene


def driven(scene: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """Arc lengths along x, and speeds; `[T, N]`."""
    log, _ = jax.device_get(roll_out()(stacked([scene] * TOGETHER)))
    return np.asarray(log.x[0]), np.asarray(log.speed[0])


def test_who_has_a_free_road_reaches_the_wanted_speed_and_no_more():
    _, speed = driven(straight_road([0.0], [15.0]))
    assert 19.0 < speed[-1, 0] <= 20.0
    assert np.all(np.diff(speed[:, 0]) >= 0)


def test_who_follows_keeps_the_distance_of_the_model():
    scene = straight_road([0.0, 25.0], [8.0, 8.0])
    scene.agent_speed_factor[1] = 0.4  # the leader goes 8 m/s
    x, speed = driven(scene)
    # IDM at rest: gap = (2.5 + 1.4 * 8) / sqrt(1 - (8 / 20)^4) = 13.88 m
    assert x[-1, 1] - x[-1, 0] - 4 == pytest.approx(13.88, abs=1.0)
    assert speed[-1, 0] == pytest.approx(8, abs=0.4)


@pytest.mark.parametrize(("state", "stops"), [(RED, True), (YELLOW, True), (GREEN, False)])
def test_a_red_light_and_one_that_turns_red_in_time_stop_a_car(state, stops):
    scene = straight_road([0.0], [10.0])
    scene.light_valid[0], scene.light_state[0] = True, state
    scene.route_light[0], scene.route_stop_s[0] = 0, 50.0
    x, speed = driven(scene)
    front = x[-1, 0] + 2
    assert (front < 50 and speed[-1, 0] < 0.6) if stops else front > 80


def test_a_yellow_light_does_not_stop_who_cannot_stop_any_more():
    scene = straight_road([40.0], [15.0])  # 8 m before the line; 37 m are needed
    scene.light_valid[0], scene.light_state[0] = True, YELLOW
    scene.route_light[0], scene.route_stop_s[0] = 0, 50.0
    assert driven(scene)[0][-1, 0] > 100


def crossing(must_yield):
    """Two roads that cross at 60 m of both."""
    scene = straight_road([0.0, 0.0], [10.0, 10.0])
    scene.route_xy[1] = scene.route_xy[1][:, ::-1] - [0, 60] + [60, 0]
    scene.route_yaw[1] = np.pi / 2
    scene.conflict_s[0, 1] = scene.conflict_other_s[0, 1] = 58
    scene.must_yield[0, 1] = must_yield
    scene.agent_speed_factor[:2] = 0.5
    return scene


@pytest.mark.parametrize(("state", "waits"), [(RED, False), (YELLOW, True)])
def test_nobody_waits_for_whom_a_red_light_holds(state, waits):
    scene = crossing(must_yield=True)
    scene.light_valid[0], scene.light_state[0] = True, state
    scene.route_light[1], scene.route_stop_s[1] = 0, 50.0
    log, _ = jax.device_get(roll_out()(stacked([scene] * TOGETHER)))
    assert log.y[0, -1, 1] + 2 < -10
    assert (log.x[0, -1, 0] < 58) == waits


@pytest.mark.parametrize("must_yield", [True, False])
def test_who_has_to_yield_lets_the_other_pass_first(must_yield):
    scene = crossing(must_yield)
    log, _ = jax.device_get(roll_out()(stacked([scene] * TOGETHER)))
    first = np.argmax(log.x[0, :, 0] > 60) or 1000
    second = np.argmax(log.y[0, :, 1] > 0) or 1000
    assert second < 90
    assert first > second + 10 if must_yield else first == pytest.approx(second, abs=12)


def accelerations(scene: Scenario, now: Traffic, seen: TruePoses, frame: int) -> np.ndarray:
    """The model written as its description says it, in loops; NaN for who has no route."""
    n = len(scene.agent_route)
    found = np.full(n, np.nan)
    for i in range(n):
        if scene.agent_route[i] >= 0:
            gaps = [*led(scene, now, seen, i), *stopped(scene, now, seen, i, frame)]
            found[i] = model(scene, now, i, gaps)
    return found


def model(scene, now, i, gaps):
    v = now.v[i]
    wanted = scene.route_vref[i, int(now.s[i])] * scene.agent_speed_factor[i]
    tight = [
        (2.5 + max(0, v * 1.4 + v * (v - leader) / (2 * 6**0.5))) / max(gap, 0.1)
        for gap, leader in gaps
    ]
    return np.clip(2 * (1 - (v / wanted) ** 4 - max([0, *tight]) ** 2), -6, 2)


def led(scene, now, seen, i):
    points = [int(now.s[i]) + k for k in range(72) if int(now.s[i]) + k < scene.route_xy.shape[1]]
    for j in range(len(scene.agent_route)):
        if j == i or scene.agent_route[j] < 0:
            continue
        distances = [np.hypot(*(scene.route_xy[i, q] - [seen.x[j], seen.y[j]])) for q in points]
        q = points[int(np.argmin(distances))]
        turn = seen.yaw[j] - scene.route_yaw[i, q]
        c, s = abs(np.cos(turn)), abs(np.sin(turn))
        length, width = scene.size[j, 0], scene.size[j, 1]
        near = (length * s + width * c) / 2 + scene.size[i, 1] / 2 + 0.25
        if min(distances) < near and q > now.s[i] + 0.1:
            gap = q - now.s[i] - (length * c + width * s) / 2 - scene.size[i, 0] / 2
            yield gap, max(0, now.v[j] * np.cos(turn))


def held(scene, now, i, frame):
    light = scene.route_light[i]
    distance = scene.route_stop_s[i] - now.s[i] - scene.size[i, 0] / 2
    if light < 0 or distance <= 0:
        return None
    state = scene.light_state[light, frame]
    yellow = state == YELLOW and now.v[i] ** 2 / 6 < distance + 1
    return (distance, state) if state == RED or yellow else None


def stopped(scene, now, seen, i, frame):
    if (line := held(scene, now, i, frame)) is not None:
        yield line[0], 0.0
    for j in np.flatnonzero(scene.must_yield[i]):
        d, e = scene.conflict_s[i, j] - now.s[i], scene.conflict_other_s[i, j] - now.s[j]
        arrives, length = d / max(now.v[i], 3), scene.size[j, 0]
        enters = (e - 6) / max(now.v[j], 2.5) - 2
        leaves = (e + length + 8) / max(now.v[j], 0.8) + 1.5
        close = 0 < d < 45 and -length - 6 < e < 70 and now.v[i] ** 2 / 9 < d + 0.5
        waits_at_red = (held(scene, now, j, frame) or (0, 0))[1] == RED
        if enters <= arrives <= leaves and close and not waits_at_red:
            yield d - scene.size[i, 0] / 2, 0.0


def test_the_model_is_what_its_description_says_in_loops():
    yields = 0
    for scene in generated():
        s, v = scene.agent_s0.copy(), scene.agent_v0.copy()
        for frame in range(45):
            x, y = scene.log_xy[:, frame].T
            seen = TruePoses(x, y, scene.log_yaw[:, frame], v, scene.agent_route >= 0)
            after = jax.device_get(step(scene, Traffic(s, v), seen, jnp.int32(frame)))
            if frame % 15 == 0:
                wanted = np.maximum(0, v + 0.1 * accelerations(scene, Traffic(s, v), seen, frame))
                there = scene.agent_route >= 0
                np.testing.assert_allclose(after.v[there], wanted[there], atol=2e-3)
            yields += scene.must_yield.sum()
            s, v = after.s, after.v
    assert yields > 0


def test_who_is_moved_by_something_else_is_found_on_its_route_again():
    scene = generated()[2]
    s, v = np.asarray(scene.agent_s0), np.asarray(scene.agent_v0)
    x, y = scene.log_xy[:, 0].T
    seen = TruePoses(x, y, scene.log_yaw[:, 0], v, scene.agent_route >= 0)
    there = scene.agent_route >= 0
    now = jax.jit(lambda s: tracked(fields_of(scene), Traffic(s, v), seen))(s + 3.0)
    np.testing.assert_allclose(now.s[there], s[there], atol=0.1)
