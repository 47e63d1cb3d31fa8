"""Batches that bring their own resets: Gymnasium's arrays, EnvPool, ale-py, true to their tasks."""

import sys
from contextlib import closing
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from vibe_rl.env import GymnasiumWrapper, make, problems
from vibe_rl.env.adapters import ale
from vibe_rl.env.adapters.gymnasium_envs import GymnasiumEnvs
from vibe_rl.env.host import HostEnvironment
from vibe_rl.errors import ConfigError

SEEDS = [5, 2**31 - 2, 7]


def played(env, seeds, n_steps, n_actions=2):
    """The first observations, and the steps of a fixed sequence of actions."""
    with closing(env.open(seeds)) as envs:
        first = envs.reset()
        actions = np.random.default_rng(0).integers(n_actions, size=(n_steps, len(seeds)))
        return first, actions, [envs.step(action) for action in actions]


def ends_of(steps):
    return np.array([step.terminated | step.truncated for step in steps])


def test_gymnasiums_own_batch_is_the_same_task_with_no_step_lost_to_resets():
    env = GymnasiumWrapper("CartPole-v1", parallel="vector", kwargs={"max_episode_steps": 30})
    first, actions, steps = played(env, SEEDS, 90)
    own = gymnasium.make("CartPole-v1").unwrapped
    own.reset()
    obs = first
    for action, step in zip(actions, steps, strict=True):
        for i in range(len(SEEDS)):
            own.state, own.steps_beyond_terminated = obs[i].astype(np.float64), None
            expected, _, terminated, _, _ = own.step(action[i])
            np.testing.assert_allclose(step.final_obs[i], expected, rtol=1e-5, atol=1e-6)
            assert step.terminated[i] == terminated
        assert step.reward.tolist() == [1.0] * len(SEEDS)
        obs = step.obs
    done = ends_of(steps)
    assert done.sum() > 5
    lengths = np.diff(np.flatnonzero(done[:, 0]))
    assert lengths.max() <= 30
    fresh = np.array([step.obs for step in steps])[done]
    assert np.abs(fresh).max() <= 0.05
    assert len(np.unique(fresh[:, 0])) == len(fresh)


def test_resets_of_gymnasiums_own_batch_are_those_of_its_next_step():
    env = GymnasiumWrapper("CartPole-v1", parallel="vector")
    first, actions, steps = played(env, SEEDS[:1], 40)
    theirs = gymnasium.make_vec("CartPole-v1", num_envs=1)
    np.testing.assert_array_equal(first, theirs.reset(seed=SEEDS[0])[0])
    for action, step in zip(actions, steps, strict=True):
        obs, _, terminated, truncated, _ = theirs.step(action)
        np.testing.assert_array_equal(step.final_obs, obs)
        if terminated[0] or truncated[0]:
            obs = theirs.step(action)[0]
        np.testing.assert_array_equal(step.obs, obs)


def test_auto_takes_a_batch_where_there_is_one_for_these_arguments_and_it_pays():
    def batch(num_envs=8, **kwargs):
        with closing(GymnasiumWrapper("CartPole-v1", **kwargs).open(range(num_envs))) as envs:
            assert isinstance(envs, GymnasiumEnvs)
            return type(envs.envs).__name__

    assert batch() == "CartPoleVectorEnv"
    assert batch(num_envs=7) == "SyncVectorEnv"
    assert batch(kwargs={"disable_env_checker": True}) == "SyncVectorEnv"
    assert batch(parallel="sync") == "SyncVectorEnv"
    with pytest.raises(ConfigError, match=r"parallel 'vector' of Pendulum-v1: .*use sync or async"):
        GymnasiumWrapper("Pendulum-v1", parallel="vector")


