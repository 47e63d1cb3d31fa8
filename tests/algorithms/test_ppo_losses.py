"""PPO's numbers by hand: losses, advantages, schedules, one step of Adam and what stops an update.

The agent of most tests is linear: its logits are the two numbers of the observation and its value
is the first of them plus a bias.
"""

import math
from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vibe_rl.algorithms.ppo import (
    PPO,
    Behaviour,
    Coefficients,
    Examples,
    PPOConfig,
    ppo_loss,
    surrogate,
    value_loss,
)
from vibe_rl.algorithms.value_targets import add_targets, initial_value_statistics
from vibe_rl.errors import ConfigError
from vibe_rl.ops.minibatches import minibatches
from vibe_rl.ops.normalization import initial_statistics, update_statistics
from vibe_rl.spaces import Box, Dict, Discrete, Image, Masked, MultiDiscrete
from vibe_rl.types import MaskedObs, Transition

KEY = jax.random.key(0)
LN2 = math.log(2)
COEFFICIENTS = Coefficients(lr=0.1, clip_eps=0.2, ent_coef=0.01, vf_coef=0.5, value_clip_eps=None)
OBS_SPACE, ACTION_SPACE = Box(-10.0, 10.0, (2,)), Discrete(2)
LINEAR = PPOConfig(hidden_sizes=(), n_steps=8, num_envs=2, n_minibatches=1, n_epochs=1)
MANY_STEPS = replace(LINEAR, n_minibatches=4, n_epochs=4, lr=0.05)

loss = jax.jit(ppo_loss)
surrogate_and_slope = jax.jit(
    jax.value_and_grad(lambda *x: surrogate(*(jnp.float32(number) for number in x)))
)
loss_gradient = jax.jit(jax.grad(ppo_loss, has_aux=True))
init = jax.jit(lambda algorithm, key: algorithm.init(key))


def only_shard(examples):
    """`[B, ...]` of `[1, B, ...]`."""
    return jax.tree.map(lambda x: x[0], examples)


examples_of = jax.jit(lambda algorithm, *args: only_shard(algorithm.examples(*args)))
update = jax.jit(lambda algorithm, *args: algorithm.update(*args))
act = jax.jit(
    lambda algorithm, state, obs, keys: jax.vmap(partial(algorithm.act, state))(obs, keys)
)


def optax_of(config):
    return optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm), optax.adam(config.lr, eps=config.adam_eps)
    )


@jax.jit
def optax_step(config, params, opt_state, grads):
    updates, opt_state = optax_of(config).update(grads, opt_state)
    return optax.apply_updates(params, updates), opt_state


def floats(numbers):
    """An array, without compiling."""
    return jnp.asarray(np.asarray(numbers, np.float32))


def linear_agent(bias=0.0):
    params = jax.eval_shape(PPO(LINEAR, OBS_SPACE, ACTION_SPACE).network, KEY)
    first = np.array([1.0, 0.0]).reshape(params.value_head.weight.shape)
    return eqx.tree_at(
        lambda p: jax.tree.leaves((p.policy_head, p.value_head)),
        params,
        [floats(np.eye(2)), floats([0.0, 0.0]), floats(first), floats([bias])],
    )


def coefficients_of(config):
    return COEFFICIENTS._replace(vf_coef=config.vf_coef, value_clip_eps=config.value_clip_eps)


def algorithm_of(config=LINEAR, obs_space=OBS_SPACE, action_space=ACTION_SPACE):
    return PPO(config, obs_space, action_space)


def filled_state(algorithm):
    """A first state with normal numbers in its networks, without compiling."""
    rng = np.random.default_rng(0)
    state = jax.tree.map(
        lambda x: jnp.asarray(np.zeros(x.shape, x.dtype)), jax.eval_shape(algorithm.init, KEY)
    )
    params = jax.tree.map(lambda x: floats(rng.normal(size=x.shape)), state.params)
    if state.obs_statistics is None:
        return state._replace(params=params)
    return state._replace(params=params, obs_statistics=initial_statistics(jnp.zeros(2)))


