"""The checker: each planted defect is told in a sentence, and nothing else is."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from vibe_rl.env import (
    AutoResetWrapper,
    Box,
    CartPole,
    Discrete,
    GridWorld,
    Masked,
    Step,
    Wrapper,
    auto_resets,
    check_env,
    problems,
)
from vibe_rl.env.checks.checker import examine
from vibe_rl.env.checks.traced import trace
from vibe_rl.errors import ConfigError
from vibe_rl.runner.env_checks import fit_for_training
from vibe_rl.types import MaskedObs

calls = [0]  # what an impure environment counts


class State(NamedTuple):
    x: Array
    time: Array


class Params(NamedTuple):
    speed: Array = np.float32(0.1)  # type: ignore[assignment]


@dataclass(frozen=True)
class Walk:
    """Sound: from a random place, to the right for ten steps."""

    def default_params(self):
        return Params()

    def observation_space(self, params):
        return Box(0.0, 2.0, (1,))

    def action_space(self, params):
        return Discrete(2)

    def reset(self, key, params):
        state = State(jax.random.uniform(key, (1,)), jnp.int32(0))
        return state.x, state

    def step(self, key, state, action, params):
        state = State(state.x + params.speed * action, state.time + 1)
        reward, never = jnp.float32(1.0), jnp.array(False)
        return Step(state.x, state, reward, state.time >= 10, never, {})


class FiveValues(Walk):
    def step(self, *args):
        obs, state, reward, terminated, _, info = super().step(*args)
        return obs, state, reward, terminated, info


class OnlyObs(Walk):
    def reset(self, *args):
        return super().reset(*args)[0]


class ThreeOfReset(Walk):
    def reset(self, *args):
        return (*super().reset(*args), {})


class InfoForState(Walk):
    def reset(self, *args):
        return super().reset(*args)[0], {}


class PlainTuple(Walk):
    def step(self, *args):
        return tuple(super().step(*args))


def returning(**values):
    class Changed(Walk):
        def step(self, *args):
            return super().step(*args)._replace(**values)

    return Changed


WideReward = returning(reward=np.ones(1, np.float32))
WholeReward = returning(reward=np.int32(1))
NumberFlag = returning(truncated=np.float32(0))
NoReward = returning(reward=None)
DriftingShape = returning(obs=np.float32(0))
OtherTree = returning(state=())


class DriftingTime(Walk):
    def step(self, *args):
        step = super().step(*args)
        return step._replace(state=step.state._replace(time=step.state.time + jnp.float32(0.5)))


class WeakState(Walk):
    def reset(self, key, params):
        obs, state = super().reset(key, params)
        return obs, state._replace(time=0)

    def step(self, key, state, action, params):
        state = state._replace(time=jnp.int32(state.time))
        return super().step(key, state, action, params)


class WrongSpace(Walk):
    def observation_space(self, params):
        return Box(0.0, 2.0, (2,))


class NarrowSpace(Walk):
    def observation_space(self, params):
        return Box(0.0, 0.9, (1,))


class UnhashableSpace(Walk):
    def action_space(self, params):
        return Discrete(2, dtype=["int32"])


class NoSpace(Walk):
    def action_space(self, params):
        return 2


class FloatParams(Walk):
    def default_params(self):
        return Params(0.1)  # type: ignore[arg-type]


class ImpureStep(Walk):
    def step(self, *args):
        calls[0] += 1
        return super().step(*args)._replace(reward=jnp.float32(calls[0]))


class ImpureReset(Walk):
    def reset(self, key, params):
        state = State(jnp.float32(np.random.default_rng().uniform(size=1)), jnp.int32(0))
        return state.x, state


class Branching(Walk):
    def step(self, key, state, action, params):
        if state.time > 3:
            action = 0 * action
        return super().step(key, state, action, params)


class Unbatchable(Walk):
    def reset(self, key, params):
        obs, state = super().reset(key, params)
        return obs * one(params.speed), state


@jax.custom_batching.custom_vmap
def one(x):
    return x / x


@one.def_vmap
def _refuse(axis_size, in_batched, x):
    raise NotImplementedError("one at a time")


class SilentReset(Walk):
    def step(self, key, state, action, params):
        step = super().step(key, state, action, params)
        obs, fresh = self.reset(key, params)
        keep = lambda a, b: jnp.where(step.terminated, a, b)  # noqa: E731
        return step._replace(obs=keep(obs, step.obs), state=jax.tree.map(keep, fresh, step.state))


class RawFinalObs(Wrapper):
    """Adds a number to the observation and forgets that of final_obs."""

    def observation_space(self, params):
        return Box(0.0, 2.0, (2,))

    def reset(self, key, params):
        obs, state = super().reset(key, params)
        return jnp.append(obs, 0.0), state

    def step(self, *args):
        step = super().step(*args)
        return step._replace(obs=jnp.append(step.obs, 0.0))


class ForgetfulWrapper(Wrapper):
    def step(self, *args):
        return super().step(*args)._replace(info={})


@dataclass(frozen=True)
class ListField(Walk):
    sizes: list = field(default_factory=list)


class Mutable:
    def __init__(self):
        self.speed = 1.0

    default_params = Walk.default_params
    observation_space = Walk.observation_space
    action_space = Walk.action_space
    reset = Walk.reset
    step = Walk.step


DEFECTS = {
    FiveValues: "five values: return vibe_rl.env.Step, or, where they are obs, state, reward,",
    OnlyObs: "reset returns one value: return obs and state, in this order.",
    ThreeOfReset: "reset returns 3 values: return obs and state, in this order.",
    InfoForState: "mend it there; its state is the second value of reset.",
    PlainTuple: "step returns a tuple: return vibe_rl.env.Step, of six values",
    WideReward: "reward is float32[1]: return a float32 scalar",
    WholeReward: "reward is int32[]: return a float32 scalar",
    NumberFlag: "truncated is float32[]: return a bool scalar",
    NoReward: "reward is a NoneType: return one float32 scalar",
    DriftingTime: "state.time is int32[] after reset but float32[] after step",
    WeakState: "state.time is weakly typed int32[] after reset but",
    DriftingShape: "obs is float32[1] after reset but float32[] after step",
    OtherTree: "state is PyTreeDef",
    WrongSpace: "obs is float32[2] in observation_space but float32[1] after reset",
    NarrowSpace: "lies outside its space",
    UnhashableSpace: "action_space(env_params) is not a hashable space",
    NoSpace: "is a builtins.int: make it one of vibe_rl.spaces",
    FloatParams: "env_params.speed=0.1 is not an array",
    ImpureStep: "step gives two results for the same arguments",
    ImpureReset: "reset gives two results for the same key",
    Branching: "use jnp.where or jax.lax.cond instead of Python's if.",
    Unbatchable: "cannot be vmapped: NotImplementedError: one at a time",
    SilentReset: 'step resets by itself but has no info["final_obs"]',
    ListField: "not hashable",
    Mutable: "Mutable can be changed",
}


def test_a_sound_environment_has_no_problems():
    assert problems(Walk()) == []
    assert problems(AutoResetWrapper(Walk())) == []
    check_env(Walk(), Params())


@pytest.mark.parametrize(("kind", "sentence"), DEFECTS.items())
def test_a_planted_defect_is_reported_and_nothing_else(kind, sentence):
    found = problems(kind())
    assert len(found) == 1
    assert sentence in found[0]


@pytest.mark.parametrize("kind", [OnlyObs, ThreeOfReset, InfoForState, Branching, DriftingShape])
def test_training_says_the_same_of_what_an_auto_reset_wraps(kind):
    with pytest.raises(ConfigError) as told:
        fit_for_training(AutoResetWrapper(kind()), Params(), 1)
    assert DEFECTS[kind] in str(told.value)


@pytest.mark.parametrize("kind", [DriftingTime, DriftingShape])
def test_what_an_auto_reset_evens_out_is_found_inside(kind):
    assert problems(AutoResetWrapper(kind())) == problems(kind())


def test_a_class_is_not_an_environment():
    assert problems(Walk) == ["it is a class: give an instance, such as Walk()."]


def test_missing_methods_are_named():
    assert problems(object()) == [
        "it has no default_params, observation_space, action_space, reset, step."
    ]


def test_a_final_obs_that_an_outer_layer_lost_or_left_raw_is_reported():
    env = AutoResetWrapper(Walk())
    assert [
        'info["final_obs"] of AutoResetWrapper is lost' in p
        for p in problems(ForgetfulWrapper(env))
    ] == [True]
    assert ['but float32[1] in info["final_obs"]' in p for p in problems(RawFinalObs(env))] == [
        True
    ]


@dataclass(frozen=True)
class Counted(Walk):
    """Counts how often its step is traced, in a list that all equal ones share."""

    length: int = 10
    steps: list = field(default_factory=list, compare=False)

    def step(self, key, state, action, params):
        self.steps.append(self.length)
        return super().step(key, state, action, params)


def test_equal_environments_are_traced_once_and_others_again():
    steps = []
    for length in (10, 10, 11):
        env = Counted(length, steps)
        trace(env, env.default_params())
    assert steps == [10, 11]


def test_check_env_raises_with_all_problems():
    class Both(WideReward, NumberFlag):
        pass

    with pytest.raises(ConfigError, match=r"(?s)Both is not a sound.*reward is.*truncated is"):
        check_env(Both())


def test_a_reset_that_ignores_its_key_is_a_note():
    assert examine(GridWorld()).notes == ["reset ignores its key: every episode starts alike."]
    assert examine(Walk()).notes == []


def test_random_actions_respect_the_mask_of_legal_actions():
    class OnlyRight(Walk):
        def observation_space(self, params):
            return Masked(super().observation_space(params), 2)

        def reset(self, key, params):
            obs, state = super().reset(key, params)
            return MaskedObs(obs, jnp.array([False, True])), state

        def step(self, key, state, action, params):
            action = jnp.where(action == 0, jnp.nan, action)  # the illegal one leaves the space
            step = super().step(key, state, action, params)
            return step._replace(obs=MaskedObs(step.obs, jnp.array([False, True])))

    assert problems(OnlyRight()) == []


def test_auto_resets_names_what_writes_final_obs():
    params = CartPole().default_params()
    assert not auto_resets(CartPole(), params)
    assert auto_resets(AutoResetWrapper(CartPole()), params)


@dataclass(frozen=True)
class Odd(Walk):
    """A walk of which some step is changed."""

    change: Any = None

    def step(self, key, state, action, params):
        return self.change(state, super().step(key, state, action, params))


def nan_reward(state, step):
    return step._replace(reward=step.reward + jnp.where(state.time == 2, jnp.nan, 0.0))


def infinite_obs(state, step):
    return step._replace(obs=step.obs + jnp.where(state.time == 2, jnp.inf, 0.0))


def nested_metric(state, step):
    return step._replace(info={"metrics": {"parts": {"left": step.reward}}})


def wide_metric(state, step):
    return step._replace(info={"metrics": {"parts": step.obs}})


def taken_name(state, step):
    return step._replace(info={"metrics": {"wall_time": step.reward}})


def numbered_metric(state, step):
    return step._replace(info={"metrics": {1: step.reward}})


def text_in_info(state, step):
    return step._replace(info={"metrics": {"note": "text"}})


def list_of_metrics(state, step):
    return step._replace(info={"metrics": [step.reward]})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (nan_reward, "reward of step 3 is nan: give finite numbers."),
        (infinite_obs, "not finite: give finite numbers."),
        (nested_metric, "['parts'] is no scalar: give each number a name of its own."),
        (wide_metric, "['parts'] is no scalar: give each number a name of its own."),
        (numbered_metric, 'info["metrics"] has the names [1]: give text.'),
        (text_in_info, ": return arrays and numbers alone."),
        (taken_name, "['wall_time'] has a name that is taken: rename it, such as env_wall_time."),
        (list_of_metrics, 'info["metrics"] is a list: make it a dict of named scalars.'),
    ],
)
def test_what_a_step_cannot_emit_is_reported(change, sentence):
    for env in (Odd(change=change), AutoResetWrapper(Odd(change=change))):
        (problem,) = problems(env)
        assert problem.endswith(sentence)
