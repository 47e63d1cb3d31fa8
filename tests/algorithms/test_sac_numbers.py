"""SAC's numbers by hand: soft values, losses, the temperature, the ensemble, bounds of actions.

Networks here are linear: the policy's outputs and the critics' values are written down as weights.
"""

import math
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.algorithms.sac import SAC, SACConfig, SACState, actor_loss, critic_loss
from vibe_rl.networks import Encoder, RowLinear
from vibe_rl.networks.actor_critic import rescale, to_unit
from vibe_rl.networks.layers import NormedLinear
from vibe_rl.networks.soft_actor_critic import ActionCritic
from vibe_rl.ops.adam import Adam
from vibe_rl.replay import Batch, Replay
from vibe_rl.spaces import Box, Dict, Discrete, Image, Masked
from vibe_rl.types import MaskedObs

KEY = jax.random.key(0)
SPACE, BOX, CHOICES = Box(-9.0, 9.0, (2,)), Box([-2.0, 0.0], [3.0, 10.0]), Discrete(2)
LINEAR = SACConfig(hidden_sizes=(), batch_size=2, replay_ratio=0.5)
learn = jax.jit(lambda algorithm, *args: algorithm.learn(*args))
networks = jax.jit(lambda algorithm, key: algorithm.networks(key))
fresh_memory = jax.jit(lambda algorithm, key: algorithm.init_memory(key))
soft_value = jax.jit(lambda actor, *args: actor.soft_value(*args))


def algorithm_of(config=LINEAR, action_space=BOX, obs_space=SPACE):
    return SAC(config, obs_space, action_space, Replay(16, 2), warmup_steps=4)


def floats(numbers):
    return jnp.asarray(np.asarray(numbers, np.float32))


def with_head(network, weight, bias):
    where = lambda n: (n.head.weight, n.head.bias)  # noqa: E731
    return eqx.tree_at(where, network, (floats(weight).T, floats(bias)))


def shapes(algorithm):
    return jax.eval_shape(algorithm.networks, KEY)


def gaussian(mean, std, obs_weight=0.0, algorithm=None):
    """Means `mean + obs_weight * obs`, standard deviations `std`, whatever the observation."""
    weight = np.concatenate([obs_weight * np.eye(2), np.zeros((2, 2))])
    actor, _ = shapes(algorithm or algorithm_of())
    return with_head(actor, weight, [*mean, *np.log(std)])


def action_critics(*rows, biases=None):
    """Critics whose values are (weights of the two action's numbers and of obs) and a bias."""
    _, critics = shapes(algorithm_of(replace(LINEAR, n_critics=len(rows))))
    biases = [0.0] * len(rows) if biases is None else biases
    numbers = zip(critics, rows, biases, strict=True)
    return tuple(with_head(critic, [row], [bias]) for critic, row, bias in numbers)


def categorical(logits, obs_space=SPACE):
    actor, _ = shapes(algorithm_of(action_space=CHOICES, obs_space=obs_space))
    return with_head(actor, np.zeros((2, 2)), logits)


def choice_critics(*values):
    """Critics with these values of the two choices, whatever the observation."""
    _, critics = shapes(algorithm_of(replace(LINEAR, n_critics=len(values)), CHOICES))
    numbers = zip(critics, values, strict=True)
    return tuple(with_head(critic, np.zeros((2, 2)), value) for critic, value in numbers)


def batch_of(obs, action, reward=0.0, discount=0.0, weight=1.0):
    n = len(obs)
    return Batch(
        obs=floats(obs),
        action=action,
        reward=jnp.full(n, reward, jnp.float32),
        discount=jnp.full(n, discount, jnp.float32),
        next_obs=floats(obs),
        weight=jnp.broadcast_to(floats(weight), (n,)),
        slot=jnp.zeros(n, jnp.int32),
    )


def log_density(sample, mean, std):
    """Of tanh(sample), a coordinate at a time: the normal's, less log |d tanh / d sample|."""
    sample, mean, std = (np.asarray(x, np.float64) for x in (sample, mean, std))
    normal = -0.5 * ((sample - mean) / std) ** 2 - np.log(std) - 0.5 * math.log(2.0 * math.pi)
    return (normal - np.log(1.0 - np.tanh(sample) ** 2)).sum(-1)


