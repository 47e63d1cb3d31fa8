"""Behaviour cloning: who acts, what is kept, its losses by hand, and that it becomes the expert."""

import math
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Continuous, Guided, GuidedChoice
from training import run_training
from vibe_rl.algorithms.bc import BC, BCConfig, imitation_loss
from vibe_rl.algorithms.expert import Expert
from vibe_rl.algorithms.warmup import Warmup
from vibe_rl.env import AutoResetWrapper, Discrete
from vibe_rl.env.precision import fit_for_loop
from vibe_rl.env.wrappers import with_episode_statistics
from vibe_rl.errors import ConfigError, UnknownNameError
from vibe_rl.networks.soft_actor_critic import CategoricalActor, GaussianActor
from vibe_rl.replay import Replay
from vibe_rl.runner import RunnerConfig
from vibe_rl.runner.acting import check_expert
from vibe_rl.runner.from_config import make_algorithm, prepare_from_config
from vibe_rl.runner.loop import collect, jit_start
from vibe_rl.spaces import Box, Masked
from vibe_rl.types import MaskedObs

KEY = jax.random.key(0)
CONFIG = BCConfig(hidden_sizes=(32,), lr=3e-3, num_envs=16, batch_size=64, replay_ratio=0.125)
RUNNER = RunnerConfig(
    total_timesteps=12_000,
    warmup_steps=128,
    buffer_size=4_000,
    eval_episodes=0,
    log_interval=12_000,
    progress_bar=False,
)
BOX = Guided().action_space(())
HIGH = jnp.asarray(BOX.high)


def prepared(env, config=CONFIG, runner=RUNNER):
    env = AutoResetWrapper(env)
    return prepare_from_config(BC, env, env.default_params(), config, runner)


def learn(env, config=CONFIG, **changes):
    run = prepared(env, config, replace(RUNNER, **changes))
    ended = run_training(run)
    return run.algorithm, ended.state.agent_state


@pytest.mark.parametrize(
    ("loss", "noise", "changes"),
    [("mse", 0.3, {"lr_end": 0.0}), ("mae", 0.0, {"normalize_obs": True}), ("nll", 0.0, {})],
)
def test_the_policy_becomes_the_expert(loss, noise, changes):
    # untrained the mean error is that of the middle of the bounds, 0.35 of half their width
    config = replace(CONFIG, loss=loss, expert_noise=noise, **changes)
    algorithm, state = learn(Guided(), config)
    obs = jax.random.uniform(KEY, (256, 2), minval=-1.0)
    action = np.asarray(jax.jit(jax.vmap(lambda o: algorithm.greedy(state, o)))(obs))
    error = np.abs((action - np.asarray(obs) @ Guided.matrix.T) / BOX.high).mean()
    assert error < 0.03


def test_choices_are_cloned_by_their_probability():
    config = replace(CONFIG, expert="rules", expert_noise=0.5)
    algorithm, state = learn(GuidedChoice(), config, total_timesteps=4_000)
    obs = jnp.array([[-1.0], [1.0]])
    np.testing.assert_array_equal(jax.vmap(lambda o: algorithm.greedy(state, o))(obs), [0, 1])


def collected(env, config, n_steps=3, stage=lambda algorithm: algorithm):
    """A rollout of a fresh agent, of its warm-up or whatever `stage` makes of it."""
    env = AutoResetWrapper(env)
    params = env.default_params()
    algorithm = make_algorithm(BC, env, params, replace(config, train_every=n_steps), RUNNER)
    env = with_episode_statistics(fit_for_loop(env))
    state = jit_start(algorithm, env, params, KEY, num_envs=config.num_envs)
    rollout = jax.jit(lambda a, s: collect(stage(a), env, params, s, KEY)[1])(algorithm, state)
    return algorithm, state.agent_state, rollout.transition


