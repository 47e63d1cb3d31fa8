"""Walks through a bank: without replacement, in another order in each epoch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Bank, Banked
from vibe_rl.env import AutoResetWrapper, ObsNormWrapper
from vibe_rl.env.params.many import entries_of, reset_all
from vibe_rl.env.walk import WalkParams, WalkWrapper, entry_at, shuffled, walking
from vibe_rl.errors import ConfigError
from vibe_rl.runner.actors import actor_named, collect_from, evaluate_actor

ENV = AutoResetWrapper(Banked(length=2))
KEY = jax.random.key(0)


def order(n, seed):
    return np.asarray(jax.jit(partial(shuffled, n=n))(jnp.arange(n), seed=seed))


@pytest.mark.parametrize("n", [1, 2, 3, 17, 1000, 4096])
def test_every_entry_comes_once_in_an_epoch(n):
    for seed in (0, 1, 2**32 - 1):
        np.testing.assert_array_equal(np.sort(order(n, np.uint32(seed))), np.arange(n))


def test_orders_look_random_and_differ_between_seeds():
    orders = np.stack([order(1000, np.uint32(seed)) for seed in range(20)])
    assert len({tuple(each) for each in orders}) == 20
    # fixed points of a random permutation are Poisson with mean 1, and places do not correlate
    assert 3 <= (orders == np.arange(1000)).sum() <= 45  # 20, +- 5.6 standard deviations above
    for each in orders:
        assert abs(np.corrcoef(each, np.arange(1000))[0, 1]) < 0.15  # 4.7 standard deviations
        assert abs(np.corrcoef(each[1:], each[:-1])[0, 1]) < 0.15
    # the entry at each place is spread over all: of 20 orders, the means are of uniform numbers
    assert np.all(np.abs(orders.mean(1) - 499.5) < 1e-9)
    assert 40 < np.std(orders.mean(0)) < 90  # 289 / sqrt(20) = 65


def test_turns_go_through_epochs_of_their_own_order():
    turns = np.arange(30)
    entries = np.asarray(jax.vmap(partial(entry_at, n=10, seed=np.uint32(7)))(turns)).reshape(3, 10)
    np.testing.assert_array_equal(np.sort(entries), np.tile(np.arange(10), (3, 1)))
    assert len({tuple(epoch) for epoch in entries}) == 3
    plain = jax.vmap(partial(entry_at, n=10, seed=np.uint32(7), shuffle=False))(turns)
    np.testing.assert_array_equal(plain, turns % 10)


def played(env, params, num_envs, n_steps):
    """The scenario of every episode that ended, `[episodes, num_envs]`."""
    player = actor_named("random", env, params)
    met = collect_from(player, env, params, KEY, num_envs=num_envs, n_steps=n_steps)
    assert met.transition.truncated[1::2].all()
    return np.asarray(met.own["episode mean scenario"])[1::2].astype(int)


def test_envs_that_share_a_walk_take_each_scenario_once_before_any_comes_again():
    bank = Bank(np.arange(12, dtype=np.float32))
    env, params = walking(ENV, bank, "scenario", n=12, num_envs=4, seed=3)
    assert entries_of(env, params) == 4
    found = played(env, params, num_envs=4, n_steps=12)  # six episodes of each: two epochs
    np.testing.assert_array_equal(np.sort(found[:3].ravel()), np.arange(12))
    np.testing.assert_array_equal(np.sort(found[3:].ravel()), np.arange(12))
    assert not np.array_equal(found[:3], found[3:])
    expected = [entry_at(turn, 12, np.uint32(3)) for turn in range(12)]
    np.testing.assert_array_equal(found[:3].ravel(), expected)


def test_an_env_with_a_bank_of_its_own_walks_it_in_order():
    env = WalkWrapper(ENV, "scenario", n=3, shuffle=False)
    params = WalkParams(Bank(np.arange(6, dtype=np.float32).reshape(2, 3)))
    found = played(env, params, num_envs=2, n_steps=8)
    np.testing.assert_array_equal(found, [[0, 0], [1, 1], [2, 2], [0, 0]])


def test_a_scenario_that_is_given_is_played_whatever_the_turn():
    env, params = walking(ENV, Bank(), "scenario", n=4, num_envs=2)
    pinned = params._replace(inner=Bank(scenario=np.array([2, 0, 3], np.int32)), walker=np.int32(0))
    player = actor_named("random", env, params)
    how = {"n_episodes": 3, "max_steps": 5, "rng": KEY}
    scores = evaluate_actor(player, env, pinned, **how)
    np.testing.assert_array_equal(scores.episode_metrics["scenario"], [2, 0, 3])


def test_a_fresh_reset_begins_the_walk_anew():
    env, params = walking(ENV, Bank(), "scenario", n=4, num_envs=2)
    states = [reset_all(env, params, key, num_envs=2)[1] for key in jax.random.split(KEY)]
    np.testing.assert_array_equal(states[0].inner.scenario, states[1].inner.scenario)
    np.testing.assert_array_equal(states[0].turn, [2, 3])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: WalkWrapper(ENV, "scenario", 0), "n 0 of a walk: give 1 to 16,777,216"),
        (lambda: WalkWrapper(ENV, "pay", 4).default_params(), "Bank has no number pay"),
        (
            lambda: WalkWrapper(ObsNormWrapper(ENV), "scenario", 4).default_params(),
            "ObsNormParams has no number scenario",
        ),
    ],
)
def test_a_walk_that_cannot_be_is_refused(make, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make()