def linear_state(algorithm):
    return filled_state(algorithm)._replace(params=linear_agent())


def batch_of(ratios, advantages, targets):
    """Examples at obs 0, where both log-probabilities are -ln 2 and the value is the bias."""
    n = len(ratios)
    return Examples(
        obs=floats(np.zeros((n, 2))),
        behaviour=Behaviour(jnp.asarray(np.arange(n) % 2), floats(-LN2 - np.log(ratios))),
        value=floats(np.zeros(n)),
        advantage=floats(advantages),
        target=floats(targets),
    )


@partial(jax.jit, static_argnums=2)
def play(algorithm, state, shape=(8, 2)):
    """A rollout of random observations and rewards, acted on by the policy; nothing ends."""
    keys = jax.random.split(KEY, (3, *shape))
    obs = jax.vmap(jax.vmap(algorithm.obs_space.sample))(keys[0])
    action, behaviour = jax.vmap(jax.vmap(partial(algorithm.act, state)))(obs, keys[1])
    reward = jax.random.normal(keys[2, 0, 0], shape)
    never = jnp.zeros(shape, bool)
    next_obs = jax.tree.map(lambda x: jnp.concatenate([x[1:], x[:1]]), obs)
    return Transition(obs, action, reward, never, never, next_obs, behaviour)


def linear_rollout():
    """Eight steps of two envs of the linear agent."""
    return play(algorithm_of(), linear_state(algorithm_of()))


def assert_trees_close(one, other, **tolerances):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerances), one, other)


def distance(one, other):
    return max(
        np.abs(np.asarray(x) - np.asarray(y)).max()
        for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected", "slope"),
    # min(r A, clip(r, 0.8, 1.2) A), and its derivative by r
    [
        (1.0, 2.0, 2.0, 2.0),
        (1.1, 1.0, 1.1, 1.0),
        (1.5, 1.0, 1.2, 0.0),  # far enough towards a good action
        (0.5, 1.0, 0.5, 1.0),  # the way back is free
        (1.5, -1.0, -1.5, -1.0),
        (0.5, -1.0, -0.8, 0.0),  # far enough from a bad one
    ],
)
def test_the_surrogate_rewards_no_move_beyond_the_clip(ratio, advantage, expected, slope):
    value_and_slope = surrogate_and_slope(ratio, advantage, 0.2)
    np.testing.assert_allclose(value_and_slope, [expected, slope], rtol=1e-6)


@pytest.mark.parametrize(
    ("target", "clip_eps", "expected", "slope"),
    # value 3, old value 1, clipped value 1.5
    [
        (1.0, None, 2.0, 2.0),  # (3 - 1)^2 / 2
        (1.0, 0.5, 2.0, 2.0),  # the worse of 2 and (1.5 - 1)^2 / 2
        (4.0, None, 0.5, -1.0),  # (3 - 4)^2 / 2
        (4.0, 0.5, 3.125, 0.0),  # the worse of 0.5 and (1.5 - 4)^2 / 2, which no value moves
        (4.0, 5.0, 0.5, -1.0),  # a clip that does not bind
    ],
)
def test_the_critic_pays_half_the_squared_error(target, clip_eps, expected, slope):
    def paid(value):
        return value_loss(value, jnp.float32(1.0), jnp.float32(target), clip_eps)

    np.testing.assert_allclose(jax.jit(jax.value_and_grad(paid))(3.0), [expected, slope])


def test_the_loss_of_two_examples_adds_up():
    # Advantages 1 and -1 are normal already. Ratios 2 and 1/2, clipped to 1.2 and 0.8:
    #   surrogate: (min(2, 1.2) + min(-0.5, -0.8)) / 2 = 0.2
    #   critic at value 1, targets 3 and 0: (4 + 1) / 2 / 2 = 1.25;  entropy ln 2
    #   total: -0.2 + 0.5 * 1.25 - 0.01 ln 2
    #   (r - 1) - ln r: 1 - ln 2 and -0.5 + ln 2, on average 0.25
    batch = batch_of([2.0, 0.5], [1.0, -1.0], [3.0, 0.0])
    total, metrics = loss(linear_agent(1.0), batch, COEFFICIENTS)
    np.testing.assert_allclose(metrics.actor_loss, -0.2, rtol=1e-5)
    np.testing.assert_allclose(metrics.critic_loss, 1.25, rtol=1e-5)
    np.testing.assert_allclose(metrics.entropy, LN2, rtol=1e-5)
    np.testing.assert_allclose(metrics.approx_kl, 0.25, rtol=1e-5)
    np.testing.assert_allclose(metrics.clip_fraction, 1.0)
    np.testing.assert_allclose(total, -0.2 + 0.625 - 0.01 * LN2, rtol=1e-5)
    np.testing.assert_allclose(total, metrics.total_loss)


