"""Distributions against SciPy, against changes of variables and against their own samples."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from vibe_rl.networks.distributions import (
    Categorical,
    MultiCategorical,
    Normal,
    TanhNormal,
    log_tanh_derivative,
    mask_logits,
)

KEYS = jax.random.split(jax.random.key(0), 4000)
LOGITS = jnp.log(jnp.array([0.5, 0.25, 0.25]))
LEGAL = jnp.array([True, False, True, False])
MEAN, LOG_STD = jnp.array([0.3, -1.0]), jnp.array([-0.5, 0.2])
DISTRIBUTIONS = [
    Categorical(LOGITS),
    MultiCategorical((Categorical(LOGITS), Categorical(jnp.zeros(2)))),
    Normal(MEAN, LOG_STD),
    TanhNormal(MEAN, LOG_STD),
]


def name(distribution):
    return type(distribution).__name__


@jax.jit
def samples(distribution):
    return jax.vmap(distribution.sample)(KEYS)


@jax.jit
def log_prob_of(distribution, sample):
    return distribution.log_prob(sample)


@jax.jit
def entropy_of(distribution):
    return distribution.entropy()


@jax.jit
def log_probs(distribution, at):
    return jax.vmap(distribution.log_prob)(at)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=name)
def test_the_entropy_is_the_mean_surprise_of_the_samples(distribution):
    surprise = -np.asarray(log_probs(distribution, samples(distribution)))
    margin = 5 * surprise.std() / math.sqrt(len(KEYS))
    assert abs(surprise.mean() - entropy_of(distribution)) < margin + 1e-6


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=name)
def test_sample_and_mode_are_what_log_prob_takes(distribution):
    sample, mode = samples(distribution)[0], distribution.mode()
    assert (sample.shape, sample.dtype) == (mode.shape, mode.dtype)
    assert np.isfinite(log_prob_of(distribution, mode))
    assert log_prob_of(distribution, mode).shape == ()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=name)
def test_compilation_and_vmap_change_no_distribution(distribution):
    def everything(distribution, key):
        sample = distribution.sample(key)
        return sample, distribution.log_prob(sample), distribution.entropy(), distribution.mode()

    batch = jax.tree.map(lambda x: np.stack([x, 2 * x, -x]), jax.tree.map(np.asarray, distribution))
    mapped = jax.jit(jax.vmap(everything))(batch, KEYS[:3])
    for i in range(3):
        alone = everything(jax.tree.map(lambda x, i=i: jnp.asarray(x[i]), batch), KEYS[i])
        jax.tree.map(
            lambda x, y, i=i: np.testing.assert_allclose(x[i], y, rtol=2e-5, atol=1e-5),
            mapped,
            alone,
        )


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=name)
def test_samples_follow_the_key_alone(distribution):
    first, again = (jax.tree.leaves(samples(distribution)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
        assert len(np.unique(one, axis=0)) > 1


def test_log_probs_of_a_categorical_are_normalised_logits():
    # the probabilities 1/2, 1/4, 1/4 stay the same when 7 is added to every logit
    log_p = log_probs(Categorical(LOGITS + 7.0), jnp.arange(3))
    np.testing.assert_allclose(jnp.exp(log_p), [0.5, 0.25, 0.25], rtol=1e-5)


def test_the_entropy_of_a_categorical_is_in_nats():
    # 1/2 ln 2 + 2 * 1/4 ln 4 = 1.5 ln 2
    np.testing.assert_allclose(entropy_of(Categorical(LOGITS)), 1.5 * math.log(2), rtol=1e-6)
    np.testing.assert_allclose(entropy_of(Categorical(jnp.zeros(7))), math.log(7), rtol=1e-6)


def test_the_mode_of_a_categorical_is_its_largest_logit():
    mode = Categorical(jnp.array([0.1, -3.0, 2.0])).mode()
    assert (mode, mode.dtype) == (2, jnp.int32)


def test_samples_of_a_categorical_come_as_often_as_they_are_likely():
    counts = np.bincount(samples(Categorical(LOGITS)), minlength=3)
    assert stats.chisquare(counts, len(KEYS) * np.array([0.5, 0.25, 0.25])).pvalue > 1e-4


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_illegal_choices_are_never_sampled(scale):
    logits = scale * jnp.array([-1.0, 5.0, -1.0, 3.0])  # the illegal ones are the likeliest
    policy = Categorical(mask_logits(logits, LEGAL))
    counts = np.bincount(samples(policy), minlength=4)
    assert counts[0] > 1800
    assert counts[2] > 1800
    assert counts[0] + counts[2] == len(KEYS)
    assert policy.mode() in (0, 2)


def test_the_entropy_of_a_masked_categorical_is_that_of_the_legal_choices():
    policy = Categorical(mask_logits(jnp.array([1.0, 5.0, 0.0, 3.0]), LEGAL))
    np.testing.assert_allclose(
        entropy_of(policy), entropy_of(Categorical(jnp.array([1.0, 0.0]))), rtol=1e-6
    )
    np.testing.assert_allclose(np.exp(log_probs(policy, jnp.arange(4)))[[1, 3]], 0.0)


def test_a_single_legal_choice_is_certain():
    policy = Categorical(mask_logits(jnp.zeros(3), jnp.array([False, True, False])))
    assert (samples(policy) == 1).all()
    np.testing.assert_allclose(
        [log_prob_of(policy, jnp.int32(1)), entropy_of(policy)], 0.0, atol=1e-6
    )


@pytest.mark.parametrize("logits", [jnp.array([1.0, 5.0, 0.0, 3.0]), jnp.array([80.0, 0, -80, 0])])
def test_gradients_of_a_masked_categorical_are_finite_and_leave_illegal_logits_alone(logits):
    def loss(logits):
        policy = Categorical(mask_logits(logits, LEGAL))
        return entropy_of(policy) + log_prob_of(policy, jnp.int32(2))

    grads = np.asarray(jax.jit(jax.grad(loss))(logits))
    assert np.isfinite(grads).all()
    np.testing.assert_array_equal(grads[[1, 3]], 0.0)
    assert (grads[[0, 2]] != 0).all()


def test_the_gradient_of_a_log_prob_is_one_hot_minus_probabilities():
    # d log p_1 / d logits = e_1 - p = [-1/2, 3/4, -1/4]
    grads = jax.grad(lambda logits: Categorical(logits).log_prob(jnp.int32(1)))(LOGITS)
    np.testing.assert_allclose(grads, [-0.5, 0.75, -0.25], rtol=1e-5)


def test_several_choices_multiply_their_probabilities_and_add_their_entropies():
    # 1/4 * 1/3 and 1.5 ln 2 + ln 3
    policy = MultiCategorical((Categorical(LOGITS), Categorical(jnp.zeros(3))))
    np.testing.assert_allclose(log_prob_of(policy, jnp.array([1, 2])), math.log(1 / 12), rtol=1e-6)
    np.testing.assert_allclose(entropy_of(policy), 1.5 * math.log(2) + math.log(3), rtol=1e-6)


def test_several_choices_are_as_likely_as_the_flat_choice_among_their_products():
    parts = jnp.array([0.3, -0.2]), jnp.array([1.0, 0.0, -1.0])
    policy = MultiCategorical(tuple(Categorical(part) for part in parts))
    flat = Categorical((parts[0][:, None] + parts[1][None, :]).ravel())
    pairs = jnp.stack(jnp.divmod(jnp.arange(6), 3), axis=1)
    np.testing.assert_allclose(log_probs(policy, pairs), log_probs(flat, jnp.arange(6)), rtol=1e-5)
    np.testing.assert_allclose(entropy_of(policy), entropy_of(flat), rtol=1e-6)


def test_several_choices_are_drawn_independently():
    # equal logits and one key: were the key shared, the choices would always agree
    policy = MultiCategorical((Categorical(jnp.zeros(2)),) * 2)
    table = np.bincount(samples(policy) @ np.array([2, 1]), minlength=4)
    assert stats.chisquare(table).pvalue > 1e-4


def test_the_mode_of_several_choices_is_each_ones():
    policy = MultiCategorical((Categorical(jnp.array([0.0, 1.0])), Categorical(LOGITS)))
    np.testing.assert_array_equal(policy.mode(), [1, 0])


def test_the_log_prob_of_a_normal_is_scipys():
    at = jnp.array([[0.3, -1.0], [1.5, 2.0], [-20.0, 0.0]])
    expected = stats.norm(MEAN, np.exp(LOG_STD)).logpdf(np.asarray(at)).sum(1)
    np.testing.assert_allclose(log_probs(Normal(MEAN, LOG_STD), at), expected, rtol=1e-5)


def test_the_standard_normal_has_a_density_of_one_over_root_two_pi_at_zero():
    policy = Normal(jnp.zeros(1), jnp.zeros(1))
    np.testing.assert_allclose(jnp.exp(log_prob_of(policy, jnp.zeros(1))), 0.3989423, rtol=1e-6)
    # 1/2 ln(2 pi e) = 1.4189385
    np.testing.assert_allclose(entropy_of(policy), 1.4189385, rtol=1e-6)


def test_the_entropy_of_a_normal_is_scipys():
    expected = stats.norm(MEAN, np.exp(LOG_STD)).entropy().sum()
    np.testing.assert_allclose(entropy_of(Normal(MEAN, LOG_STD)), expected, rtol=1e-6)


def test_samples_of_a_normal_have_its_mean_its_spread_and_no_correlation():
    drawn = np.asarray(samples(Normal(MEAN, LOG_STD)))
    for i in range(2):
        law = stats.norm(MEAN[i], np.exp(LOG_STD[i]))
        assert stats.kstest(drawn[:, i], law.cdf).pvalue > 1e-4
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 5 / math.sqrt(len(KEYS))


def test_samples_of_a_normal_carry_gradients():
    # sample = mean + std * noise: the gradient by the mean is 1, by log_std the deviation
    def sample(mean, log_std):
        return Normal(mean, log_std).sample(KEYS[0]).sum()

    by_mean, by_log_std = jax.jit(jax.grad(sample, (0, 1)))(MEAN, LOG_STD)
    np.testing.assert_allclose(by_mean, 1.0)
    deviation = Normal(MEAN, LOG_STD).sample(KEYS[0]) - MEAN
    np.testing.assert_allclose(by_log_std, deviation, rtol=1e-5)


def test_the_derivative_of_tanh_is_stable_where_it_vanishes():
    x = np.array([0.0, 0.5, -2.0, 5.0])
    np.testing.assert_allclose(
        log_tanh_derivative(jnp.asarray(x, jnp.float32)), np.log1p(-(np.tanh(x) ** 2)), rtol=1e-4
    )
    # log(1 - tanh^2 x) -> 2 (ln 2 - |x|), where tanh rounds to 1 and the naive form to -inf
    far = log_tanh_derivative(jnp.array([50.0, -50.0]))
    np.testing.assert_allclose(far, 2 * (math.log(2) - 50), rtol=1e-6)


def test_the_log_prob_of_a_tanh_normal_is_that_of_the_action():
    # p(a) = N(artanh a; mean, std) / (1 - a^2)
    action = np.array([[0.5, -0.9], [0.0, 0.1], [-0.99, 0.7]])
    normal = stats.norm(MEAN, np.exp(LOG_STD))
    expected = (normal.logpdf(np.arctanh(action)) - np.log(1 - action**2)).sum(1)
    policy = TanhNormal(MEAN, LOG_STD)
    before = jnp.asarray(np.arctanh(action), jnp.float32)
    np.testing.assert_allclose(log_probs(policy, before), expected, rtol=1e-4)


def test_the_density_of_a_tanh_normal_integrates_to_one():
    policy = TanhNormal(MEAN[:1], LOG_STD[:1])
    action = np.linspace(-1, 1, 4003)[1:-1]
    before = jnp.asarray(np.arctanh(action)[:, None], jnp.float32)
    total = np.trapezoid(np.exp(log_probs(policy, before)), action)
    np.testing.assert_allclose(total, 1.0, atol=1e-3)


@pytest.mark.parametrize("log_std", [-3.0, -1.0, 0.0, 0.7])
@pytest.mark.parametrize("mean", [0.0, -0.8, 3.0])
def test_the_entropy_of_a_tanh_normal_is_its_integral(mean, log_std):
    # H = H(normal) + E[log(1 - tanh(x)^2)], integrated numerically over 10 standard deviations
    normal = stats.norm(mean, math.exp(log_std))
    stretch, _ = integrate.quad(
        lambda x: normal.pdf(x) * 2 * (math.log(2) - x - np.logaddexp(0, -2 * x)),
        mean - 10 * normal.std(),
        mean + 10 * normal.std(),
    )
    entropy = entropy_of(TanhNormal(jnp.array([mean]), jnp.array([log_std])))
    np.testing.assert_allclose(entropy, normal.entropy() + stretch, atol=5e-3)


def test_a_uniform_action_has_nearly_the_largest_entropy():
    # no density on (-1, 1) has more than ln 2 = 0.693; std 0.87 comes close to uniform
    entropy = entropy_of(TanhNormal(jnp.zeros(1), jnp.log(jnp.full(1, 0.87))))
    assert 0.66 < entropy < math.log(2)


def test_the_mode_of_a_tanh_normal_is_its_median_action():
    policy = TanhNormal(MEAN, LOG_STD)
    np.testing.assert_array_equal(policy.mode(), MEAN)
    below = (np.asarray(samples(policy)) < np.asarray(policy.mode())).mean(0)
    np.testing.assert_allclose(below, 0.5, atol=5 * 0.5 / math.sqrt(len(KEYS)))


def test_gradients_of_a_tanh_normal_are_finite_far_out():
    def loss(mean, log_std):
        policy = TanhNormal(mean, log_std)
        return log_prob_of(policy, jnp.array([30.0, -30.0])) + entropy_of(policy)

    grads = jax.jit(jax.grad(loss, (0, 1)))(jnp.array([20.0, -20.0]), jnp.array([1.0, -2.0]))
    assert all(np.isfinite(g).all() for g in grads)
