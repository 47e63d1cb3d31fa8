"""JAX's 64-bit mode changes no type, number or file, and environments may compute in 64 bits.

Programs are traced in both modes, which compiles nothing; a process in 64-bit mode trains.
"""

import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr
from runs_in_64_bits import HALF, WHOLE, leaves

from probes import Continuous, ForbiddenInRooms, Guided, RandomEnds, TwoChoices
from processes import environ
from vibe_rl.configs import ALGORITHMS
from vibe_rl.env import (
    AutoResetWrapper,
    Box,
    CartPole,
    Discrete,
    EpisodeStatisticsWrapper,
    FrameStackWrapper,
    ObsNormWrapper,
    RewardScaleWrapper,
    TimeLimitWrapper,
    make,
    names,
    problems,
)
from vibe_rl.env.image_wrappers import GrayscaleWrapper, ImageNormWrapper, ImageResizeWrapper
from vibe_rl.env.precision import SinglePrecisionWrapper
from vibe_rl.env.wrappers import has_layer
from vibe_rl.experiment import resume, train
from vibe_rl.ops import prng
from vibe_rl.runner import RunnerConfig, loop
from vibe_rl.runner.evaluator import begin_evaluation, continue_evaluation
from vibe_rl.runner.from_config import prepare_from_config
from vibe_rl.types import narrow

WIDE = tuple(map(np.dtype, ("float64", "int64", "uint64", "complex128")))
OFF_POLICY = {"hidden_sizes": (8,), "batch_size": 16, "n_step": 3, "prioritized": True}
PPO = {"hidden_sizes": (8,), "n_steps": 4, "num_envs": 4}
PLAIN = {
    "ppo": PPO,
    "dqn": {"hidden_sizes": (8,), "batch_size": 16},
    "sac": {"hidden_sizes": (8,), "batch_size": 16},
    "bc": {"hidden_sizes": (8,), "batch_size": 16, "expert_noise": 0.1},
    "bc_sac": {"hidden_sizes": (8,), "batch_size": 16},
}
LARGE = ("Driving-v0", "HackMatrix-v0")
"""Envs that take seconds to trace."""
TAUGHT = ("bc", "bc_sac")
SCHEDULES = {"lr_end": 0.0, "clip_eps_end": 0.1, "ent_coef_end": 0.0, "normalize_obs": True}
OPTIONS = {
    "schedules": ("ppo", {**PPO, **SCHEDULES, "target_kl": 0.1, "value_clip_eps": 0.2}),
    "squashed": ("ppo", {**PPO, "squash": True, "shared_backbone": True}),
    "dueling": (
        "dqn",
        {**OFF_POLICY, "dueling": True, "exploration_hold": 4, "lr_end": 0.0, "loss": "huber"},
    ),
    "two steps": ("dqn", {**PLAIN["dqn"], "train_every": 2, "tau": 0.1, "double": False}),
    "clipped": ("sac", {**OFF_POLICY, "max_grad_norm": 1.0, "normalize_obs": True}),
    "fixed alpha": ("sac", {**PLAIN["sac"], "autotune_alpha": False}),
}
RUNNER = RunnerConfig(total_timesteps=512, eval_episodes=2, progress_bar=False)
REPLAY = replace(RUNNER, warmup_steps=32, buffer_size=64)


def runs_on(env):
    """The name of an algorithm that can learn there."""
    return "dqn" if isinstance(env.action_space(env.default_params()), Discrete) else "sac"


def prepared(name, config, env, env_params):
    config_class, kind = ALGORITHMS[name]
    runner = REPLAY if kind.uses_replay else RUNNER
    return prepare_from_config(kind, env, env_params, config_class(**config), runner)


def programs(run):
    """What a run compiles, and with what: its start, its stages and its evaluation."""
    begin = partial(loop.start, env=run.env, num_envs=run.num_envs)
    key, params = prng.key(0), run.first_params
    yield lambda a, p, k: begin(a, env_params=p, key=k), (run.algorithm, params, key)
    state = run.shapes()
    for stage, _, _ in run.stages():
        step = partial(loop.iterations, each_episode=True)
        yield lambda s, *rest, f=step: f(s, run.env, *rest), (stage, params, state, 3)
    agent = run.algorithm, run.algorithm.portable(state.agent_state)
    yield from evaluations(run, agent, run.eval_params, key)