def test_the_coefficients_weigh_the_terms():
    batch = batch_of([2.0, 0.5], [1.0, -1.0], [3.0, 0.0])
    coefficients = COEFFICIENTS._replace(ent_coef=0.5, clip_eps=0.6, vf_coef=2.0)
    total, metrics = loss(linear_agent(1.0), batch, coefficients)
    # surrogate with clips at 0.4 and 1.6: (1.6 - 0.5) / 2 = 0.55; only the 2 moved beyond
    np.testing.assert_allclose(total, -0.55 + 2.0 * 1.25 - 0.5 * LN2, rtol=1e-5)
    np.testing.assert_allclose(metrics.clip_fraction, 0.5)


def test_the_value_is_clipped_around_the_old_one_if_asked():
    # value 1, old value 0, so clipped 0.5; targets 3 and 0: max(4, 6.25) and max(1, 0.25)
    config = replace(LINEAR, value_clip_eps=0.5)
    batch = batch_of([1.0, 1.0], [1.0, -1.0], [3.0, 0.0])
    _, metrics = loss(linear_agent(1.0), batch, coefficients_of(config))
    np.testing.assert_allclose(metrics.critic_loss, (6.25 + 1.0) / 2 / 2, rtol=1e-5)


def test_a_policy_that_has_not_moved_has_no_divergence_and_clips_nothing():
    batch = batch_of([1.0, 1.0, 1.0], [5.0, -1.0, 0.5], [0.0, 0.0, 0.0])
    _, metrics = loss(linear_agent(), batch, COEFFICIENTS)
    np.testing.assert_allclose(metrics.approx_kl, 0.0, atol=1e-6)
    assert metrics.clip_fraction == 0.0
    np.testing.assert_allclose(metrics.actor_loss, 0.0, atol=1e-6)  # normal advantages cancel


def test_neither_scale_nor_offset_of_the_advantages_matters():
    batch = batch_of([1.1, 0.7, 1.0], [5.0, -1.0, 0.5], [0.0, 0.0, 0.0])
    scaled = batch._replace(advantage=floats(7.0 * np.asarray(batch.advantage) + 3.0))
    one, other = (loss(linear_agent(), b, COEFFICIENTS)[0] for b in (batch, scaled))
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_the_gradient_of_an_unmoved_policy_is_the_policy_gradient():
    # At p = (1/2, 1/2), action 0 with advantage 1 and action 1 with -1, both examples push the
    # logits by A (e_a - p) = (1/2, -1/2): the loss falls along it; the entropy is flat there.
    # The critic at value 0 and targets 3 and 1 falls along the mean of (target - value) / 2 = 1.
    batch = batch_of([1.0, 1.0], [1.0, -1.0], [3.0, 1.0])
    grads, _ = loss_gradient(linear_agent(), batch, COEFFICIENTS)
    np.testing.assert_allclose(grads.policy_head.linear.bias, [-0.5, 0.5], rtol=1e-5)
    np.testing.assert_allclose(grads.value_head.bias, [-1.0], rtol=1e-5)


def test_compilation_changes_no_loss():
    batch = batch_of([2.0, 0.5, 1.1], [1.0, -1.0, 0.3], [3.0, 0.0, 1.0])
    args = (linear_agent(1.0), batch, COEFFICIENTS)
    assert_trees_close(ppo_loss(*args), loss(*args), rtol=1e-5, atol=1e-7)