@pytest.mark.parametrize("stage", [lambda a: a, Warmup])
def test_the_expert_drives_with_noise_and_is_asked_without(stage):
    noisy = replace(CONFIG, expert_noise=0.1)
    _, _, rollout = collected(Guided(length=4), noisy, 64, stage)
    expected = np.asarray(rollout.obs) @ Guided.matrix.T
    np.testing.assert_allclose(rollout.extras, expected, rtol=1e-5, atol=1e-6)
    noise = (np.asarray(rollout.action) - expected) / BOX.high
    # 1024 numbers for each entry: four deviations of their mean and of their deviation
    assert (np.abs(noise.mean((0, 1))) < 4 * 0.1 / 32).all()
    np.testing.assert_allclose(noise.std((0, 1)), 0.1, rtol=4 / math.sqrt(2048))
    assert abs(np.corrcoef(noise.reshape(-1, 2).T)[0, 1]) < 0.15


def test_noise_stays_within_the_bounds_and_without_any_the_expert_is_followed():
    expert = Expert("expert", BOX, 0.0)
    np.testing.assert_allclose(expert.disturb((), jnp.array([1.5, -1.0]), KEY), [1.5, -1.0])
    wild = jax.vmap(lambda key: replace(expert, noise=3.0).disturb((), HIGH, key))
    action = np.asarray(wild(jax.random.split(KEY, 64)))
    assert (action <= BOX.high).all()
    assert (action >= BOX.low).all()
    assert (action == BOX.high).any()


def test_what_an_expert_says_is_brought_into_the_bounds_and_type_of_the_actions():
    said = Expert("expert", BOX).member(jnp.array([2.5, -7.0]))
    np.testing.assert_array_equal(said, [2.0, -1.0])
    choice = Expert("rules", Discrete(3, jnp.uint8)).member(jnp.int32(2))
    assert (choice.dtype, int(choice)) == (jnp.uint8, 2)


def test_noise_on_choices_is_the_share_of_random_legal_ones():
    # of 4 choices 1 and 3 are legal; 1 is disturbed half of the time and then is 3 half of the time
    expert = Expert("rules", Discrete(4), 0.5)
    obs = MaskedObs((), jnp.array([False, True, False, True]))
    disturb = jax.vmap(lambda key: expert.disturb(obs, jnp.int32(1), key))
    action = np.asarray(disturb(jax.random.split(KEY, 2000)))
    assert set(action) == {1, 3}
    assert (action == 3).mean() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 2000))


def test_of_several_envs_an_expert_drives_every_so_manieth():
    expert = Expert("expert", BOX, one_in=3)
    np.testing.assert_array_equal(expert.drives(7), [1, 0, 0, 1, 0, 0, 1])
    assert Expert("expert", BOX).drives(5).all()


def test_the_replay_keeps_what_the_expert_said_and_not_what_was_done():
    algorithm, state, rollout = collected(Guided(), replace(CONFIG, expert_noise=0.3))
    ring = jax.jit(lambda a, s, r: a.store(s, r).ring)(algorithm, state, rollout)
    kept = np.asarray(ring.kind) != 0
    assert kept.sum() == 3 * CONFIG.num_envs
    expected = np.asarray(ring.obs)[kept] @ Guided.matrix.T
    np.testing.assert_allclose(np.asarray(ring.action)[kept], expected, rtol=1e-5, atol=1e-6)


def test_a_ring_on_the_host_keeps_the_same():
    config = replace(CONFIG, expert_noise=0.3, num_envs=4, replay_ratio=0.25)
    run = prepared(
        Guided(), config, replace(RUNNER, total_timesteps=200, replay_on="host", buffer_size=400)
    )
    ring = run_training(run).state.agent_state.memory.ring
    kept = np.asarray(ring.kind) != 0
    expected = np.asarray(ring.obs)[kept] @ Guided.matrix.T
    np.testing.assert_allclose(np.asarray(ring.action)[kept], expected, rtol=1e-5, atol=1e-6)


