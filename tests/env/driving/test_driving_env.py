"""Driving: what a step measures, in scenes laid out by hand, and what does not change anything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from driving_scenes import drive, moved
from hypothesis import given, settings
from hypothesis import strategies as st

from straight_roads import bank, straight
from vibe_rl.env import AutoResetWrapper, Driving, driving_params, make
from vibe_rl.env.driving import observe, reward, road
from vibe_rl.env.driving.geometry import Boxes, corners, offroad_corridor, offroad_edge
from vibe_rl.env.driving.params import with_scenario, with_scenarios
from vibe_rl.env.driving.scenarios.scenario import chosen, stacked
from vibe_rl.env.driving.scenarios.scene import Scene
from vibe_rl.env.driving.scenarios.tables import MPH, prepare_tables
from vibe_rl.errors import ConfigError, UnknownNameError

ENV = Driving()
OPTIONS = "occlusion", "drop", "map_types"
ACTORS = tuple(ENV.actors())
RESET = jax.jit(ENV.reset)
BANK = bank()
PARAMS = driving_params(BANK)
LEADER, RED = 0, 2
"""Scenarios with a slower leader, and with a red light at x = 80."""


def first_end(steps):
    """The step with which each scenario ends."""
    return np.argmax(np.asarray(steps.terminated | steps.truncated), -1)


def at_end(steps):
    """What is told of each scenario's episode."""
    ends, all_of = first_end(steps), np.arange(len(first_end(steps)))
    return {name: np.asarray(x)[all_of, ends] for name, x in steps.info["episode"].items()}


@pytest.fixture(scope="module")
def constant():
    """Everybody goes on as they do."""
    return jax.device_get(drive(ENV, "constant", PARAMS, among=ACTORS))


def test_a_drive_into_a_slower_leader_ends_there(constant):
    """From x = 20 at 10 m/s towards 45 m at 5 m/s, 4 m long both: 21 m closed in 4.2 s."""
    told = at_end(constant)
    assert first_end(constant)[LEADER] == 42  # strictly beyond touching
    assert told["ended_by_overlap"][LEADER] == told["at_fault_collision"][LEADER] == 1
    assert told["success"][LEADER] == told["accuracy"][LEADER] == 0
    assert constant.reward[LEADER, 42] == pytest.approx(-4.8)


def test_a_drive_like_the_log_succeeds_after_eighty_steps(constant):
    told = at_end(constant)
    assert (first_end(constant)[2:] == 79).all()
    for name in ("success", "accuracy", "ended_by_time", "comfort", "making_progress"):
        assert (told[name][2:] == 1).all()
    np.testing.assert_allclose(told["sdc_progression"][2:], 1, atol=1e-3)
    np.testing.assert_allclose(told["progress_ratio"][2:], 1, atol=1e-3)
    np.testing.assert_allclose(told["log_divergence"][2:], 0, atol=1e-3)
    np.testing.assert_allclose(told["max_speed_kmh"][2:], [21.6, 18], rtol=1e-4)
    np.testing.assert_array_equal(told["scenario"], np.arange(4))
    np.testing.assert_array_equal(told["family"], 4)


def test_episode_metrics_are_what_the_steps_add_up_to(constant):
    step, told = constant.info["metrics"], constant.info["episode"]
    until = {
        name: np.asarray(step[f"step_{name}"])[3] for name in ("ttc", "speed", "log_divergence")
    }
    np.testing.assert_allclose(told["min_ttc"][3], np.minimum.accumulate(until["ttc"]))
    np.testing.assert_allclose(told["max_speed"][3], np.maximum.accumulate(until["speed"]))
    means = np.cumsum(until["log_divergence"]) / np.arange(1, 81)
    np.testing.assert_allclose(told["log_divergence"][3], means, atol=1e-5)


def actions(*columns):
    """Eighty times the same."""
    return np.tile(np.array(columns, np.float32), (80, 1))


@pytest.fixture(scope="module")
def swerving():
    """A steady turn to the left, terminations off."""
    off = dict.fromkeys(("terminate_overlap", "terminate_offroad", "terminate_red_light"), False)
    params = driving_params(BANK, "behavior", **off)
    return jax.device_get(drive(ENV, None, params, actions(0.0, 0.02), among=ACTORS))


def test_nothing_ends_an_episode_whose_terminations_are_off_but_time(swerving):
    assert not swerving.terminated.any()
    assert (first_end(swerving) == 79).all()
    told = at_end(swerving)
    assert (told["offroad"] == 1).all()
    assert (told["accuracy"] == 1).all()
    assert (told["success"] == 0).all()