def test_illegal_actions_leave_every_gradient_finite():
    obs_space = Masked(OBS_SPACE, 2)
    algorithm = algorithm_of(obs_space=obs_space)
    obs = MaskedObs(floats(np.ones((2, 2))), jnp.array([[True, False], [False, True]]))
    batch = batch_of([1.0, 1.0], [1.0, -1.0], [3.0, 0.0])._replace(obs=obs)
    params = filled_state(algorithm).params
    grads, metrics = loss_gradient(params, batch, COEFFICIENTS)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((grads, metrics)))
    np.testing.assert_allclose(metrics.entropy, 0.0, atol=1e-6)  # one action is left


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_examples_bootstrap_from_the_true_successor_of_a_truncated_step(scale):
    # Values are the first numbers of obs: 1, 2, 3, then 5; the episode that ends at step 1 ends on
    # 9, and 3 begins the next. gamma 0.5, gamma lambda 0.4, rewards 1 (with scale 1).
    # truncated (env 0): deltas 1 + 1 - 1, 1 + 4.5 - 2, 1 + 2.5 - 3; A = 1 + .4 * 3.5, 3.5, .5
    # terminated (env 1): deltas 1, 1 - 2, .5;                        A = 1 - .4,       -1,  .5
    # going on (env 2): deltas 1, 1 + 1.5 - 2, .5;  A1 = .5 + .4 * .5 = .7, A0 = 1 + .4 * .7
    algorithm = algorithm_of(replace(LINEAR, gamma=0.5, gae_lambda=0.8, reward_scale=scale))
    value = np.array([[1.0] * 3, [2.0] * 3, [3.0] * 3])
    next_value = np.array([[2.0] * 3, [9.0, 9.0, 3.0], [5.0] * 3])

    def obs(first):
        return floats(np.stack([first, np.zeros_like(first)], axis=-1))

    def at_step_1(env):
        return jnp.asarray(np.arange(9).reshape(3, 3) == 3 + env)

    extras = Behaviour(jnp.asarray(np.zeros((3, 3), int)), floats(np.arange(9.0).reshape(3, 3)))
    reward = floats(np.ones((3, 3)) / scale)
    flags = at_step_1(1), at_step_1(0)
    rollout = Transition(obs(value), extras.sample, reward, *flags, obs(next_value), extras)
    state = linear_state(algorithm)
    examples = examples_of(algorithm, state, rollout)
    advantage = np.array([[2.4, 0.6, 1.28], [3.5, -1.0, 0.7], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(examples.advantage, advantage.ravel(), rtol=1e-5)
    np.testing.assert_allclose(examples.target, (advantage + value).ravel(), rtol=1e-5)
    np.testing.assert_array_equal(examples.behaviour.log_prob, np.arange(9.0))
    np.testing.assert_array_equal(examples.obs, obs(value).reshape(9, 2))


def test_truncation_at_the_end_of_a_rollout_keeps_the_bootstrap():
    # one step of reward 1 from value 1 to value 5 at gamma 0.5: 1 + 2.5 - 1; terminated: 1 - 1
    algorithm = algorithm_of(replace(LINEAR, gamma=0.5))
    obs, next_obs = jnp.array([[[1.0, 0.0]] * 2]), jnp.array([[[5.0, 0.0]] * 2])
    never, extras = jnp.zeros((1, 2), bool), Behaviour(jnp.zeros((1, 2), int), jnp.zeros((1, 2)))
    flags = jnp.array([[False, True]]), jnp.array([[True, False]])
    state = linear_state(algorithm)
    for terminated, truncated, expected in ((*flags, [2.5, 0.0]), (never, never, [2.5, 2.5])):
        rollout = Transition(obs, None, jnp.ones((1, 2)), terminated, truncated, next_obs, extras)
        examples = examples_of(algorithm, state, rollout)
        np.testing.assert_allclose(examples.advantage, expected)


def test_a_fresh_agent_has_made_no_update_and_has_no_moments():
    algorithm = algorithm_of(
        replace(LINEAR, normalize_obs=True, init_log_std=-0.5), OBS_SPACE, Box(-1, 1, (2,))
    )
    state = init(algorithm, KEY)
    fresh = filled_state(algorithm)
    assert_trees_close(state._replace(params=None), fresh._replace(params=None), rtol=0)
    np.testing.assert_array_equal(state.params.policy_head.log_std, -0.5)
    assert distance(state.params, init(algorithm, jax.random.key(1)).params) > 0.01


def test_an_update_is_one_step_of_adam_on_the_gradient_clipped_by_its_global_norm():
    # At first Adam's moments are g and g^2 after bias correction: the step is lr g / (|g| + eps).
    # An eps of 1 shows the scale of g, and so that all entries were scaled by the same number.
    config = replace(LINEAR, lr=0.1, max_grad_norm=0.05, adam_eps=1.0)
    algorithm = algorithm_of(config)
    state = linear_state(algorithm)
    rollout = linear_rollout()
    batch = examples_of(algorithm, state, rollout)
    grads, _ = loss_gradient(state.params, batch, coefficients_of(config))
    norm = math.sqrt(sum(float((np.asarray(g) ** 2).sum()) for g in jax.tree.leaves(grads)))
    assert norm > 2 * config.max_grad_norm
    clipped = jax.tree.map(lambda g: np.asarray(g) * config.max_grad_norm / norm, grads)
    expected = jax.tree.map(
        lambda p, g: np.asarray(p) - 0.1 * g / (np.abs(g) + 1.0), state.params, clipped
    )
    new, metrics = update(algorithm, state, rollout, KEY)
    assert_trees_close(new.params, expected, atol=1e-6)
    np.testing.assert_allclose(metrics["grad_norm"], norm, rtol=1e-4)
    assert new.step == 1


def test_an_update_reports_the_loss_before_its_first_step():
    algorithm = algorithm_of()
    state = linear_state(algorithm)
    _, metrics = update(algorithm, state, linear_rollout(), KEY)
    np.testing.assert_allclose(metrics["approx_kl"], 0.0, atol=1e-6)
    assert metrics["clip_fraction"] == 0.0
    np.testing.assert_allclose(metrics["lr"], LINEAR.lr)
    assert all(np.isfinite(value) and value.shape == () for value in metrics.values())
    assert {"total_loss", "explained_variance", "entropy", "critic_loss"} <= set(metrics)


def test_updates_depend_on_their_arguments_alone():
    algorithm = algorithm_of(replace(MANY_STEPS, target_kl=100.0))
    state = linear_state(algorithm)
    rollout = linear_rollout()
    one, same, other = (
        update(algorithm, state, rollout, jax.random.key(seed))[0].params for seed in (0, 0, 1)
    )
    assert_trees_close(one, same, rtol=0, atol=0)
    assert distance(one, other) > 1e-4  # other minibatches


def test_target_kl_stops_an_update():
    # One minibatch per epoch: the first sees an unmoved policy and is taken, the second sees what
    # it did and is not.
    def learned(**changes):
        algorithm = algorithm_of(replace(LINEAR, lr=0.05, **changes))
        state, metrics = update(algorithm, linear_state(algorithm), rollout, KEY)
        return state.params, metrics

    rollout = linear_rollout()
    stopped, metrics = learned(n_epochs=4, target_kl=1e-5)
    once, _ = learned(n_epochs=1)
    unlimited, unlimited_metrics = learned(n_epochs=4)
    generous, _ = learned(n_epochs=4, target_kl=100.0)
    assert_trees_close(stopped, once, atol=1e-6)
    assert distance(unlimited, once) > 0.01
    assert_trees_close(generous, unlimited, atol=1e-6)
    assert metrics["approx_kl"] < unlimited_metrics["approx_kl"]


@pytest.mark.parametrize("target_kl", [0.01, 0.05, 100.0])
def test_an_update_that_has_stopped_stays_stopped(target_kl):
    # Sixteen steps by hand; after the one that is refused, other minibatches look unmoved again.
    algorithm = algorithm_of(replace(MANY_STEPS, target_kl=target_kl))
    state, rollout = linear_state(algorithm), linear_rollout()
    learned, _ = update(algorithm, state, rollout, KEY)
    examples = examples_of(algorithm, state, rollout)
    params, opt_state = state.params, optax_of(algorithm.config).init(state.params)
    for indices in np.asarray(minibatches(KEY, 16, 4, 4))[:, 0]:
        batch = jax.tree.map(lambda x, i=indices: np.asarray(x)[i], examples)
        grads, metrics = loss_gradient(params, batch, coefficients_of(algorithm.config))
        if metrics.approx_kl > 1.5 * target_kl:
            break
        params, opt_state = optax_step(algorithm.config, params, opt_state, grads)
    assert_trees_close(learned.params, params, atol=1e-5)


def scheduled(coefficients):
    return coefficients.lr, coefficients.clip_eps, coefficients.ent_coef


@pytest.mark.parametrize(
    ("updates", "share"), [(0, 0.0), (5, 0.5), (10, 1.0), (50, 1.0)]
)  # 16 steps an update, 160 in all
def test_schedules_start_end_and_stay(updates, share):
    ends = {"lr_end": 0.0, "clip_eps_end": 0.05, "ent_coef_end": 0.1, "schedule_steps": 160.0}
    algorithm = algorithm_of(replace(LINEAR, lr=0.2, clip_eps=0.25, ent_coef=0.0, **ends))
    state = linear_state(algorithm)._replace(step=jnp.int32(updates))
    numbers = algorithm.coefficients(state, 16)
    expected = (0.2 - 0.2 * share, 0.25 - 0.2 * share, 0.1 * share)
    np.testing.assert_allclose(scheduled(numbers), expected, rtol=1e-6)


def test_without_an_end_the_numbers_stay_as_they_are():
    algorithm = algorithm_of(replace(LINEAR, lr_end=0.0, schedule_steps=160.0))
    state = linear_state(algorithm)._replace(step=jnp.int32(10))
    coefficients = algorithm.coefficients(state, 16)
    expected = (0.0, LINEAR.clip_eps, LINEAR.ent_coef)
    np.testing.assert_allclose(scheduled(coefficients), expected)


def test_a_learning_rate_that_has_run_out_learns_nothing():
    config = replace(LINEAR, lr=0.1, lr_end=0.0, schedule_steps=160.0)
    algorithm = algorithm_of(config)
    state = linear_state(algorithm)
    rollout = linear_rollout()
    early, metrics = update(algorithm, state, rollout, KEY)
    np.testing.assert_allclose(metrics["lr"], 0.1)
    assert distance(early.params, state.params) > 0.01
    late, metrics = update(algorithm, state._replace(step=jnp.int32(10)), rollout, KEY)
    assert metrics["lr"] == 0.0
    assert_trees_close(late.params, state.params, rtol=0, atol=0)


def test_hyperparameters_side_by_side_equal_one_by_one():
    algorithms = [
        algorithm_of(replace(LINEAR, lr=lr, gamma=g)) for lr, g in ((0.1, 0.9), (0.01, 0.5))
    ]
    state = linear_state(algorithms[0])
    rollout = linear_rollout()
    stacked = jax.tree.map(lambda *x: floats(x), *algorithms)
    swept, _ = jax.jit(jax.vmap(lambda a: a.update(state, rollout, KEY)))(stacked)
    for i, algorithm in enumerate(algorithms):
        alone, _ = update(algorithm, state, rollout, KEY)
        one = jax.tree.map(lambda x, i=i: x[i], swept.params)
        assert_trees_close(one, alone.params, rtol=1e-4, atol=1e-6)
    assert distance(*(jax.tree.map(lambda x, i=i: x[i], swept.params) for i in range(2))) > 0.01


def test_statistics_of_observations_follow_each_update_and_normalise_what_comes_next():
    algorithm = algorithm_of(replace(LINEAR, normalize_obs=True))
    state = linear_state(algorithm)
    rollout = linear_rollout()
    new, _ = update(algorithm, state, rollout, KEY)
    expected = update_statistics(initial_statistics(jnp.zeros(2)), rollout.obs)
    assert_trees_close(new.obs_statistics, expected, rtol=1e-5)
    moved = state._replace(
        obs_statistics=expected._replace(mean=jnp.array([3.0, 0.0]), var=jnp.array([4.0, 1.0]))
    )
    # (obs - mean) / std = ((4 - 3) / 2, 0.75) = (0.5, 0.75), where (4, 0.75) prefers the first
    assert algorithm.greedy(moved, jnp.array([4.0, 0.75])) == 1
    assert algorithm.greedy(state, jnp.array([4.0, 0.75])) == 0
    examples = examples_of(algorithm, moved, rollout)
    first = (np.asarray(rollout.obs)[..., 0].ravel() - 3.0) / 2.0
    np.testing.assert_allclose(examples.value, first, rtol=1e-4, atol=1e-5)


def test_normalising_sees_the_view_of_a_masked_observation_and_keeps_its_mask():
    algorithm = algorithm_of(replace(LINEAR, normalize_obs=True), Masked(OBS_SPACE, 2))
    state = linear_state(algorithm)
    obs = MaskedObs(jnp.array([4.0, 0.0]), jnp.array([False, True]))
    assert algorithm.greedy(state, obs) == 1
    assert state.obs_statistics.mean.shape == (2,)


CONTINUOUS = Box([-2.0, 0.0], [2.0, 10.0])


@pytest.mark.parametrize(
    ("changes", "action_space"),
    [
        ({}, MultiDiscrete((2, 3))),
        ({"squash": True}, CONTINUOUS),
        ({"shared_backbone": True, "value_clip_eps": 0.2, "hidden_sizes": (4,)}, ACTION_SPACE),
    ],
    ids=["choices", "squashed", "shared"],
)
def test_what_act_remembers_is_what_update_compares_with(changes, action_space):
    # an unmoved policy, whatever its kind: ratio 1, actions in their space, a finite update
    config = replace(LINEAR, **changes)
    algorithm = algorithm_of(config, action_space=action_space)
    state = filled_state(algorithm)
    rollout = play(algorithm, state)
    assert jax.jit(jax.vmap(jax.vmap(action_space.contains)))(rollout.action).all()
    assert action_space.contains(algorithm.greedy(state, rollout.obs[0, 0]))
    new, metrics = update(algorithm, state, rollout, KEY)
    np.testing.assert_allclose(metrics["approx_kl"], 0.0, atol=1e-5)
    assert metrics["clip_fraction"] == 0.0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((new.params, metrics)))
    assert distance(new.params, state.params) > 0


@pytest.mark.parametrize("normalized", [False, True])
def test_the_values_of_a_shared_trunk_are_kept_from_acting(normalized):
    how = {"normalize_values": normalized, "normalize_obs": normalized}
    config = replace(LINEAR, shared_backbone=True, hidden_sizes=(4,), **how)
    algorithm = algorithm_of(config)
    state = filled_state(algorithm)
    if normalized:
        of_targets = add_targets(initial_value_statistics(), floats([[3.0, 9.0]]), None)
        state = state._replace(value_statistics=of_targets)
    rollout = play(algorithm, state)
    forgotten = rollout._replace(extras=rollout.extras._replace(value=None))
    kept, again = (examples_of(algorithm, state, each) for each in (rollout, forgotten))
    np.testing.assert_allclose(kept.value, again.value, rtol=1e-5)
    np.testing.assert_allclose(kept.target, again.target, rtol=1e-5)
    assert kept.behaviour.value is None  # learned from once, as `value`


def test_acting_explores_and_being_greedy_does_not():
    algorithm = algorithm_of()
    state, obs = linear_state(algorithm), floats(np.tile([0.0, LN2], (900, 1)))
    actions, behaviour = act(algorithm, state, obs, jax.random.split(KEY, 900))
    # probabilities 1/3 and 2/3; five standard deviations of 900 draws are 0.08
    assert abs(actions.mean() - 2 / 3) < 0.08
    np.testing.assert_allclose(
        behaviour.log_prob, np.log(np.where(actions == 1, 2 / 3, 1 / 3)), rtol=1e-5
    )
    assert algorithm.greedy(state, obs[0]) == 1


def test_no_illegal_action_is_ever_taken():
    algorithm = algorithm_of(obs_space=Masked(OBS_SPACE, 2))
    view = floats(np.tile([9.0, 0.0], (256, 1)))  # action 0 is all but certain, yet illegal
    obs = MaskedObs(view, jnp.asarray(np.tile([False, True], (256, 1))))
    actions, _ = act(algorithm, linear_state(algorithm), obs, jax.random.split(KEY, 256))
    assert (actions == 1).all()


def test_settings_that_work_are_accepted():
    algorithm_of(replace(LINEAR, n_minibatches=8)).check(2)
    algorithm_of(replace(LINEAR, normalize_obs=True), Dict({"a": OBS_SPACE})).check(2)
    algorithm_of(replace(LINEAR, normalize_obs=True), Masked(OBS_SPACE, 2)).check(2)
    algorithm_of(replace(LINEAR, lr_end=0.0, schedule_steps=100.0)).check(2)


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        (
            algorithm_of(replace(LINEAR, n_minibatches=3)),
            r"n_minibatches 3 does not divide .*n_steps 8 x num_envs 2 = 16: choose a divisor",
        ),
        (
            algorithm_of(replace(LINEAR, normalize_obs=True), Image(10, 10, 3)),
            r"normalize_obs True needs .* Boxes: turn it off",
        ),
        (
            algorithm_of(
                replace(LINEAR, normalize_obs=True), Dict({"a": OBS_SPACE, "b": Discrete(2)})
            ),
            r"normalize_obs True needs .* Boxes: turn it off",
        ),
        (
            algorithm_of(action_space=Box(-1.0, 1.0, (2, 2))),
            r"action space Box\(.*\) is not supported: use Discrete",
        ),
        (algorithm_of(replace(LINEAR, lr_end=0.0)), r"schedule_steps None: give the env steps"),
    ],
    ids=["remainder", "image", "choices", "matrix", "schedule"],
)
def test_settings_that_cannot_work_are_refused_with_a_remedy(algorithm, message):
    with pytest.raises(ConfigError, match=message):
        algorithm.check(2)