def test_envpool_says_the_true_last_observation_and_skips_the_step_of_a_reset():
    pytest.importorskip("envpool")
    env, _ = make("envpool:CartPole-v1", max_episode_steps=12.0)
    assert isinstance(env, HostEnvironment)
    assert problems(env) == []
    first, actions, steps = played(env, SEEDS, 60)
    again = played(env, SEEDS, 60)[2]
    own = gymnasium.make("CartPole-v1").unwrapped
    own.reset()
    obs = first
    for action, step, same in zip(actions, steps, again, strict=True):
        np.testing.assert_array_equal(step.obs, same.obs)
        for i in range(len(SEEDS)):
            own.state, own.steps_beyond_terminated = obs[i].astype(np.float64), None
            expected, _, terminated, _, _ = own.step(action[i])
            np.testing.assert_allclose(step.final_obs[i], expected, rtol=1e-4, atol=1e-5)
            assert step.terminated[i] == (terminated and not step.truncated[i])
        assert step.reward.tolist() == [1.0] * len(SEEDS)
        obs = step.obs
    done = ends_of(steps)
    assert any(step.truncated.any() for step in steps)
    assert np.abs(np.array([step.obs for step in steps])[done]).max() <= 0.05


def test_envpool_names_what_it_has_not():
    pytest.importorskip("envpool")
    with pytest.raises(ConfigError, match="did you mean"):
        make("envpool:CartPol-v1")
    with pytest.raises(ConfigError, match=r"EnvPool cannot make CartPole-v1: .*'mass'"):
        make("envpool:CartPole-v1", mass=3)


def test_envpool_says_of_no_observation_that_it_is_positive_where_it_is_not():
    pytest.importorskip("envpool")
    assert problems(make("envpool:LunarLander-v3")[0]) == []
    assert problems(make("envpool:CheetahRun-v1")[0]) == []


@pytest.mark.parametrize("name", ["ale:Pong", "envpool:Pong-v5"])
def test_games_of_atari_show_four_grey_frames_and_end_by_the_clock(name):
    suite = {"ale:Pong": "ale_py", "envpool:Pong-v5": "envpool"}[name]
    pytest.importorskip(suite)
    env, _ = make(name, max_episode_steps=20)
    assert env.observation_space(()).shape == (84, 84, 4)
    first, _, steps = played(env, [3, 4], 45, 6)
    again = played(env, [3, 4], 45, 6)[2]
    assert first.shape == (2, 84, 84, 4)
    assert all(np.array_equal(a.obs, b.obs) for a, b in zip(steps, again, strict=True))
    done = ends_of(steps)
    assert not any(step.terminated.any() for step in steps)
    assert done.any(0).all()
    for before, step, ends in zip(steps, steps[1:], done[1:], strict=False):
        for i, end in enumerate(ends):
            shown = before.obs[i]
            np.testing.assert_array_equal(step.final_obs[i, ..., :3], shown[..., 1:])
            assert np.array_equal(step.obs[i], step.final_obs[i]) != end


def test_a_game_that_ale_has_not_is_named():
    pytest.importorskip("ale_py")
    with pytest.raises(ConfigError, match="did you mean Pong"):
        make("ale:Pongg")
    with pytest.raises(ConfigError, match="ale-py cannot make Pong: "):
        make("ale:Pong", colour=True)


def test_games_that_ale_brings_along_but_cannot_play_are_not_named():
    ale_py = pytest.importorskip("ale_py")  # which ends the process for Combat
    found = ale.roms()
    assert {"Pong", "MsPacman"} <= found.keys()
    assert "Combat" not in found
    paths = [Path(ale_py.roms.get_rom_path(rom)) for rom in found.values()]
    assert all(map(ale_py.ALEInterface.isSupportedROM, paths))
    with pytest.raises(ConfigError, match="unknown Atari game 'Combat'"):
        make("ale:Combat")


NEEDED = {
    "gymnasium:LunarLander-v3": ("Box2D", "box2d"),
    "gymnasium:Hopper-v5": ("mujoco", "mujoco"),
    "ale:Pong": ("ale_py", "ale"),
    "envpool:Pong-v5": ("envpool", "envpool"),
}


@pytest.mark.parametrize("name", NEEDED)
def test_the_extra_that_brings_what_is_missing_is_named(name, monkeypatch):
    package, extra = NEEDED[name]
    for module in [m for m in sys.modules if m.startswith(f"gymnasium.envs.{extra}")]:
        monkeypatch.delitem(sys.modules, module)  # so that they import it anew
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"need.*: pip install 'vibe-rl\[{extra}\]'"):
        make(name)