def evaluations(run, *what):
    def begin(agent, env_params, key):
        return begin_evaluation(agent, run.env, env_params, key, n_episodes=2)

    def proceed(agent, env_params, running, until):
        return continue_evaluation(agent, run.env, env_params, running, until)

    yield begin, what
    yield proceed, (*what[:2], jax.eval_shape(begin, *what), np.int32(9))


def equations(jaxpr):
    """Every equation of a program, inner ones included."""
    for equation in jaxpr.eqns:
        yield equation
        inner = jax.tree.leaves(
            equation.params, is_leaf=lambda x: isinstance(x, (Jaxpr, ClosedJaxpr))
        )
        for part in inner:
            if isinstance(part, (Jaxpr, ClosedJaxpr)):
                yield from equations(getattr(part, "jaxpr", part))


def is_wide(value):
    """64-bit numbers, but for integers that count rounds of a loop."""
    dtype = getattr(value.aval, "dtype", None)
    return dtype in WIDE and not (value.aval.shape == () and dtype == np.int64)


def wide_equations(jaxpr):
    """Those that compute with 64 bits; argmax does at first, whoever calls it."""
    return [
        str(equation)[:200]
        for equation in equations(jaxpr)
        if equation.primitive.name != "argmax" and any(map(is_wide, equation.outvars))
    ]


def described(jaxpr):
    return [value.aval.str_short() for value in jaxpr.jaxpr.outvars]


def traced(*what):
    """Types of all results, of each program of a run; and what is computed in 64 bits."""
    traces = [jax.make_jaxpr(program)(*args) for program, args in programs(prepared(*what))]
    return list(map(described, traces)), [x for each in traces for x in wide_equations(each.jaxpr)]


def assert_same_types(*what):
    expected, _ = traced(*what)
    with jax.enable_x64(True):
        assert traced(*what) == (expected, [])


def wrapped(env, env_params):
    return AutoResetWrapper(env), env_params


@pytest.mark.parametrize("env_id", LARGE)
def test_a_large_env_computes_in_the_same_types(env_id):
    """By itself, and in 64-bit mode alone: a run would trace it a dozen times."""
    env, env_params = wrapped(*make(env_id))

    def steps(key):
        _, state = env.reset(key, env_params)
        return env.step(key, state, env.action_space(env_params).sample(key), env_params)

    keys = jax.random.split(jax.random.key(0), 2)
    with jax.enable_x64(True):
        trace = jax.make_jaxpr(jax.vmap(steps))(keys)
    assert not {x.dtype for x in trace.out_avals} & set(WIDE)
    assert wide_equations(trace.jaxpr) == []


@pytest.mark.parametrize("env_id", [name for name in names() if name not in LARGE])
def test_every_env_is_learned_in_the_same_types(env_id):
    env, env_params = make(env_id)
    name = runs_on(env)
    assert_same_types(name, PLAIN[name], *wrapped(env, env_params))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_computes_in_the_same_types(name):
    env, env_params = make("Pendulum-v1" if name == "sac" else "CartPole-v1")
    if name in TAUGHT:
        env, env_params = Guided(), Guided().default_params()
    assert_same_types(name, PLAIN[name], *wrapped(env, env_params))


@pytest.mark.parametrize("options", OPTIONS)
def test_options_keep_the_types(options):
    name, config = OPTIONS[options]
    env_id = "CartPole-v1" if name == "dqn" or options == "schedules" else "Pendulum-v1"
    assert_same_types(name, config, *wrapped(*make(env_id)))


@dataclass(frozen=True)
class WideBoxes(Continuous):
    """Says itself that it has 64 bits."""

    def observation_space(self, params):
        return Box(-1.0, 1.0, (1,), np.float64)

    def action_space(self, params):
        return Box(-2.0, 3.0, (1,), np.float64)


def pile(env):
    """Layers that keep numbers of their own."""
    env = EpisodeStatisticsWrapper(TimeLimitWrapper(env, 5))
    return FrameStackWrapper(ObsNormWrapper(RewardScaleWrapper(env, 0.1)), 2)


CARELESS = {
    "random ends": (RandomEnds(), "dqn"),
    "a mask and a dictionary": (ForbiddenInRooms(), "dqn"),
    "choices": (TwoChoices(), "ppo"),
    "boxes of 64 bits": (WideBoxes(), "sac"),
    "layers": (pile(Continuous()), "sac"),
}
"""Envs whose code names no types, so that it computes in 64 bits in that mode."""