def test_no_minibatch_at_all_is_refused():
    with pytest.raises(ConfigError, match="n_minibatches 0"):
        algorithm_of(replace(LINEAR, n_minibatches=0)).check(2)


@pytest.mark.parametrize(
    ("ratio", "k1", "k3"), [(1.5, -0.405465, 0.094535), (0.5, 0.693147, 0.193147)]
)
def test_both_estimates_of_the_divergence(ratio, k1, k3):
    # ratio r of one sample: -log r, and (r - 1) - log r
    _, metrics = loss(linear_agent(), batch_of([ratio], [1.0], [0.0]), COEFFICIENTS)
    np.testing.assert_allclose(metrics.kl_k1, k1, atol=1e-6)
    np.testing.assert_allclose(metrics.approx_kl, k3, atol=1e-6)


def test_the_loss_of_one_standardised_example():
    # -min(1.5, 1.2) + 0.5 * 0.5^2 - 0.01 ln 2, where vf_coef is of half the squared error
    batch = batch_of([1.5], [1.0], [0.5])
    coefficients = COEFFICIENTS._replace(vf_coef=1.0)
    total, _ = ppo_loss(linear_agent(), batch, coefficients, standardized=True)
    np.testing.assert_allclose(total, -1.0819315, atol=1e-6)


def test_examples_that_do_not_count_change_nothing():
    batch = batch_of([1.5, 0.5, 1.1], [1.0, -1.0, 3.0], [0.5, 0.0, 1.0])
    more = jax.tree.map(lambda x: jnp.concatenate([x, 100.0 * jnp.ones_like(x[:1])]), batch)
    more = more._replace(behaviour=Behaviour(jnp.array([0, 1, 0, 1]), more.behaviour.log_prob))
    counts = jnp.arange(4) < 3
    total, metrics = ppo_loss(linear_agent(), more, COEFFICIENTS, counts)
    assert_trees_close((total, metrics), loss(linear_agent(), batch, COEFFICIENTS), rtol=1e-5)
