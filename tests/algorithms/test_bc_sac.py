"""SAC beside imitation: whose envs are whose, whose turn it is, and what each half changes."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Continuous, Guided, GuidedChoice
from training import run_training
from vibe_rl.algorithms.bc_sac import BCSAC, BCSACConfig
from vibe_rl.env import AutoResetWrapper
from vibe_rl.env.precision import fit_for_loop
from vibe_rl.env.wrappers import with_episode_statistics
from vibe_rl.errors import ConfigError, UnknownNameError
from vibe_rl.policies.network import network_of
from vibe_rl.runner import RunnerConfig
from vibe_rl.runner.from_config import prepare_from_config
from vibe_rl.runner.loop import iteration, jit_start

KEY = jax.random.key(0)
CONFIG = BCSACConfig(
    hidden_sizes=(8,),
    num_envs=6,
    batch_size=16,
    replay_ratio=0.5,
    expert_one_in=3,
    imitation_every=3,
    expert_noise=0.2,
    average_decay=0.9,
)
RUNNER = RunnerConfig(
    total_timesteps=120, warmup_steps=24, buffer_size=60, eval_episodes=0, progress_bar=False
)
SAC_PARTS = ["critic_params", "target_critic_params", "actor_opt_state", "critic_opt_state", "step"]


def prepared(env=None, config=CONFIG, runner=RUNNER):
    env = AutoResetWrapper(env or Guided())
    return prepare_from_config(BCSAC, env, env.default_params(), config, runner)


@pytest.fixture(scope="module")
def states():
    """The algorithm, its states before the first update and after each of nine, and metrics."""
    run = prepared(Guided(length=5), runner=replace(RUNNER, buffer_size=100))
    env, params = with_episode_statistics(fit_for_loop(run.env)), run.first_params
    (warmup, n_warmup), *_ = run.algorithm.stages()
    state = jit_start(run.algorithm, env, params, KEY, num_envs=CONFIG.num_envs)
    step = jax.jit(iteration, static_argnums=1)
    for _ in range(n_warmup):
        state, _ = step(warmup, env, params, state)
    found, metrics = [state.agent_state], []
    for _ in range(9):
        state, measured = step(run.algorithm, env, params, state)
        found.append(state.agent_state)
        metrics.append(measured.metrics)
    return run.algorithm, found, metrics


def same(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def test_of_three_updates_the_first_imitates_and_sac_learns_in_the_others(states):
    _, found, metrics = states
    for i, (before, after) in enumerate(pairwise(found)):
        imitates = i % 3 == 0
        assert not same(before.actor_params, after.actor_params)
        assert not same(before.average_params, after.average_params)
        for part in SAC_PARTS:
            assert same(getattr(before, part), getattr(after, part)) == imitates
        assert same(before.beside.opt_state, after.beside.opt_state) == (not imitates)
        # three gradient steps in each: half of six env steps
        assert metrics[i]["gradient_steps"] == 3 * (i - i // 3)
        assert metrics[i]["imitation_steps"] == 3 * (1 + i // 3)
        assert metrics[i]["imitation_loss"] > 0.0
        assert (metrics[i]["q_mean"] != 0.0) == (i > 0)


def test_the_replays_are_of_the_expert_s_envs_and_of_the_others(states):
    algorithm, found, _ = states
    rings = found[-1].memory.ring
    assert (rings.driven.num_envs, rings.own.num_envs) == (2, 4)
    for ring, is_expert in ((rings.driven, True), (rings.own, False)):
        kept = np.asarray(ring.kind) != 0
        expected = np.asarray(ring.obs)[kept] @ Guided.matrix.T
        error = np.abs(np.asarray(ring.action)[kept] - expected).max()
        assert (error < 1e-5) == is_expert
    n_steps = 4 + 9  # of the warm-up and of the updates
    assert (np.asarray(rings.driven.kind) != 0).sum() == 2 * n_steps
    assert (np.asarray(rings.own.kind) != 0).sum() == 4 * n_steps
    space = algorithm.obs_space, algorithm.action_space
    parts = [algorithm.replay.driven, algorithm.replay.own]
    assert algorithm.replay.nbytes(*space) == sum(part.nbytes(*space) for part in parts)


def test_envs_are_split_as_the_expert_drives_them():
    algorithm = prepared().algorithm
    rollout = jnp.arange(2 * 6).reshape(2, 6)
    driven, own = algorithm.replay.split(rollout)
    drives = algorithm.expert.drives(6)
    np.testing.assert_array_equal(driven, rollout[:, np.flatnonzero(drives)])
    np.testing.assert_array_equal(own, rollout[:, np.flatnonzero(~drives)])


def test_greedy_actions_are_the_average_s_and_are_exported_so(states):
    algorithm, found, _ = states
    state, obs = found[-1], jnp.array([0.3, -0.4])
    action = algorithm.greedy(state, obs)
    np.testing.assert_array_equal(action, state.average_params.mode(obs))
    assert np.abs(action - state.actor_params.mode(obs)).max() > 1e-6
    network = network_of(algorithm, algorithm.portable(state))
    weights = [v for node in network.params.values() for v in [np.asarray(node)] if v.ndim == 2]
    assert any(np.array_equal(w, state.average_params.head.weight) for w in weights)


def test_a_run_of_choices_learns_with_masks_off_and_on():
    config = replace(CONFIG, expert="rules", imitation_every=2, actor_lr=1e-2, lr=1e-2)
    ended = run_training(prepared(GuidedChoice(), config, replace(RUNNER, total_timesteps=1_200)))
    run, state = prepared(GuidedChoice(), config), ended.state.agent_state
    obs = jnp.array([[-1.0], [1.0]])
    np.testing.assert_array_equal(jax.vmap(lambda o: run.algorithm.greedy(state, o))(obs), [0, 1])


@pytest.mark.parametrize(
    ("changes", "runner", "message"),
    [
        ({"num_envs": 7}, {}, "expert_one_in 3 does not divide num_envs 7: choose a multiple"),
        ({"prioritized": True}, {}, "prioritized True is of a single replay"),
        ({}, {"replay_on": "host"}, "replay_on host: two replays need the device"),
        ({"imitation_every": 1}, {}, "imitation_every 1: give at least 2"),
        ({"lr": -1.0}, {}, "lr -1.0: give at least 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, runner, message):
    with pytest.raises(ConfigError, match=message):
        prepared(config=replace(CONFIG, **changes), runner=replace(RUNNER, **runner))


def test_by_default_there_are_enough_envs_for_the_expert_to_have_one():
    assert prepared(config=BCSACConfig(batch_size=16)).num_envs == 8
    with pytest.raises(ConfigError, match="expert_one_in 8 does not divide num_envs 4"):
        prepared(config=BCSACConfig(batch_size=16), runner=replace(RUNNER, num_envs=4))


def test_an_env_without_the_expert_is_refused():
    with pytest.raises(UnknownNameError, match="unknown expert of Continuous 'expert'"):
        prepared(Continuous())
