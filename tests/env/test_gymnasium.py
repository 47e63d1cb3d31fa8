"""Gymnasium's environments behind our protocol: spaces, members, ends of episodes, bad input."""

import os
import signal
import sys

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces

from vibe_rl.env import (
    Box,
    Dict,
    Discrete,
    GymnasiumWrapper,
    Image,
    MultiBinary,
    MultiDiscrete,
    make,
    problems,
)
from vibe_rl.env.adapters.gymnasium_spaces import conversion
from vibe_rl.env.host import HostEnvironment
from vibe_rl.errors import ConfigError


class Script(gymnasium.Env):
    """Observes the step's number and its seed; terminates after 2 steps, truncates after 3."""

    observation_space = spaces.Dict(
        {"step": spaces.Discrete(9, start=5), "seed": spaces.Box(0.0, np.inf, (1,), np.float64)}
    )
    action_space = spaces.Discrete(2, start=-1)

    def reset(self, *, seed=None, options=None):
        self.seed = float(seed or 0)
        self.time = 0
        return self.seen(), {}

    def seen(self):
        return {"step": np.int64(5 + self.time), "seed": np.array([self.seed])}

    def step(self, action):
        self.time += 1
        terminated = bool(action == 0 and self.time >= 2)
        return self.seen(), float(action), terminated, self.time >= 3, {}


SERVED = {
    "box": (spaces.Box(-1.0, 2.0, (2,), np.float64), Box(-1.0, 2.0, (2,))),
    "bytes": (spaces.Box(0, 255, (128,), np.uint8), Box(0, 255, (128,), np.uint8)),
    "whole numbers": (spaces.Box(0, 9, (3,), np.int64), Box(0, 9, (3,), np.int32)),
    "discrete": (spaces.Discrete(4), Discrete(4)),
    "discrete from -2": (spaces.Discrete(4, start=-2), Discrete(4)),
    "many whole numbers": (spaces.Box(0, 2**40, (3,), np.int64), Box(0, 2**40, (3,))),
    "whole numbers without end": (
        spaces.Box(-(2**63), 2**63 - 1, (3,), np.int64),
        Box(-np.inf, np.inf, (3,)),
    ),
    "board of bits": (spaces.Box(0, 1, (6, 6, 2), np.bool_), Box(0, 1, (6, 6, 2), np.bool_)),
    "picture of two colours": (
        spaces.Box(0, 1, (8, 6, 3), np.uint8),
        Box(0, 1, (8, 6, 3), np.uint8),
    ),
    "frames of numbers": (spaces.Box(0.0, 1.0, (4, 8, 6)), Box(0.0, 1.0, (8, 6, 4))),
    "several": (spaces.MultiDiscrete([2, 3], start=[0, 7]), MultiDiscrete((2, 3))),
    "bits": (spaces.MultiBinary(3), MultiBinary(3)),
    "picture": (spaces.Box(0, 255, (8, 6, 3), np.uint8), Image(8, 6, 3)),
    "frames": (spaces.Box(0, 255, (4, 8, 6), np.uint8), Image(8, 6, 4)),
    "dictionary": (
        spaces.Dict({"b": spaces.Discrete(3, start=1), "a": spaces.Box(0.0, 1.0, (2,))}),
        Dict({"a": Box(0.0, 1.0, (2,)), "b": Discrete(3)}),
    ),
}


def equal(a, b):
    same = jax.tree.map(lambda x, y: np.array_equal(x, y) and x.dtype == y.dtype, a, b)
    return all(jax.tree.leaves(same))


@pytest.mark.parametrize("kind", SERVED)
def test_members_are_those_of_our_space_and_come_back_unchanged(kind):
    theirs, ours = SERVED[kind]
    converted = conversion(theirs)
    assert repr(converted.space) == repr(ours) or converted.space == ours
    theirs.seed(3)
    for _ in range(20):
        member = theirs.sample()
        example = jax.tree.map(np.asarray, converted.to_ours(member))
        assert converted.space.contains(example)
        back = converted.to_theirs(example)
        if isinstance(theirs, spaces.Dict):
            assert all(part.contains(back[name]) for name, part in theirs.items())
        else:
            assert np.allclose(back, member)
            assert theirs.contains(back)
    batch = jax.tree.map(lambda x: np.stack([x, x]), example)
    assert equal(
        jax.tree.map(lambda x: x[1], converted.to_ours(converted.to_theirs(batch))), example
    )


@pytest.mark.parametrize(
    "space", [spaces.Text(3), spaces.Tuple((spaces.Discrete(2),)), spaces.MultiBinary([2, 3])]
)
def test_a_space_that_is_not_served_is_named_with_the_remedy(space):
    with pytest.raises(ConfigError, match=r"is not supported: use Box.*gymnasium.wrappers"):
        conversion(space)


def test_ends_of_episodes_carry_the_true_last_observation():
    envs = GymnasiumWrapper(Script).open([3, 4])
    first = envs.reset()
    assert first["seed"].ravel().tolist() == [3.0, 4.0]
    assert first["step"].tolist() == [0, 0]
    envs.step(np.array([0, 1]))
    second = envs.step(np.array([1, 0]))  # ours: 1 is their 0, which terminates
    assert second.terminated.tolist() == [True, False]
    assert second.reward.tolist() == [0.0, -1.0]
    assert second.obs["step"].tolist() == [0, 2]
    assert second.final_obs["step"].tolist() == [2, 2]
    third = envs.step(np.array([0, 0]))
    assert third.truncated.tolist() == [False, True]
    assert third.final_obs["step"].tolist() == [1, 3]
    assert third.final_obs["seed"].ravel().tolist() == [0.0, 4.0]
    envs.close()