def learned(config, steps=1, **of_memory):
    """The algorithm, its fresh state, and that after gradient steps on one batch; metrics."""
    algorithm = algorithm_of(replace(config, replay_ratio=steps / 2, schedule_steps=100.0))
    state = jax.jit(algorithm.init)(KEY)
    state = state._replace(memory=state.memory._replace(**of_memory))
    batch = batch_of([[1.0, 2.0], [-1.0, 0.5]], jnp.ones((2, 2)), reward=1.0)
    batches = jax.tree.map(lambda x: jnp.stack([x] * steps), batch)
    after, metrics, _ = learn(algorithm, state, batches, KEY)
    return algorithm, state, after, metrics


def test_rates_fall_to_their_share_at_the_end_of_the_schedule():
    # half way the rates are 1 - 0.5 * (1 - 0.2) = 0.6 of what they were, and Adam's first step is
    # the rate in every entry that has a gradient
    config = replace(LINEAR, lr_end_factor=0.2, actor_lr=0.1, critic_lr=0.2, alpha_lr=0.3)
    _, state, after, metrics = learned(config, step=jnp.int32(25))  # of two envs: step 50 of 100
    assert metrics["lr"] == pytest.approx(0.06)
    moved = [
        np.abs(np.asarray(a.head.bias) - np.asarray(b.head.bias)).max()
        for a, b in (
            (after.actor_params, state.actor_params),
            (after.critic_params[0], state.critic_params[0]),
        )
    ]
    np.testing.assert_allclose(moved, [0.06, 0.12], rtol=1e-3)
    np.testing.assert_allclose(np.abs(after.log_alpha - state.log_alpha), 0.18, rtol=1e-3)


def test_an_averaged_policy_follows_the_policy_and_acts_greedily():
    # one step: average = 0.75 * before + 0.25 * after; two towards the same: 0.75^2 * before + ...
    algorithm, before, after, _ = learned(replace(LINEAR, average_decay=0.75))
    old, new = (np.asarray(s.actor_params.head.weight) for s in (before, after))
    twice = algorithm.averaged(before._replace(actor_params=after.actor_params), 2)
    for state, kept in ((after, 0.75), (twice, 0.75**2)):
        expected = kept * old + (1.0 - kept) * new
        np.testing.assert_allclose(state.average_params.head.weight, expected, rtol=1e-5)
    assert np.abs(new - old).max() > 1e-5
    obs = jnp.array([0.5, -3.0])
    np.testing.assert_array_equal(algorithm.greedy(after, obs), after.average_params.mode(obs))
    assert learned(LINEAR)[2].average_params is None


def test_critics_may_have_widths_of_their_own_and_normed_layers():
    config = replace(LINEAR, hidden_sizes=(8,), critic_hidden_sizes=(5, 6), critic_layer_norm=True)
    actor, critics = shapes(algorithm_of(config))
    assert [x.bias.shape for x in actor.encoder.mlp.layers] == [(8,)]
    for critic in critics:
        assert [type(x) for x in critic.encoder.mlp.layers] == [NormedLinear] * 2
        assert [x.bias.shape for x in critic.encoder.mlp.layers] == [(5,), (6,)]
        assert type(critic.head) is RowLinear
    assert shapes(algorithm_of(LINEAR))[1][0].encoder.mlp.layers == ()
    _, critics = shapes(algorithm_of(config, CHOICES))
    assert type(critics[0].head) is RowLinear


def test_a_normed_layer_has_mean_zero_and_variance_one_before_gain_and_shift():
    # x W + b = (1, 3): mean 2, variance 1: (-1, 1), then 2 and 3 times, and 10 and 20 more
    layer = jax.eval_shape(lambda key: NormedLinear(key, 2, 2), KEY)
    numbers = jnp.eye(2), jnp.zeros(2), jnp.array([2.0, 3.0]), jnp.array([10.0, 20.0])
    layer = eqx.tree_at(lambda x: (x.weight, x.bias, x.gain, x.shift), layer, numbers)
    np.testing.assert_allclose(layer(jnp.array([1.0, 3.0])), [8.0, 23.0], rtol=1e-5)


