"""Environments of other libraries by name: how their episodes end, and what is said of bad names.

What every environment promises is tested of one of each suite in test_env_contracts.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.env import AutoResetWrapper, Box, Dict, Discrete, FiveValuedAdapter, make, problems
from vibe_rl.env.adapters import suites
from vibe_rl.env.adapters.conversions import in_dtypes_of, space_of
from vibe_rl.errors import ConfigError
from vibe_rl.runner.env_checks import check_is_environment
from vibe_rl.types import MaskedObs

gymnax = pytest.importorskip("gymnax", reason="gymnax is not installed")
pgx = pytest.importorskip("pgx", reason="pgx is not installed")


@partial(jax.jit, static_argnums=(0, 3))
def play(env, params, key, n_steps=12):
    """Steps `[n_steps]` of action 1 always, with fresh episodes."""
    reset_key, step_key = jax.random.split(key)
    env = AutoResetWrapper(env)
    _, state = env.reset(reset_key, params)

    def body(state, key):
        step = env.step(key, state, jnp.int32(1), params)
        return step.state, step._replace(state=())

    return jax.lax.scan(body, state, jax.random.split(step_key, n_steps))[1]


def first_end(steps):
    """Which step ends the first episode, and that step."""
    i = int(np.argmax(steps.terminated | steps.truncated))
    return i + 1, jax.tree.map(lambda x: x[i], steps)


def test_an_episode_of_gymnax_terminates_with_its_true_last_observation():
    env, params = make("gymnax:CartPole-v1")
    n, last = first_end(play(env, params, jax.random.key(0)))
    assert (bool(last.terminated), bool(last.truncated)) == (True, False)
    assert 5 < n < 12  # always pushed to the right, the pole falls to the left
    assert last.info["final_obs"][2] < -params.theta_threshold_radians
    assert abs(last.obs).max() <= 0.05  # of the next episode


def test_the_clock_of_gymnax_truncates():
    env, params = make("gymnax:CartPole-v1", max_steps_in_episode=3)
    n, last = first_end(play(env, params, jax.random.key(0)))
    assert (n, bool(last.terminated), bool(last.truncated)) == (3, False, True)
    assert abs(last.info["final_obs"][3]) > 0.5  # rad/s
    assert abs(last.obs).max() <= 0.05


def test_the_caps_of_gymnax_are_its_own_and_can_be_lowered():
    caps = {"Breakout-MinAtar": 1000, "Freeway-MinAtar": 2500}
    found = {name: make(f"gymnax:{name}")[1].max_steps_in_episode for name in caps}
    assert found == caps
    assert make("gymnax:Breakout-MinAtar", max_steps_in_episode=7)[1].max_steps_in_episode == 7


def test_a_game_of_pgx_terminates_with_its_true_last_observation():
    n, last = first_end(
        play(*make("pgx:minatar-breakout", sticky_action_prob=0.0), jax.random.key(0))
    )
    assert (bool(last.terminated), bool(last.truncated)) == (True, False)
    assert n == 6  # the ball falls from row 3 to row 9, and the paddle is at the left wall
    assert last.info["final_obs"][9, :, 1].any()  # the ball
    assert last.obs[3, :, 1].any()


def test_a_limit_truncates_a_game_of_pgx():
    env = make("pgx:minatar-breakout", sticky_action_prob=0.0, max_episode_steps=4.0)
    n, last = first_end(play(*env, jax.random.key(0)))
    assert (n, bool(last.terminated), bool(last.truncated)) == (4, False, True)
    assert last.info["final_obs"][7, :, 1].any()


def test_what_only_a_clock_ends_is_truncated():
    env, _ = make("pgx:minatar-freeway")
    _, state = env.reset(jax.random.key(0), ())
    state = state.replace(_terminate_timer=jnp.int32(0))
    step = jax.jit(env.step)(jax.random.key(1), state, jnp.int32(0), ())
    assert (bool(step.terminated), bool(step.truncated)) == (False, True)


def test_legal_moves_of_pgx_are_passed_on():
    env, _ = make("pgx:2048")
    space = env.observation_space(())
    obs = jax.eval_shape(env.reset, jax.random.key(0), ())[0]
    assert isinstance(obs, MaskedObs)
    assert (space.n_actions, obs.legal.shape) == (4, (4,))
    assert space.view == Box(0, 1, (4, 4, 31), bool)


def test_a_space_whose_bounds_do_not_hold_has_none():
    env, params = make("gymnax:GaussianBandit-misc")
    assert not np.isfinite(env.observation_space(params).low).any()


def test_a_space_of_traced_params_has_the_bounds_of_the_defaults():
    env, params = make("gymnax:Pendulum-v1")
    seen = []
    jax.eval_shape(lambda p: seen.append(env.action_space(p)), params)
    assert seen == [env.action_space(params)] == [Box(-2.0, 2.0, (1,))]
    assert env.action_space(params.replace(max_torque=np.float32(3.0))) == Box(-3.0, 3.0, (1,))


def test_spaces_within_spaces_are_converted_and_so_are_their_members():
    spaces = gymnax.environments.spaces
    theirs = {"a": spaces.Discrete(3), "b": spaces.Box(0, 1, (2,), jnp.int32)}
    ours = space_of(spaces.Dict(theirs))
    assert ours == Dict({"a": Discrete(3), "b": Box(0, 1, (2,), jnp.int32)})
    assert ours.contains(in_dtypes_of(ours, {"a": 2, "b": np.float32([0, 1])}))
    with pytest.raises(ConfigError, match=r"the space Tuple.* is not supported: take"):
        space_of(spaces.Tuple([spaces.Discrete(2)]))


BAD = {
    "gymnx:CartPole-v1": "unknown suite 'gymnx': did you mean gymnax",
    "gymnax:CartPole-v2": "unknown environment of gymnax 'CartPole-v2': did you mean CartPole-v1",
    "gymnax:MNISTBandit-bsuite": "downloads a data set when it is made: make it with",
    "pgx:minatar_breakout": "unknown game of pgx 'minatar_breakout': did you mean minatar-breakout",
    "pgx:tic_tac_toe": "pgx:tic_tac_toe is a game of 2 players: choose one for a single player, ",
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_name_is_one_sentence(name):
    with pytest.raises(ConfigError, match=BAD[name]):
        make(name)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("gymnax:CartPole-v1", {"gravty": 1}, "unknown argument .*'gravty': did you mean gravity"),
        ("gymnax:CartPole-v1", {"gravity": "much"}, "gravity='much' of .*: give a number"),
        ("gymnax:DeepSea-bsuite", {"size": 4.5}, "argument 4.5: give a whole number"),
        ("pgx:2048", {"size": 4}, "pgx:2048 takes no arguments: leave out size"),
        ("pgx:2048", {"max_episode_steps": "ten"}, "max_episode_steps 'ten': give a whole number"),
        *(
            (name, {"max_episode_steps": steps}, f"max_episode_steps {steps}: give a whole number")
            for name in ("pgx:2048", "gymnasium:CartPole-v1")
            for steps in (0, -1, 1.5, math.nan, math.inf, True, 2**31)
        ),
        ("gymnasium:CartPole-v1", {"mass": 3}, "'mass'.*, check its id and arguments"),
        ("gymnasium:", {}, r"environment: .*, check its id and arguments\.$"),
    ],
)
def test_a_wrong_argument_is_one_sentence(name, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make(name, **kwargs)


def test_no_limit_of_episodes_is_what_the_suite_has():
    env, _ = make("gymnasium:CartPole-v1", max_episode_steps=None)
    assert env.make_one().spec.max_episode_steps == 500
    assert make("pgx:2048", max_episode_steps=None) == make("pgx:2048")


def test_a_suite_that_is_not_installed_names_its_extra(monkeypatch):
    missing = suites.Suite("vibe_rl.env.adapters.missing", "missing", "not_installed")
    monkeypatch.setitem(suites.SUITES, "missing", missing)
    assert "missing" not in suites.installed()
    with pytest.raises(ConfigError, match=r"need not_installed: pip install 'vibe-rl\[missing\]'"):
        make("missing:Env-v0")


def test_an_environment_of_a_suites_own_is_answered_with_its_adapter():
    theirs, _ = gymnax.make("CartPole-v1")
    for env in (theirs, AutoResetWrapper(theirs)):
        with pytest.raises(
            ConfigError, match=r'make\("gymnax:ID"\), or wrap it in .*GymnaxAdapter'
        ):
            check_is_environment(env)
        assert "GymnaxAdapter" in problems(env)[0]
    suites.check_ours(FiveValuedAdapter(theirs))  # which may be of any library
    with pytest.raises(ConfigError, match="PgxAdapter"):
        check_is_environment(pgx.make("2048"))


@pytest.mark.parametrize("name", ["gymnax:Freeway-MinAtar", "pgx:minatar-asterix"])
def test_a_suite_computes_in_32_bits_in_either_mode(name):
    env, params = make(name)
    with jax.enable_x64(True):
        obs, state = jax.eval_shape(env.reset, jax.random.key(0), params)
        step = jax.eval_shape(env.step, jax.random.key(0), state, jnp.int32(0), params)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((obs, state, step))}
    assert dtypes <= {np.dtype(kind) for kind in ("float32", "int32", "bool")}