def test_the_reward_is_the_sum_of_its_terms(swerving):
    parts = [swerving.info["metrics"][f"reward_{name}"] for name in reward.TERMS]
    np.testing.assert_allclose(swerving.reward, sum(parts), atol=1e-6)


def test_who_leaves_the_road_leaves_it_where_all_points_say_so(swerving):
    history = jax.tree.map(np.asarray, swerving.state.history)
    xy = np.stack([history.x[..., 0], history.y[..., 0]], -1)
    boxes = Boxes(
        *(
            np.asarray(v, np.float32)
            for v in (xy, history.yaw[..., 0], 4 + 0 * xy[..., 0], 2 + 0 * xy[..., 0])
        )
    )
    around = jax.jit(corners)(boxes)
    lanes = chosen(BANK, 0)
    lane = lanes.map_valid & (lanes.map_type == 2)
    reach = np.where(lane, lanes.map_width / 2 + np.float32(0.3), np.float32(-1))
    expected = jax.jit(jax.vmap(lambda c: offroad_corridor(c, lanes.map_xy, reach)))(around[0])
    np.testing.assert_array_equal(swerving.info["metrics"]["step_offroad"][0], expected)
    assert 0 < np.mean(expected) < 1


def test_where_all_lanes_lead_the_other_way_the_direction_is_wrong():
    back = bank()._replace(map_dir=-BANK.map_dir)
    told = at_end(drive(ENV, "constant", with_scenarios(PARAMS, back), among=ACTORS))
    np.testing.assert_allclose(told["wrong_direction_distance"][3], 40, rtol=1e-3)  # 8 s at 5 m/s
    assert told["driving_direction_compliance"][3] == told["vmax_aggregate_score"][3] == 0


@pytest.fixture(scope="module")
def hurried():
    """Full throttle."""
    return jax.device_get(drive(ENV, None, PARAMS, actions(1.0, 0.0), among=ACTORS))


def test_a_red_light_counts_when_the_front_comes_over_its_stop_line(hurried):
    step = first_end(hurried)[RED]
    told = at_end(hurried)
    assert told["ended_by_red_light"][RED] == told["run_red_light"][RED] == 1
    x = np.asarray(hurried.state.history.x)[RED, :, 0] + 2  # of the front
    assert x[step - 1] < 80 <= x[step]
    assert told["run_red_light"][3] == 0  # green there


def test_speeding_counts_above_the_lanes_limit(hurried):
    speeds = np.asarray(hurried.info["metrics"]["step_speed"])[3]
    over = np.asarray(hurried.info["metrics"]["step_overspeed"])[3]
    np.testing.assert_allclose(over, np.maximum(speeds - 15, 0), atol=1e-4)


@settings(max_examples=6, deadline=None)
@given(st.floats(-3, 3), st.floats(-300, 300), st.floats(-300, 300))
def test_a_world_turned_and_shifted_is_the_same_to_the_driver(swerving, angle, dx, dy):
    off = dict.fromkeys(("terminate_overlap", "terminate_offroad", "terminate_red_light"), False)
    params = driving_params(moved(BANK, angle, dx, dy), "behavior", **off)
    found = drive(ENV, None, params, actions(0.0, 0.02), among=ACTORS)
    for a, b in ((found.obs, swerving.obs), (found.reward, swerving.reward)):
        close = np.isclose(a, b, atol=2e-3)
        assert np.mean(close) > 0.995  # equally near points change places
    for entry in ("metrics", "episode"):
        for name, values in found.info[entry].items():
            close = np.isclose(values, swerving.info[entry][name], atol=2e-2)
            assert np.mean(close) > 0.98, name


def test_who_comes_the_other_way_looks_the_same_whatever_rounding_says():
    turned = np.float32([np.pi - 1e-6, 1e-6 - np.pi, 3 * np.pi + 1e-5, -3.0, 1.0])
    seen = observe.towards(jnp.asarray(turned))
    np.testing.assert_allclose(seen, [np.pi] * 3 + [-3.0, 1.0], atol=1e-4)


def test_the_nearest_points_are_those_of_all_points(swerving):
    view, scene = ENV.observation, Scene(BANK, PARAMS.tables, jnp.int32(1))
    state = jax.tree.map(lambda x: jnp.asarray(x[1, 20]), swerving.state)

    @jax.jit
    def seen(state):
        frame = observe.frame_of(jax.tree.map(lambda x: x[0], state.history), view)
        return frame, observe.of_map(scene, frame, view)

    frame, found = seen(state)
    own = chosen(BANK, 1)
    kept = np.flatnonzero(own.map_valid & np.isin(own.map_type, (1, 2, 15)))[::2]
    local = np.stack(frame.seen_from(own.map_xy[kept, 0], own.map_xy[kept, 1]), -1)
    inside = (local[:, 0] > -5) & (local[:, 0] < 70) & (np.abs(local[:, 1]) < 20)
    distances = np.sort(np.linalg.norm(local[inside], axis=-1))[:64]
    assert len(distances) == found[:, 4].sum() == 64
    np.testing.assert_allclose(np.linalg.norm(found[:, :2] * 70, axis=-1), distances, rtol=1e-3)