def test_the_soft_value_of_a_gaussian_policy_is_that_of_one_sample():
    # V = min_k Q_k(obs, tanh u) - alpha log pi(tanh u), u = mean + std * noise. Q_0 is the first
    # number of the action plus the first of obs, Q_1 twice the second number less 1
    mean, std, alpha = np.array([0.5, -0.2]), np.array([0.5, 1.5]), 0.3
    obs = floats([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]])
    actor = gaussian(mean, std, obs_weight=0.5)
    critics = action_critics([1.0, 0.0, 1.0, 0.0], [0.0, 2.0, 0.0, 0.0], biases=[0.0, -1.0])
    soft = soft_value(actor, critics, obs, alpha, KEY)
    centre = mean + 0.5 * np.asarray(obs)
    sample = centre + std * np.asarray(jax.random.normal(KEY, (3, 2)))
    log_prob = log_density(sample, centre, std)
    unit = np.tanh(sample)
    q = np.minimum(unit[:, 0] + np.asarray(obs)[:, 0], 2.0 * unit[:, 1] - 1.0)
    np.testing.assert_allclose(soft.value, q - alpha * log_prob, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(soft.entropy, -log_prob, rtol=1e-4, atol=1e-5)


def test_the_average_of_many_samples_is_the_entropy_of_the_distribution():
    # -E log pi by 200000 samples of our own numbers; the deviation of their mean is about 0.003
    mean, std = np.array([0.5, -0.2]), np.array([0.5, 1.5])
    obs = jnp.zeros((4096, 2))
    soft = soft_value(gaussian(mean, std), action_critics([0.0] * 4), obs, 1.0, KEY)
    noise = np.random.default_rng(0).normal(size=(200_000, 2))
    expected = -log_density(mean + std * noise, mean, std).mean()
    assert abs(float(soft.entropy.mean()) - expected) < 0.1  # five deviations of 4096 samples


def test_the_soft_value_of_choices_is_summed_exactly():
    # p = (1/4, 3/4); Q_0 = (1, 2), Q_1 = (3, 0), the least (1, 0):
    # V = 1/4 + 0.5 H with H = -(1/4 log 1/4 + 3/4 log 3/4)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    actor, critics = categorical([0.0, math.log(3.0)]), choice_critics([1.0, 2.0], [3.0, 0.0])
    soft = soft_value(actor, critics, jnp.zeros((3, 2)), 0.5, KEY)
    np.testing.assert_allclose(soft.value, [0.25 + 0.5 * entropy] * 3, rtol=1e-5)
    np.testing.assert_allclose(soft.entropy, [entropy] * 3, rtol=1e-5)


def test_illegal_choices_have_no_part_in_the_soft_value():
    # legal (choice 0), (both), (choice 1): V = 1, 1/2 + 0.5 log 2, 0; no entropy is left of one
    actor, critics = (
        categorical([0.0, 0.0], Masked(SPACE, 2)),
        choice_critics([1.0, 2.0], [3.0, 0.0]),
    )
    legal = jnp.array([[True, False], [True, True], [False, True]])
    soft = soft_value(actor, critics, MaskedObs(jnp.zeros((3, 2)), legal), 0.5, KEY)
    np.testing.assert_allclose(soft.value, [1.0, 0.5 + 0.5 * math.log(2.0), 0.0], rtol=1e-5)
    np.testing.assert_allclose(soft.entropy, [0.0, math.log(2.0), 0.0], atol=1e-6)
    one = MaskedObs(jnp.zeros(2), jnp.array([False, True]))
    assert actor.mode(one) == 1
    keys = jax.random.split(KEY, 200)
    assert (jax.jit(jax.vmap(lambda key: actor.sample(one, key)))(keys) == 1).all()


@pytest.mark.parametrize("n_critics", [1, 2, 5])
def test_the_least_value_of_any_number_of_critics_counts(n_critics):
    # critic k says (5 - k, 5 - k), so the last of them counts
    actor = categorical([0.0, 0.0])
    critics = choice_critics(*([5.0 - k] * 2 for k in range(n_critics)))
    soft = soft_value(actor, critics, jnp.zeros((1, 2)), 0.0, KEY)
    np.testing.assert_allclose(soft.value, [6.0 - n_critics], rtol=1e-6)


def test_the_critics_pay_half_the_weighted_squared_error_of_each():
    # values 1 and 2 (Q_0), 0 and 4 (Q_1) of the choices taken, targets 2, weights 1 and 0.5:
    # errors (1, 0) and (2, -2); (1 + 0) / 2 / 2 + (4 + 0.5 * 4) / 2 / 2 = 1.75
    actor, critics = categorical([0.0, 0.0]), choice_critics([1.0, 2.0], [0.0, 4.0])
    batch = batch_of(np.zeros((2, 2)), jnp.array([0, 1]), weight=[1.0, 0.5])
    loss, (size, mean_size, q_mean) = critic_loss(actor, critics, batch, floats([2.0, 2.0]))
    np.testing.assert_allclose(loss, 1.75)
    np.testing.assert_allclose(size, [1.5, 1.0])  # mean over the critics
    np.testing.assert_allclose((mean_size, q_mean), (1.25, 1.75))


def test_examples_that_were_not_found_are_in_no_mean():
    actor, critics = categorical([0.0, 0.0]), choice_critics([1.0, 8.0])
    batch = batch_of(np.zeros((2, 2)), jnp.array([0, 1]), weight=[0.5, 0.0])
    loss, (_, mean_size, q_mean) = critic_loss(actor, critics, batch, floats([3.0, 3.0]))
    np.testing.assert_allclose((loss, mean_size, q_mean), (0.5 * 0.5 * 2.0**2, 2.0, 1.0))


def test_critics_see_actions_in_units_in_which_their_bounds_are_one():
    # action (3, 2.5) within (-2, 3) and (0, 10) is (1, -0.5): 1 + 10 * -0.5 + 7
    critics = action_critics([1.0, 10.0, 0.0, 7.0])
    actor = gaussian([0.0, 0.0], [1.0, 1.0])
    values = actor.action_values(critics, floats([0.0, 1.0]), floats([3.0, 2.5]))
    np.testing.assert_allclose(values, [3.0], rtol=1e-6)


def test_the_policy_pays_minus_its_soft_value():
    actor, critics = categorical([0.0, 0.0]), choice_critics([1.0, 2.0])
    batch = batch_of(np.zeros((3, 2)), jnp.zeros(3, jnp.int32))
    loss, entropy = actor_loss(actor, critics, batch, jnp.float32(0.5), KEY)
    np.testing.assert_allclose(loss, -(1.5 + 0.5 * math.log(2.0)), rtol=1e-6)
    np.testing.assert_allclose(entropy, math.log(2.0), rtol=1e-6)


def test_the_policy_gradient_of_choices_favours_the_better_one():
    # d(-V)/d logit_i = -p_i (Q_i - sum_j p_j Q_j), for the entropy is flat at p = (1/2, 1/2):
    # -1/2 (1 - 1.5) and -1/2 (2 - 1.5)
    batch = batch_of(np.zeros((3, 2)), jnp.zeros(3, jnp.int32))
    critics, gradient = choice_critics([1.0, 2.0]), jax.grad(actor_loss, has_aux=True)
    grads, _ = gradient(categorical([0.0, 0.0]), critics, batch, jnp.float32(0.5), KEY)
    np.testing.assert_allclose(grads.head.bias, [0.25, -0.25], rtol=1e-5)


def test_examples_that_the_replay_did_not_find_have_no_part_in_the_policy():
    # logits are obs (the first choice's) and nothing else: p = (3/4, 1/4) at log 3, and whatever it
    # is at the observation of the example that was not found; priorities' weights are no matter
    actor, critics = categorical([0.0, 0.0]), choice_critics([1.0, 2.0])
    actor = with_head(actor, [[1.0, 0.0], [0.0, 0.0]], [0.0, 0.0])
    obs = [[math.log(3.0), 0.0], [-9.0, 5.0], [math.log(3.0), 0.0]]
    batch = batch_of(obs, jnp.zeros(3, jnp.int32), weight=[1.0, 0.0, 0.1])
    loss, entropy = actor_loss(actor, critics, batch, jnp.float32(0.0), KEY)
    np.testing.assert_allclose(loss, -1.25, rtol=1e-6)
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    np.testing.assert_allclose(entropy, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("action_space", "scale", "expected"),
    [
        (BOX, 1.0, -2.0),  # -A
        (BOX, 0.5, -1.0),
        (Box(-1.0, 1.0, (6,)), 1.0, -6.0),
        (Discrete(4), 1.0, 0.5 * math.log(4.0)),
        (Discrete(4), 1.5, 0.75 * math.log(4.0)),
    ],
)
def test_the_target_entropy_grows_with_the_number_of_actions(action_space, scale, expected):
    algorithm = algorithm_of(replace(LINEAR, target_entropy_scale=scale), action_space)
    np.testing.assert_allclose(algorithm.target_entropy, expected, rtol=1e-6)


def state_of(algorithm, actor, critics, target_critics=None, alpha=0.2):
    log_alpha = jnp.log(jnp.float32(alpha))
    return SACState(
        actor_params=actor,
        critic_params=critics,
        target_critic_params=critics if target_critics is None else target_critics,
        actor_opt_state=Adam(1.0).init(actor),
        critic_opt_state=Adam(1.0).init(critics),
        log_alpha=log_alpha,
        alpha_opt_state=Adam(1.0).init(log_alpha),
        step=jnp.int32(0),
        memory=fresh_memory(algorithm, KEY),
    )


def stacked(n, **changes):
    """`n` batches of two steps of choices."""
    batch = batch_of([[1.0, 0.0], [0.0, 1.0]], jnp.array([0, 1]), **changes)
    return jax.tree.map(lambda x: jnp.stack([x] * n), batch)


@pytest.mark.parametrize(
    ("logits", "autotune", "direction"),
    # the target is 0.5 log 2: an even policy has log 2, one of (0.999, 0.001) next to nothing
    [
        ([0.0, 0.0], True, -1.0),
        ([7.0, 0.0], True, 1.0),
        ([0.0, 0.0], False, 0.0),
        ([7.0, 0.0], False, 0.0),
    ],
)
def test_the_temperature_rises_where_the_entropy_is_too_low_and_falls_where_too_high(
    logits, autotune, direction
):
    # Adam's first step is alpha_lr, whatever the gradient
    config = replace(LINEAR, autotune_alpha=autotune, alpha_lr=0.01)
    algorithm = algorithm_of(config, CHOICES)
    state = state_of(algorithm, categorical(logits), choice_critics([0.0, 0.0], [0.0, 0.0]))
    after, metrics, _ = learn(algorithm, state, stacked(1), KEY)
    moved = after.log_alpha - state.log_alpha
    np.testing.assert_allclose(moved, 0.01 * direction, atol=1e-6)
    np.testing.assert_allclose(metrics["alpha"], 0.2, rtol=1e-6)
    if autotune:  # alpha (H - target)
        loss = 0.2 * (metrics["entropy"] - 0.5 * math.log(2.0))
        np.testing.assert_allclose(metrics["alpha_loss"], loss, rtol=1e-5)


def test_a_gradient_step_of_the_critics_goes_towards_the_soft_target_of_the_slow_ones():
    # The slow critics say (1, 2) and (3, 0), so the least (1, 0), and p = (1/2, 1/2): V = 0.5 + 0.2
    # log 2; target 1 + 0.9 V. All values are 0 now: errors of that size, loss half its square of
    # each of two critics. Adam's first step is critic_lr on both biases
    algorithm = algorithm_of(replace(LINEAR, critic_lr=0.01), CHOICES)
    critics, slow = choice_critics([0.0, 0.0], [0.0, 0.0]), choice_critics([1.0, 2.0], [3.0, 0.0])
    state = state_of(algorithm, categorical([0.0, 0.0]), critics, slow)
    after, metrics, size = learn(algorithm, state, stacked(1, reward=1.0, discount=0.9), KEY)
    target = 1.0 + 0.9 * (0.5 + 0.2 * math.log(2.0))
    np.testing.assert_allclose(size, [[target] * 2], rtol=1e-5)
    np.testing.assert_allclose(metrics["critic_loss"], target**2, rtol=1e-5)
    for critic in after.critic_params:
        np.testing.assert_allclose(critic.head.bias, [0.01] * 2, rtol=1e-4)
    assert after.step == 1


def test_a_step_that_ended_the_task_is_worth_its_reward_alone():
    algorithm = algorithm_of(LINEAR, CHOICES)
    slow = choice_critics([50.0, 50.0], [50.0, 50.0])
    state = state_of(
        algorithm, categorical([0.0, 0.0]), choice_critics([0.0, 0.0], [0.0, 0.0]), slow
    )
    _, _, size = learn(algorithm, state, stacked(1, reward=3.0, discount=0.0), KEY)
    np.testing.assert_allclose(size, [[3.0, 3.0]], rtol=1e-6)


def test_the_policy_moves_and_is_judged_under_the_critics_from_before_the_step():
    # The values are (1, 0): -V = -1/2 - 0.2 log 2. Choice 0 earns so little that the critics, whose
    # first step of Adam is 10, think the contrary from now on
    algorithm = algorithm_of(replace(LINEAR, critic_lr=10.0, actor_lr=0.05), CHOICES)
    state = state_of(algorithm, categorical([0.0, 0.0]), choice_critics([1.0, 0.0]))
    batch = jax.tree.map(lambda x: x[:, :1], stacked(1, reward=-99.0))
    after, metrics, _ = learn(algorithm, state, batch, KEY)
    np.testing.assert_allclose(metrics["actor_loss"], -(0.5 + 0.2 * math.log(2.0)), rtol=1e-4)
    np.testing.assert_allclose(after.actor_params.head.bias, [0.05, -0.05], rtol=1e-3)
    np.testing.assert_allclose(after.critic_params[0].head.bias, [-9.0, 0.0], rtol=1e-3)


def test_the_slow_critics_take_a_share_of_the_new_ones():
    algorithm = algorithm_of(replace(LINEAR, tau=0.25, critic_lr=0.01), CHOICES)
    critics, slow = choice_critics([0.0, 0.0], [0.0, 0.0]), choice_critics([1.0, 2.0], [3.0, 0.0])
    state = state_of(algorithm, categorical([0.0, 0.0]), critics, slow)
    after, _, _ = learn(algorithm, state, stacked(1, reward=1.0), KEY)
    for k in range(2):
        expected = 0.25 * after.critic_params[k].head.bias + 0.75 * slow[k].head.bias
        mixed = after.target_critic_params[k].head.bias
        np.testing.assert_allclose(mixed, expected, rtol=1e-6)


def test_the_norm_of_a_gradient_is_reported_where_it_is_clipped_or_asked_for():
    # errors of 1 at two examples: half of each in a bias, and in the weight of its observation
    rows, one_critic = {}, replace(LINEAR, n_critics=1)
    for most in (None, 0.5, "asked"):
        how = {"grad_norms": True} if most == "asked" else {"max_grad_norm": most}
        algorithm = algorithm_of(replace(one_critic, **how), CHOICES)
        state = jax.jit(lambda algorithm: algorithm.init(KEY))(algorithm)
        state = state._replace(critic_params=choice_critics([0.0, 0.0]))
        _, rows[most], _ = learn(algorithm, state, stacked(1, reward=1.0), KEY)
    norms = {"critic_grad_norm", "actor_grad_norm"}
    for most in (0.5, "asked"):
        assert rows[most].keys() - rows[None].keys() == norms
        np.testing.assert_allclose(rows[most]["critic_grad_norm"], 1.0, rtol=1e-5)


def test_two_gradient_steps_are_one_after_the_other():
    algorithm = algorithm_of(replace(LINEAR, replay_ratio=1.0, alpha_lr=0.01), CHOICES)
    state = state_of(algorithm, categorical([0.0, 0.0]), choice_critics([0.0, 0.0], [1.0, 0.0]))
    both, metrics, size = learn(algorithm, state, stacked(2, reward=1.0), KEY)
    assert size.shape == (2, 2)
    assert (both.step, metrics["gradient_steps"]) == (2, 2.0)
    once = replace(LINEAR, alpha_lr=0.01)
    middle, _, _ = learn(algorithm_of(once, CHOICES), state, stacked(1, reward=1.0), KEY)
    end, _, _ = learn(algorithm_of(once, CHOICES), middle, stacked(1, reward=1.0), KEY)
    for x, y in zip(jax.tree.leaves(both), jax.tree.leaves(end), strict=True):
        if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("action_space", "n_critics"),
    [(BOX, 3), (CHOICES, 2)],
    ids=["3", "2 of choices"],
)
def test_critics_begin_apart_and_no_gradient_of_one_touches_another(action_space, n_critics):
    config = replace(LINEAR, n_critics=n_critics, hidden_sizes=(3,))
    algorithm = algorithm_of(config, action_space)
    actor, critics = networks(algorithm, KEY)
    assert len(critics) == n_critics
    weights = [np.asarray(critic.head.weight) for critic in critics]
    for i in range(n_critics):
        for j in range(i):
            assert np.abs(weights[i] - weights[j]).max() > 0.01
    obs, action = floats([1.0, 2.0]), action_space.sample(KEY)

    @jax.jit
    def slopes(critics):
        return jax.jacrev(lambda critics: actor.action_values(critics, obs, action))(critics)

    for moved, of_all in enumerate(slopes(critics)):
        for slope in jax.tree.leaves(of_all):  # [critic judged, ...]
            assert not np.any(np.delete(slope, moved, axis=0))


