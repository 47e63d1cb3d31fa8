"""Updates from whole episodes: padding counts nothing, and the numbers are those of the episode."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vibe_rl.algorithms.ppo import (
    PPO,
    Behaviour,
    Coefficients,
    PPOConfig,
    ppo_loss,
    standardize,
    surrogate,
)
from vibe_rl.ops.minibatches import permutations
from vibe_rl.ops.normalization import initial_statistics, update_statistics
from vibe_rl.ops.returns import compute_gae
from vibe_rl.spaces import Box, Discrete
from vibe_rl.types import Transition

KEY = jax.random.key(0)
LENGTH, T, SIZE = 9, 16, 4
CONFIG = PPOConfig(
    hidden_sizes=(5,),
    lr=0.02,
    n_steps=T,
    n_minibatches=T // SIZE,
    n_epochs=3,
    whole_episodes=True,
    advantage_scope="rollout",
    normalize_obs=True,
    layer_grad_norms=True,
)
ALGORITHM = PPO(CONFIG, Box(-10.0, 10.0, (2,)), Discrete(2))
update = jax.jit(lambda algorithm, *args: algorithm.update(*args))
gradient = jax.jit(jax.grad(partial(ppo_loss, standardized=True), has_aux=True))
examples_of = jax.jit(lambda algorithm, *args: algorithm.examples(*args))
OPTIMIZER = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(CONFIG.lr, eps=1e-5))


@jax.jit
def optax_step(params, opt_state, grads):
    updates, opt_state = OPTIMIZER.update(grads, opt_state)
    return optax.apply_updates(params, updates), opt_state, optax.tree.norm(grads)


def episode(length=LENGTH, rest=0.0, by_clock=False):
    """A rollout of one env, whose episode ends after `length` steps; `rest` follows in all."""
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(T + 1, 1, 2)).astype(np.float32)
    counts = np.arange(T)[:, None] < length
    obs[length + 1 :] = rest
    end = np.arange(T)[:, None] == length - 1
    pad = partial(np.where, counts)
    reward = pad(rng.normal(size=(T, 1)), rest).astype(np.float32)
    log_prob = pad(-0.7 + 0.1 * rng.normal(size=(T, 1)), rest).astype(np.float32)
    sample = pad(rng.integers(0, 2, (T, 1)), 0).astype(np.int32)
    none = np.zeros_like(end)
    return jax.tree.map(
        jnp.asarray,
        Transition(
            obs=obs[:-1],
            action=sample,
            reward=reward,
            terminated=none if by_clock else end,
            truncated=end if by_clock else none,
            next_obs=obs[1:],
            extras=Behaviour(sample, log_prob),
        ),
    )


def first_state():
    statistics = initial_statistics(jnp.zeros(2))
    seen = update_statistics(statistics, jnp.array([[[1.0, -1.0]], [[0.5, 2.0]]]))
    return jax.jit(ALGORITHM.init)(KEY)._replace(obs_statistics=seen)


def ragged(rollout):
    """The steps of the episode alone."""
    return jax.tree.map(lambda x: x[:LENGTH], rollout)


def plain_update(state, rollout):
    """An update as one writes it for arrays of any length: no padding, no weights, a loop."""
    own = replace(CONFIG, whole_episodes=False, advantage_scope="minibatch")
    algorithm = PPO(own, ALGORITHM.obs_space, ALGORITHM.action_space)
    examples = jax.tree.map(lambda x: x[0], examples_of(algorithm, state, ragged(rollout)))
    examples = examples._replace(advantage=standardize(examples.advantage))
    params, opt_state = state.params, OPTIMIZER.init(state.params)
    coefficients = Coefficients(CONFIG.lr, 0.2, 0.01, 0.5, None)
    norms = []
    for order in np.asarray(permutations(KEY, T, 3, 1))[:, 0]:
        counting = order[order < LENGTH]
        for begin in range(0, LENGTH, SIZE):  # the last minibatch holds what is left
            batch = jax.tree.map(lambda x, i=counting[begin : begin + SIZE]: x[i], examples)
            grads, _ = gradient(params, batch, coefficients)
            params, opt_state, norm = optax_step(params, opt_state, grads)
            norms.append(norm)
    return params, np.mean(norms)


def assert_close(a, b, **tolerance):
    jax.tree.map(partial(np.testing.assert_allclose, **tolerance), a, b)


@pytest.mark.parametrize("by_clock", [False, True])
def test_an_update_equals_the_one_without_padding(by_clock):
    state, rollout = first_state(), episode(by_clock=by_clock)
    learned, metrics = update(ALGORITHM, state, rollout, KEY)
    params, norm = plain_update(state, rollout)
    assert_close(learned.params, params, atol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], norm, rtol=1e-4)


def test_what_follows_an_episode_changes_no_bit_of_what_is_learned():
    state = first_state()
    zeros, junk = (update(ALGORITHM, state, episode(rest=x), KEY) for x in (0.0, 1e4))
    jax.tree.map(np.testing.assert_array_equal, zeros, junk)


def test_statistics_of_observations_are_those_of_the_episode():
    state, rollout = first_state(), episode(rest=77.0)
    learned, _ = update(ALGORITHM, state, rollout, KEY)
    expected = update_statistics(state.obs_statistics, ragged(rollout).obs)
    assert_close(learned.obs_statistics, expected, rtol=1e-5)
    assert learned.obs_statistics.count == 2 + LENGTH


def test_advantages_are_standardised_over_the_episode():
    state, rollout = first_state(), episode()
    advantage = examples_of(ALGORITHM, state, rollout).advantage[0, :LENGTH]
    np.testing.assert_allclose(advantage.mean(), 0.0, atol=1e-6)
    np.testing.assert_allclose(advantage.std(), 1.0, rtol=1e-5)


def test_an_episode_of_one_step_has_no_advantage_and_is_learned_from():
    state, rollout = first_state(), episode(length=1)
    assert examples_of(ALGORITHM, state, rollout).advantage[0, 0] == 0.0
    learned, metrics = update(ALGORITHM, state, rollout, KEY)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((learned, metrics)))
    assert not np.array_equal(learned.params.value_head.bias, state.params.value_head.bias)


def test_an_episode_ended_by_the_clock_is_bootstrapped_and_one_that_terminates_is_not():
    state = first_state()
    by_clock, by_task = (
        examples_of(ALGORITHM, state, episode(by_clock=clock)) for clock in (True, False)
    )
    rollout = episode()
    obs = (rollout.next_obs[LENGTH - 1, 0] - state.obs_statistics.mean) / np.sqrt(
        state.obs_statistics.var + 1e-8
    )
    bootstrap = CONFIG.gamma * state.params.value(obs)
    difference = by_clock.target[0, LENGTH - 1] - by_task.target[0, LENGTH - 1]
    np.testing.assert_allclose(difference, bootstrap, rtol=1e-4)


def test_metrics_are_means_over_the_minibatches_that_were_made():
    short, _ = (update(ALGORITHM, first_state(), episode(n), KEY)[1] for n in (SIZE, LENGTH))
    alone = replace(CONFIG, n_steps=SIZE, n_minibatches=1)  # the same without empty minibatches
    algorithm = PPO(alone, ALGORITHM.obs_space, ALGORITHM.action_space)
    rollout = jax.tree.map(lambda x: x[:SIZE], episode(SIZE))
    expected = update(algorithm, first_state(), rollout, KEY)[1]
    for name in ("total_loss", "entropy", "grad_norm", "kl_k1", "explained_variance"):
        np.testing.assert_allclose(short[name], expected[name], rtol=1e-4, atol=1e-6)


def test_every_arrays_gradient_has_a_norm_and_together_they_are_the_whole_ones():
    config = replace(CONFIG, n_epochs=1, n_minibatches=1)
    algorithm = PPO(config, ALGORITHM.obs_space, ALGORITHM.action_space)
    _, metrics = update(algorithm, first_state(), episode(), KEY)
    norms = {name: x for name, x in metrics.items() if name.startswith("grad_norm.")}
    assert {"grad_norm.actor.mlp.layers.0.weight", "grad_norm.value_head.bias"} <= set(norms)
    assert len(norms) == 8
    whole = np.sqrt(sum(float(x) ** 2 for x in norms.values()))
    np.testing.assert_allclose(whole, metrics["grad_norm"], rtol=1e-5)


@pytest.mark.parametrize("even", [False, True])
def test_several_envs_learn_from_an_episode_each(even):
    config = replace(CONFIG, num_envs=2, n_minibatches=8, even_minibatches=even)
    algorithm = PPO(config, ALGORITHM.obs_space, ALGORITHM.action_space)
    rollout = jax.tree.map(lambda *x: jnp.concatenate(x, 1), episode(3), episode(LENGTH))
    learned, metrics = update(algorithm, first_state(), rollout, KEY)
    assert learned.obs_statistics.count == 2 + 3 + LENGTH
    assert np.isfinite(metrics["total_loss"])


# The specification's numbers: r = 1, gamma 0.99, lambda 0.95.


def advantages(value, next_value, terminated, truncated):
    ends = (jnp.asarray(x, bool) for x in (terminated, truncated))
    numbers = (jnp.asarray(x, jnp.float32) for x in (value, next_value))
    return compute_gae(jnp.ones(len(value)), *numbers, *ends, 0.99, 0.95)


@pytest.mark.parametrize(
    ("terminated", "truncated", "advantage", "target"),
    [
        ([0, 0, 0], [0, 0, 1], (3.087884, 2.120026, 1.092), (3.587884, 2.720026, 1.792)),
        ([0, 0, 1], [0, 0, 0], (2.387329, 1.375150, 0.3), (2.887329, 1.975150, 1.0)),
    ],
)
def test_golden_advantages(terminated, truncated, advantage, target):
    got = advantages([0.5, 0.6, 0.7], [0.6, 0.7, 0.8], terminated, truncated)
    np.testing.assert_allclose(got[0], advantage, atol=1e-6)
    np.testing.assert_allclose(got[1], target, atol=1e-6)


def test_golden_advantages_of_two_episodes_do_not_leak():
    values = [0.5, 0.6, 0.7, 0.8], [0.6, 0.9, 0.8, 0.9]
    got, _ = advantages(*values, [0, 1, 0, 0], [0, 0, 0, 1])
    np.testing.assert_allclose(got, [1.4702, 0.4, 2.118086, 1.091], atol=1e-6)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [(1.5, 1, 1.2), (1.5, -1, -1.5), (0.5, 1, 0.5), (0.5, -1, -0.8), (1.1, 2, 2.2)],
)
def test_golden_surrogates(ratio, advantage, expected):
    got = surrogate(jnp.float32(ratio), jnp.float32(advantage), 0.2)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_golden_standardisation():
    expected = [-1.341641, -0.447214, 0.447214, 1.341641]
    np.testing.assert_allclose(standardize(jnp.arange(1.0, 5.0)), expected, atol=1e-6)
    padded = jnp.array([1.0, 2.0, 3.0, 4.0, 99.0])
    np.testing.assert_allclose(standardize(padded, jnp.arange(5) < 4)[:4], expected, atol=1e-6)
    assert standardize(jnp.array([7.0, 3.0]), jnp.array([True, False]))[0] == 0.0