@pytest.mark.parametrize("test", ["edge", "both", "scenario", "corridor"])
def test_the_road_ends_where_the_asked_test_says(test):
    """At y = 5 the left lane ends, at 1.5 * 3.7; in its middle at x < 0 there is no lane."""
    params = driving_params(bank(edges=True))
    scene = Scene(params.scenarios, params.tables, jnp.int32(0))
    ego = jax.tree.map(lambda x: x[0], RESET(jax.random.key(0), PARAMS)[1].history)

    def answer(place):
        box = Boxes(place, *(np.float32(v) for v in (0, 4, 2)))
        standing = ego._replace(x=place[0], y=place[1], yaw=jnp.float32(0))
        outside = road.bits_around(scene, standing, corners(box), 0.3) & 15 != 15
        return road.offroad(scene, corners(box), outside, test)

    places = np.array([(50, 1), (50, 5.2), (-6, 1)], np.float32)
    edge, corridor = [False, True, False], [False, True, True]
    expected = {"edge": edge, "scenario": edge, "corridor": corridor, "both": edge}
    np.testing.assert_array_equal(jax.jit(jax.vmap(answer))(places), expected[test])


def test_edges_are_asked_only_of_scenarios_that_have_them():
    both = bank()._replace(has_edges=np.array([True, False, True, False]))
    params = driving_params(both)

    def outside(index):
        scene = Scene(params.scenarios, params.tables, index)
        box = Boxes(jnp.array([-6.0, 1.0]), *(jnp.float32(v) for v in (0, 4, 2)))
        return road.offroad(scene, corners(box), jnp.array(True), "scenario")

    found = jax.jit(jax.vmap(outside))(jnp.arange(4))
    np.testing.assert_array_equal(found, [False, True, False, True])


@pytest.mark.parametrize("name", ["expert", "expert_inverse", "idm", "lane", "brake"])
def test_scripted_drivers_do_what_they_are_for(name):
    told = at_end(drive(ENV, name, PARAMS, among=ACTORS))
    success = {
        "expert": [0, 0, 1, 1],  # the logs of the first two run into their leaders
        "expert_inverse": [0, 0, 1, 1],
        "idm": [1, 1, 1, 1],
        "lane": [0, 0, 0, 1],
        "brake": [0, 0, 0, 0],
    }
    np.testing.assert_array_equal(told["success"], success[name])
    assert name != "lane" or told["run_red_light"][RED] == 1


@pytest.mark.parametrize(
    "options",
    [
        {"dynamics": "delta_local"},
        {"bins": (7, 21)},
        {"dynamics": "delta_global", "bins": (121, 3, 5)},
    ],
)
def test_experts_follow_the_log_with_other_actions(options):
    env = Driving(**options, observation="gt")
    told = at_end(drive(env, "expert", PARAMS))
    np.testing.assert_array_equal(told["success"], [0, 0, 1, 1])


def test_observations_are_taken_apart_from_their_space():
    obs, _ = RESET(jax.random.key(0), with_scenario(PARAMS, LEADER))
    space = ENV.observation_space(PARAMS)
    assert space.shape == (564,)
    assert Driving(observation="vec").observation_space(PARAMS).shape == (1655,)
    parts = space.take_apart(obs)
    ego, agents = np.asarray(parts["ego"]), np.asarray(parts["agents"])
    np.testing.assert_allclose(ego[0, 0], [0, 0, 1 / 3, 0, 0, 4 / 70, 2 / 70, 1], atol=1e-6)
    np.testing.assert_allclose(ego[0, 1, 0], -1 / 70, atol=1e-6)  # 1 m behind
    np.testing.assert_allclose(agents[0, 0, :3], [25 / 70, 0, 5 / 30], atol=1e-5)
    np.testing.assert_array_equal(agents[1:], 0)
    light = np.zeros(11)
    light[[0, 2 + 6 - 1, -1]] = 60 / 70, 1, 1  # green
    np.testing.assert_allclose(parts["lights"][0, 0], light, atol=1e-5)
    np.testing.assert_allclose(parts["path"][0], [12 / 70, 0], atol=1e-5)