def emitted(env):
    """What a step returns, as the env itself makes it."""
    key, params = jax.random.key(0), env.default_params()
    _, state = jax.eval_shape(env.reset, key, params)
    action = jax.eval_shape(env.action_space(params).sample, key)
    return jax.eval_shape(env.step, key, state, action, params)


@pytest.mark.parametrize("name", CARELESS)
def test_envs_that_compute_in_64_bits_are_seen_in_32(name):
    env, algorithm = CARELESS[name]
    env = AutoResetWrapper(env)
    with jax.enable_x64(True):
        assert any(x.dtype in WIDE for x in jax.tree.leaves(emitted(env)))
        assert problems(env) == []
        run = prepared(algorithm, PLAIN[algorithm], env, env.default_params())
        for program, args in programs(run):
            jax.eval_shape(program, *args)
        state = run.shapes()
        seen = jax.tree.leaves((state.agent_state, state.obs))
        assert not {x.dtype for x in seen if x.dtype in WIDE}


@pytest.mark.parametrize("kind", ["image layers", "vectors"])
def test_wrappers_show_the_same_types(kind):
    env, _ = make("PixelGridWorld-v0" if kind == "image layers" else "CartPole-v1")
    if kind == "image layers":
        env = FrameStackWrapper(GrayscaleWrapper(ImageResizeWrapper(env, 12, 12)), 2)
        env = ImageNormWrapper(env)
    else:
        env = pile(env)
    assert_same_types(runs_on(env), PLAIN["dqn"], AutoResetWrapper(env), env.default_params())


def test_params_of_64_bits_become_those_of_the_env():
    env, params = wrapped(*make("CartPole-v1"))
    params = params._replace(gravity=np.linspace(5.0, 15.0, 4), tau=0.03, max_steps=7)
    assert_same_types("ppo", PPO, env, params)


def test_only_64_bit_mode_adds_a_layer():
    env = AutoResetWrapper(CartPole())
    assert not has_layer(
        prepared("ppo", PPO, env, env.default_params()).env, SinglePrecisionWrapper
    )
    with jax.enable_x64(True):
        run = prepared("ppo", PPO, env, env.default_params())
    assert has_layer(run.env, SinglePrecisionWrapper)


def test_large_integers_are_cut_and_do_not_wrap():
    with jax.enable_x64(True):
        large = {"a": jnp.array([2**40, -(2**40), 5]), "b": np.array([2**40], np.uint64)}
        small = narrow(large)
    assert small["a"].dtype == jnp.int32
    np.testing.assert_array_equal(small["a"], [2**31 - 1, -(2**31), 5])
    np.testing.assert_array_equal(small["b"], np.array([2**32 - 1], np.uint32))


@pytest.fixture(scope="module")
def both_modes(tmp_path_factory):
    """Runs of this process, in 32-bit mode, and what another made of them in 64-bit mode."""
    here, there = tmp_path_factory.mktemp("in_32_bits"), tmp_path_factory.mktemp("in_64_bits")
    halves = {name: train(config, here) for name, config in HALF.items()}
    script = Path(__file__).with_name("runs_in_64_bits.py")
    directories = {name: str(run_dir.root) for name, (run_dir, _) in halves.items()}
    (there / "directories.pickle").write_bytes(pickle.dumps(directories))
    mode = environ(8, JAX_ENABLE_X64="1", JAX_NUMPY_RANK_PROMOTION="raise")
    subprocess.run([sys.executable, script, there], check=True, env=mode)
    return halves, pickle.loads((there / "outcomes.pickle").read_bytes())


@pytest.mark.parametrize("name", HALF)
def test_64_bit_mode_learns_the_same_numbers_and_resumes_what_the_other_saved(name, both_modes):
    halves, outcomes = both_modes
    found, resumed, directory, score = outcomes[name]
    assert_identical(found, leaves(halves[name][1].state))
    _, whole = resume(directory, WHOLE[name])  # what 64-bit mode saved
    assert whole.step == WHOLE[name].runner.total_timesteps
    assert_identical(resumed, leaves(whole.state))
    assert np.isfinite(score)


def assert_identical(found, expected):
    assert set(found) == set(expected)
    for name, leaf in expected.items():
        assert found[name].dtype == leaf.dtype
        np.testing.assert_array_equal(found[name], leaf, err_msg=name)