def gaussian(mean, std):
    """A policy of these numbers whatever is observed, before the tanh."""
    make = lambda key: BC(CONFIG, Box(-1, 1, (2,)), BOX, Replay(16), 8).make_actor(key)  # noqa: E731
    actor = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(make, KEY))
    assert isinstance(actor, GaussianActor)
    return eqx.tree_at(lambda a: a.head.bias, actor, jnp.array([*mean, *np.log(std)], jnp.float32))


def test_losses_of_numbers_by_hand():
    # bounds +-2 and +-1: the expert's (1, -0.5) is (0.5, -0.5); the policy's median (0, tanh 1)
    actor, obs, action = gaussian([0.0, 1.0], [0.5, 2.0]), jnp.zeros(2), jnp.array([1.0, -0.5])
    away = np.array([-0.5, math.tanh(1.0) + 0.5])
    loss = {name: imitation_loss(actor, obs, action, name) for name in ("mse", "mae", "nll")}
    np.testing.assert_allclose(loss["mse"][0], (away**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(loss["mae"][0], np.abs(away).mean(), rtol=1e-5)
    # -log N(u) + log(1 - tanh(u)^2) with u = atanh(+-0.5), and 1 - 0.25 under the logarithm
    u, std = np.arctanh([0.5, -0.5]), np.array([0.5, 2.0])
    z = (u - [0.0, 1.0]) / std
    expected = (0.5 * z**2 + np.log(std) + 0.5 * math.log(2 * math.pi) + math.log(0.75)).sum()
    np.testing.assert_allclose(loss["nll"][0], expected, rtol=1e-4)
    for _, error in loss.values():
        np.testing.assert_allclose(error, np.abs(away).mean(), rtol=1e-5)


def test_an_action_at_its_bound_has_a_finite_density():
    slope = jax.grad(lambda a: imitation_loss(a, jnp.zeros(2), HIGH, "nll")[0])
    grads = slope(gaussian([0.0, 0.0], [1.0, 1.0]))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(grads))


def test_the_loss_of_a_choice_is_minus_its_log_probability_among_the_legal():
    # logits 0, 0 and log 2 of which the second is illegal: 1/3 and 2/3
    space = Masked(Box(-1, 1, (2,)), 3)
    make = lambda key: BC(CONFIG, space, Discrete(3), Replay(16), 8).make_actor(key)  # noqa: E731
    actor = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(make, KEY))
    assert isinstance(actor, CategoricalActor)
    logits = jnp.array([0.0, 0.0, math.log(2.0)])
    actor = eqx.tree_at(lambda a: a.head.bias, actor, logits)
    obs = MaskedObs(jnp.zeros(2), jnp.array([True, False, True]))
    for action, p, wrong in ((0, 1 / 3, 1.0), (2, 2 / 3, 0.0)):
        loss, error = imitation_loss(actor, obs, jnp.int32(action), "mse")
        np.testing.assert_allclose(loss, -math.log(p), rtol=1e-5)
        assert error == wrong


def test_an_env_without_such_an_actor_is_refused_with_those_it_has():
    with pytest.raises(UnknownNameError, match=r"unknown expert of Continuous 'expert': .*random"):
        prepared(Continuous())
    with pytest.raises(UnknownNameError, match=r"unknown expert of GuidedChoice 'rule'.*rules"):
        prepared(GuidedChoice(), replace(CONFIG, expert="rule"))


class InPython:
    """An environment that no actor can look into."""

    def default_params(self):
        return ()

    observation_space = action_space = open = default_params


def test_an_env_in_python_has_no_expert():
    algorithm = prepared(Guided()).algorithm
    with pytest.raises(ConfigError, match="expert expert has to see the environment's state"):
        check_expert(algorithm, InPython(), ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "l2"}, "unknown loss 'l2': choose from mae, mse, nll"),
        ({"expert_noise": -1.0}, "expert_noise -1.0: give at least 0"),
        ({"log_std_min": 3.0}, "log_std_min 3.0 is not below log_std_max 2.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        prepared(Guided(), replace(CONFIG, **changes))