MISSING = Driving(
    observation={**{"name": "vec_small", "agents": 3, "noise": 0.1}, **dict.fromkeys(OPTIONS, True)}
)


@pytest.fixture(scope="module")
def missed():
    """First observations by many keys: two vehicles ahead on the lane, one on the next."""
    others = ((25.0, 0, 5.0), (40.0, 0, 5.0), (40.0, 1, 5.0))
    params = driving_params(stacked([straight(5.0, others=others)]))

    def one(key):
        obs, state = MISSING.reset(key, params)
        return MISSING.observation_space(params).take_apart(obs), MISSING.obs_of(state, params), obs

    parts, again, obs = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 256))
    np.testing.assert_array_equal(again, obs)
    return jax.tree.map(np.asarray, parts)


def test_who_is_behind_another_is_not_seen_and_who_is_far_is_often_overlooked(missed):
    latest = missed["agents"][:, :, 0]
    there = latest[..., -1] > 0
    x, y = 70 * latest[there][:, 0], 70 * latest[there][:, 1]
    near, aside = np.hypot(x - 15, y) < 1, np.hypot(x - 30, y - 3.7) < 1
    assert (near | aside).all()  # at 30 m on the lane, nobody
    for who, distance in ((near, 15.0), (aside, 30.2)):
        chance = np.exp(-distance / 200)
        assert who.sum() / 256 == pytest.approx(
            chance, abs=4 * np.sqrt(chance * (1 - chance) / 256)
        )


def test_others_are_seen_askew_by_so_much_in_every_frame(missed):
    rows = missed["agents"][missed["agents"][..., 0, -1] > 0]
    off = 70 * np.diff(rows[..., :2], axis=1) + np.array([0.5, 0])  # they drive 0.5 m a frame
    assert off.std() == pytest.approx(0.1 * np.sqrt(2), rel=0.1)
    assert abs(off.mean()) < 0.02


def test_points_of_the_map_say_what_they_are(missed):
    points = missed["map"][0]
    assert points.shape == (64, 8)
    np.testing.assert_array_equal(points[:, 4:7].sum(1), points[:, -1])
    np.testing.assert_array_equal(points[:, 4:7].any(0), [False, True, True])


def test_the_last_step_of_a_truncated_episode_has_its_own_final_observation():
    """And one view of a state, which is another in every state, whenever it is asked for."""
    env, params = AutoResetWrapper(MISSING), with_scenario(PARAMS, 3)
    state = jax.jit(MISSING.reset)(jax.random.key(0), params)[1]
    run = jax.jit(env.step)
    still, last = (
        run(jax.random.key(1), state._replace(frame=jnp.int32(frame)), jnp.zeros(2), params)
        for frame in (10, 89)
    )
    assert last.truncated
    assert not last.terminated
    assert last.state.frame == 10
    assert not np.array_equal(last.obs, last.info["final_obs"])
    np.testing.assert_array_equal(still.obs, still.info["final_obs"])
    assert len({int(each.chance) for each in (state, still.state, last.state)}) == 3


def test_a_pinned_scenario_is_the_one_that_is_driven():
    pinned = [RESET(jax.random.key(i), with_scenario(PARAMS, 2))[1].scenario for i in range(3)]
    assert [int(i) for i in pinned] == [2, 2, 2]
    drawn = {int(RESET(jax.random.key(i), PARAMS)[1].scenario) for i in range(40)}
    assert drawn == {0, 1, 2, 3}


def test_limits_are_the_maps_or_what_is_usual():
    unknown = BANK._replace(
        map_speed=np.full_like(BANK.map_speed, -1), speed_limit_default=0 * BANK.speed_limit_default
    )
    limits = prepare_tables(unknown).lane_limit
    lane = BANK.map_valid[0] & (BANK.map_type[0] == 2)
    np.testing.assert_allclose(prepare_tables(BANK).lane_limit[:, lane], 15)
    np.testing.assert_allclose(limits[0, lane], 25 * MPH)  # the fastest drives 10 m/s
    np.testing.assert_allclose(limits[1, lane], 35 * MPH)  # 12 m/s