def test_the_gradient_of_many_critics_is_that_of_each_alone():
    algorithm = algorithm_of(replace(LINEAR, n_critics=3, hidden_sizes=(3,)))
    actor, critics = networks(algorithm, KEY)
    batch = batch_of([[1.0, 2.0], [3.0, -1.0]], floats([[0.0, 1.0], [2.0, 9.0]]), weight=[1.0, 0.3])
    gradient = jax.jit(
        lambda critics: jax.grad(critic_loss, argnums=1, has_aux=True)(
            actor, critics, batch, floats([5.0, -5.0])
        )[0]
    )
    together = gradient(critics)
    for k in range(3):
        alone = gradient(critics[k : k + 1])
        for x, y in zip(jax.tree.leaves(together[k]), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_fresh_slow_critics_are_the_critics_and_alpha_is_as_asked():
    algorithm = algorithm_of(replace(LINEAR, init_alpha=0.2))
    state = jax.jit(lambda algorithm, key: algorithm.init(key))(algorithm, KEY)
    for x, y in zip(
        jax.tree.leaves(state.critic_params),
        jax.tree.leaves(state.target_critic_params),
        strict=True,
    ):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_allclose(jnp.exp(state.log_alpha), 0.2, rtol=1e-6)
    assert (state.step, state.memory.step) == (0, 0)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_actions_reach_the_bounds_and_do_not_pass_them(sign):
    actor = gaussian([sign * 100.0, sign * 100.0], [1.0, 1.0])
    bound = BOX.high if sign > 0 else BOX.low
    np.testing.assert_allclose(actor.mode(jnp.zeros(2)), bound, atol=1e-6)
    wide = gaussian([0.0, 0.0], [7.0, 7.0])  # half of the tanh of its samples round to +-1
    samples = jax.jit(jax.vmap(lambda key: wide.sample(jnp.zeros(2), key)))(
        jax.random.split(KEY, 500)
    )
    assert jax.vmap(BOX.contains)(samples).all()
    np.testing.assert_allclose(samples.max(0), BOX.high, atol=1e-6)
    np.testing.assert_allclose(samples.min(0), BOX.low, atol=1e-6)


def test_the_middle_of_the_policy_is_the_middle_of_the_bounds():
    np.testing.assert_allclose(gaussian([0.0, 0.0], [1.0, 1.0]).mode(jnp.zeros(2)), [0.5, 5.0])


def test_log_standard_deviations_stay_within_their_range():
    # log std 5 becomes 2 and -50 becomes -20; obs does not matter
    policy = gaussian([0.0, 0.0], np.exp([5.0, -50.0])).policy(floats([0.0, 0.0]))
    np.testing.assert_allclose(policy.log_std, [2.0, -20.0])


@pytest.mark.parametrize("space", [BOX, Box(-1.0, 1.0, (2,)), Box([-1e-3, 5.0], [1e-3, 1e6])])
def test_to_unit_undoes_rescale(space):
    unit = jax.random.uniform(KEY, (100, 2), minval=-1.0, maxval=1.0)
    action = jax.vmap(lambda u: rescale(space, u))(unit)
    np.testing.assert_allclose(to_unit(space, action), unit, atol=2e-6)
    bounds = floats(np.stack([space.low, space.high]))
    np.testing.assert_allclose(to_unit(space, bounds), [[-1.0] * 2, [1.0] * 2], atol=1e-6)


EVERYTHING = Dict({"a": SPACE, "b": Discrete(3), "c": Image(5, 5, 1)})


def test_a_batch_of_pairs_has_the_values_of_its_pairs():
    def encoder(key, space):
        return Encoder(key, space, (4,), "relu", ((2, 3, 1),), RowLinear)

    critic = jax.eval_shape(lambda key: ActionCritic(key, encoder, EVERYTHING, 2), KEY)
    rng = np.random.default_rng(0)
    critic = jax.tree.map(lambda x: floats(rng.normal(size=x.shape)), critic)
    obs = jax.jit(jax.vmap(EVERYTHING.sample))(jax.random.split(KEY, 5))
    action = jax.random.uniform(KEY, (5, 2))
    together = jax.jit(jax.vmap(critic))(obs, action)
    alone = jax.jit(critic.__call__)
    for i in range(5):
        one = jax.tree.map(lambda x, i=i: x[i], (obs, action))
        np.testing.assert_allclose(alone(*one), together[i], rtol=1e-4, atol=1e-4)


def test_the_greedy_action_is_the_median_and_the_least_of_the_critics_says_its_value():
    # tanh(0.3) = 0.291 is what one critic says of it, tanh(-0.4) = -0.380 the other
    algorithm = algorithm_of()  # of 2 envs
    critics = action_critics([1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0])
    state = state_of(algorithm, gaussian([0.3, -0.4], [1.0, 1.0]), critics)
    assert algorithm.act(state, jnp.zeros(2), KEY)[1] == ()
    np.testing.assert_allclose(algorithm.value(state, jnp.zeros(2)), np.tanh(-0.4), atol=1e-6)
    np.testing.assert_allclose(
        algorithm.greedy(state, jnp.zeros(2)),
        np.array([0.5, 5.0]) + np.array([2.5, 5.0]) * np.tanh([0.3, -0.4]),
        rtol=1e-6,
    )


def test_of_masked_choices_only_the_legal_ones_count_in_the_target_entropy():
    # of three examples, with 1, 4 and 2 legal choices, the last was not found
    legal = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0]], bool)
    obs = MaskedObs(jnp.zeros((3, 2)), jnp.array(legal))
    batch = batch_of(np.zeros((3, 2)), jnp.zeros(3, jnp.int32), weight=[1.0, 0.3, 0.0])
    algorithm = algorithm_of(action_space=Discrete(4), obs_space=Masked(SPACE, 4))
    wanted = algorithm.batch_target_entropy(batch._replace(obs=obs))
    np.testing.assert_allclose(wanted, 0.5 * (0.0 + math.log(4.0)) / 2, rtol=1e-6)
