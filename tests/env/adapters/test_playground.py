"""Playground's environments: time limits, simulations that diverge, downloads, bad input."""

import jax
import numpy as np
import pytest
from suite_contract import assert_sound, assert_sound_in_64_bits, needs

from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Box

pytestmark = needs("playground")
PENDULUM = "playground:PendulumSwingup"


@pytest.fixture(autouse=True)
def _log_elsewhere(monkeypatch, tmp_path):
    """MuJoCo writes its warnings into the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def steps():
    """Two steps of an episode of two, and one of a simulation that has diverged."""
    env, params = make(PENDULUM, episode_length=2)
    _, state = jax.jit(env.reset)(jax.random.key(0), params)
    step, action = jax.jit(AutoResetWrapper(env).step), np.zeros(1, np.float32)
    first = step(jax.random.key(1), state, action, params)
    second = step(jax.random.key(2), first.state, action, params)
    data = state.inner.data
    broken = state.inner.replace(data=data.replace(qvel=data.qvel * np.float32(np.nan)))
    third = step(jax.random.key(3), state._replace(inner=broken), action, params)
    return jax.device_get([first, second, third])


@pytest.mark.slow
def test_an_environment_is_sound():
    assert_sound(PENDULUM, episode_length=20)


@pytest.mark.slow
def test_types_are_kept_in_64_bit_mode():
    assert_sound_in_64_bits(PENDULUM)


@pytest.mark.slow
def test_the_end_of_an_episode_is_a_truncation(steps):
    flags = [(bool(step.terminated), bool(step.truncated)) for step in steps]
    assert flags == [(False, False), (False, True), (True, False)]


@pytest.mark.slow
def test_the_last_observation_is_the_successor(steps):
    first, second, _ = steps
    moved = np.abs(second.info["final_obs"] - first.obs).max()
    assert moved < np.abs(second.obs - first.obs).max()  # obs is of the next episode
    np.testing.assert_array_equal(first.obs, first.info["final_obs"])


@pytest.mark.slow
def test_a_simulation_that_diverges_ends_with_finite_numbers(steps):
    last = steps[2]
    assert np.isfinite(last.info["final_obs"]).all()
    assert np.isfinite(last.reward)


def test_what_the_config_has_can_be_set():
    env, params = make("playground:CheetahRun", ctrl_dt=0.02)
    assert env.env.suite_env.dt == 0.02
    assert env.max_steps == 1000
    assert env.action_space(params) == Box(-1, 1, (6,))


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("Chetahrun", {}, r"unknown environment of playground .*CheetahRun"),
        ("CheetahRun", {"ctrl_dtt": 1}, r"unknown field of playground:CheetahRun .*ctrl_dt"),
        ("CheetahRun", {"impl": "numpy"}, r"cannot be made .*: check its arguments"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(name, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make(f"playground:{name}", **kwargs)


def test_models_of_robots_are_not_fetched_unless_one_says_so(monkeypatch, tmp_path):
    from mujoco_playground._src import mjx_env  # noqa: PLC0415

    monkeypatch.setattr(mjx_env, "MENAGERIE_PATH", tmp_path / "absent")
    with pytest.raises(ConfigError, match=r"Go1Getup is of a robot .*: pass download=True"):
        make("playground:Go1Getup")