def test_presets_of_rewards_are_those_of_the_tables():
    safe = driving_params(BANK, "safety")
    assert (safe.overlap, safe.progression) == (-1, 0)
    assert driving_params(BANK, "progress").overlap == -5
    assert driving_params(BANK, "navigation", comfort=0.1).comfort == np.float32(0.1)
    assert make("Driving-v0", overlap=-2)[1].overlap == -2


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Driving(dynamics="bicicle"), "bicycle"),
        (lambda: Driving(bins=(3,)), "give 2 numbers"),
        (lambda: Driving(observation="vek"), "vec"),
        (lambda: Driving(observation={"agent": 3}), "agents"),
        (lambda: Driving(observation={"frames": 11}), "from 1 to 10"),
        (lambda: Driving(observation={"noise": -1.0}), "0 or more metres"),
        (lambda: Driving(observation={"front": np.nan}), "observation.front nan: give at least 0"),
        (lambda: Driving(observation=5), "observation is a int: give a str or Mapping"),
        (lambda: Driving(observation={"name": "gt", "drop": True}), "use vec"),
        (lambda: driving_params(BANK, "navigate"), "navigation"),
        (lambda: driving_params(BANK, overlapp=1), "overlap"),
        (lambda: driving_params(straight()), "make a bank"),
        (lambda: with_scenario(PARAMS, 4), "from 0 to 3"),
    ],
)
def test_what_there_is_not_is_refused_with_a_remedy(call, sentence):
    with pytest.raises((ConfigError, UnknownNameError), match=sentence):
        call()


def test_corners_beyond_an_edge_are_those_of_the_obvious_function():
    own = chosen(bank(edges=True), 0)
    edge = own.map_valid & (own.map_type == 15)
    follows = np.r_[False, own.map_id[1:] == own.map_id[:-1]]
    args = (
        jnp.asarray(own.map_xy),
        jnp.asarray(own.map_dir),
        jnp.asarray(follows),
        jnp.asarray(edge),
    )
    places = np.array([[[50.3, y]] for y in (0, -2, 5, 6)], np.float32)
    found = jax.jit(jax.vmap(lambda place: offroad_edge(place, *args)))(places)
    np.testing.assert_array_equal(found, [False, True, False, True])


STANDS_OR_NOT = ("brake", "constant")


def test_traffic_that_reacts_stops_behind_who_stands_and_replayed_traffic_does_not():
    """A follower at 8 m/s whose log keeps that speed; the ego brakes and stands."""
    scene = straight(8.0, others=((-12.0, 0, 8.0),))
    scene.agent_route[1], scene.agent_speed_factor[1] = 0, 1.0
    scene.reactive[1] = True
    params = driving_params(stacked([scene]))
    hit = {}
    for traffic in ("replay", "idm", "mixed"):
        env = Driving(traffic=traffic, observation="gt")
        hit[traffic] = at_end(drive(env, "brake", params, among=STANDS_OR_NOT))["overlap"][0]
    assert hit == {"replay": 1, "idm": 0, "mixed": 0}


def test_who_reacts_and_comes_later_enters_where_the_log_says():
    scene = straight(8.0, others=((40.0, 1, 5.0),))
    scene.agent_route[1], scene.agent_speed_factor[1], scene.reactive[1] = 0, 1.0, True
    scene.log_valid[1, :30] = False
    params = driving_params(stacked([scene]))
    past = {}
    for traffic in ("replay", "idm"):
        env = Driving(traffic=traffic, observation="gt")
        state = drive(env, "constant", params, among=STANDS_OR_NOT).state
        users = jax.jit(jax.vmap(lambda s, env=env: env.users(Scene(*params[:2], s.scenario), s)))(
            jax.tree.map(lambda x: np.asarray(x)[0], state)
        )
        past[traffic] = np.asarray(users.valid[:, 1]), np.asarray(users.x[:, 1])
    for there, _ in past.values():
        assert there.tolist() == [frame >= 30 for frame in range(11, 91)]
    np.testing.assert_allclose(past["idm"][1][19], past["replay"][1][19])  # frame 30
    assert past["idm"][1][25] > past["idm"][1][19] + 1


def test_a_stop_line_lies_between_two_points_of_the_path_where_its_light_does():
    scene = straight(red=True)
    for x in (79.4, 80.0):
        scene.light_xy[0, 0] = x
        assert np.isclose(prepare_tables(stacked([scene])).stop_s[0, 0], x - 10)


def test_a_noisy_beginning_is_off_the_log_but_safe():
    env, params = Driving(noisy_init=True, observation="gt"), with_scenario(PARAMS, 3)
    states = jax.jit(jax.vmap(lambda key: env.reset(key, params)[1]))(
        jax.random.split(jax.random.key(0), 16)
    )
    log = BANK.log_xy[3, 0, 10]
    off = np.hypot(states.history.x[:, 0] - log[0], states.history.y[:, 0] - log[1])
    assert (off > 0.1).mean() > 0.5
    assert (np.abs(states.history.y[:, 0]) < 1.85).all()
    assert (states.history.speed[:, 0] >= 5).all()