@pytest.mark.parametrize("parallel", ["sync", "async"])
def test_real_envs_are_those_of_gymnasium(parallel):
    env = GymnasiumWrapper(gymnasium.make("CartPole-v1"), parallel)
    assert isinstance(env, HostEnvironment)
    envs, alone = env.open([11, 12]), gymnasium.make("CartPole-v1")
    obs = envs.reset()
    expected, _ = alone.reset(seed=12)
    for t in range(40):
        np.testing.assert_array_equal(obs[1], expected)
        after = envs.step(np.array([1, t % 3 % 2]))
        expected, _, terminated, truncated, _ = alone.step(t % 3 % 2)
        np.testing.assert_array_equal(after.final_obs[1], expected)
        assert after.terminated[1] == terminated
        if terminated or truncated:
            expected, _ = alone.reset()
        obs = after.obs
    envs.close()
    assert obs.dtype == np.float32


def test_a_name_with_a_prefix_makes_one_with_arguments():
    env, params = make("gymnasium:MountainCar-v0", goal_velocity=0.02)
    assert params == ()
    assert env.make_one().unwrapped.goal_velocity == 0.02
    assert env.action_space(params) == Discrete(3)


def test_whole_numbers_may_come_as_floats():
    env, _ = make("gymnasium:CartPole-v1", max_episode_steps=7.0)
    assert env.make_one().spec.max_episode_steps == 7


def test_a_ctrl_c_that_reaches_every_process_does_not_end_the_envs():
    envs = GymnasiumWrapper("CartPole-v1", parallel="async").open([0, 1])
    envs.reset()
    for process in envs.envs.processes:
        os.kill(process.pid, signal.SIGINT)
    after = [envs.step(np.array([0, 1])) for _ in range(3)]
    assert all(np.isfinite(step.obs).all() for step in after)
    envs.close()


class Unserved(Script):
    """Has been closed or not."""

    action_space = spaces.Text(3)
    closed = False

    def close(self):
        type(self).closed = True


def test_an_environment_that_is_refused_is_closed():
    with pytest.raises(ConfigError, match="is not supported"):
        GymnasiumWrapper(Unserved)
    assert Unserved.closed


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("Pendulum-v1", {"gravity": 9}), ("nosuchmodule:Env-v0", {}), ("CartPole-v77", {})],
)
def test_what_gymnasium_refuses_gets_one_sentence(name, kwargs):
    with pytest.raises(ConfigError, match="Gymnasium cannot make this environment: "):
        make(f"gymnasium:{name}", **kwargs)


def test_bad_input_gets_one_sentence(monkeypatch):
    with pytest.raises(ConfigError, match=r"Gymnasium cannot make this environment: .*CartPol"):
        GymnasiumWrapper("CartPol-v1")
    with pytest.raises(ConfigError, match=r"unknown parallel 'threads'.*async, auto, sync, vector"):
        GymnasiumWrapper("CartPole-v1", parallel="threads")
    with pytest.raises(ConfigError, match="has no spec: give a function that makes it"):
        GymnasiumWrapper(Script())
    monkeypatch.setitem(sys.modules, "gymnasium.vector", None)
    with pytest.raises(ConfigError, match=r"need gymnasium: pip install 'vibe-rl\[gym\]'"):
        GymnasiumWrapper("CartPole-v1")


def test_a_number_that_needs_64_bits_does_not_wrap():
    converted = conversion(spaces.Box(0, 2**40, (2,), np.int64))
    np.testing.assert_allclose(converted.to_ours(np.array([2**32 + 5, 7])), [2.0**32, 7.0])
    back = converted.to_theirs(np.array([2.4, 2.0**33], np.float32))
    assert back.tolist() == [2, 2**33]
    assert back.dtype == np.int64


class OldStep(Script):
    """Four values of a step, as before Gymnasium."""

    def step(self, action):
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, reward, terminated or truncated, info


class OldReset(Script):
    """A reset without info."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0]


class UnseededReset(Script):
    """A reset without arguments."""

    def reset(self):
        return super().reset()[0]


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        (OldStep, "OldStep.step has to return observation, reward, terminated, truncated and info"),
        (OldReset, "OldReset.reset has to return observation and info"),
        (UnseededReset, "UnseededReset.reset failed"),
    ],
)
def test_an_environment_of_the_old_kind_is_refused_by_its_name(env, sentence):
    with pytest.raises(ConfigError, match=f"{sentence}.*: wrap an environment of OpenAI's Gym"):
        GymnasiumWrapper(env)


class Astray(Script):
    """Observes what lies outside its space."""

    def seen(self):
        return super().seen() | {"seed": np.array([-1.0 - self.time])}


class Wide(Script):
    """Observes more numbers than its space has."""

    def seen(self):
        return super().seen() | {"seed": np.zeros(3)}


def test_observations_of_another_shape_are_refused_by_the_name_of_the_environment():
    with pytest.raises(ConfigError, match=r"^Wide shows .* of shape \(3,\), .* has \(1,\): give"):
        GymnasiumWrapper(Wide)


class Costless(Script):
    """The second reward is NaN."""

    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, float("nan") if self.time == 2 else reward, *rest


def test_observations_outside_the_space_are_noticed():
    with pytest.warns(UserWarning, match="Astray shows observations outside its observation_space"):
        env = GymnasiumWrapper(Astray)
    (problem,) = problems(env)
    assert problem.startswith("obs of reset lies outside its space Dict(")


def test_environments_of_gymnasium_are_checked_by_playing():
    assert problems(GymnasiumWrapper("CartPole-v1")) == []
    assert problems(GymnasiumWrapper(Script)) == []
    (problem,) = problems(GymnasiumWrapper(Costless))
    assert problem == "reward of step 2 is nan: give finite numbers."
