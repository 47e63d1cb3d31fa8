"""Returns and advantages against sums one can do by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibe_rl.ops.returns import compute_gae, explained_variance, gae, n_step_return, td_error

compute_gae_jit = jax.jit(compute_gae)
NEVER = jnp.zeros(3, bool)


def random_rollout(seed, shape=(12, 5)):
    """Reward, value, next_value, terminated and truncated; about a fifth of the steps end."""
    rng = np.random.default_rng(seed)
    reward, value, next_value = rng.normal(size=(3, *shape)).astype(np.float32)
    ends = rng.random((2, *shape)) < 0.1
    return tuple(map(jnp.asarray, (reward, value, next_value, *ends)))


def advantage_by_definition(delta, done, decay):
    """Eq. 16 as it is written: the sum of decay^l delta_{t+l} to the end of the episode."""
    advantage = np.zeros_like(delta)
    for start in range(len(delta)):
        weight = np.ones(delta.shape[1], delta.dtype)
        for t in range(start, len(delta)):
            advantage[start] += weight * delta[t]
            weight = weight * decay * (1 - done[t])
    return advantage


def test_the_td_error_is_reward_plus_discounted_successor_minus_value():
    # 1 + 0.9 * 3 - 2 = 1.7
    delta = td_error(jnp.ones(1), jnp.full(1, 2.0), jnp.full(1, 3.0), jnp.zeros(1, bool), 0.9)
    np.testing.assert_allclose(delta, [1.7], rtol=1e-6)


def test_termination_cuts_the_bootstrap():
    # 1 + 0 - 2 = -1
    delta = td_error(jnp.ones(1), jnp.full(1, 2.0), jnp.full(1, 3.0), jnp.ones(1, bool), 0.9)
    np.testing.assert_allclose(delta, [-1.0])


def test_a_terminated_step_ignores_even_an_infinite_successor():
    delta = td_error(jnp.ones(1), jnp.zeros(1), jnp.full(1, jnp.inf), jnp.ones(1, bool), 0.9)
    np.testing.assert_allclose(delta, [1.0])


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        # A2 = 3; A1 = 2 + 0.5 * 3 = 3.5; A0 = 1 + 0.5 * 3.5 = 2.75
        ([False, False, False], [2.75, 3.5, 3.0]),
        # the end at 1 hides A2: A1 = 2; A0 = 1 + 0.5 * 2 = 2
        ([False, True, False], [2.0, 2.0, 3.0]),
        # the end at 0 hides A1, and the end at the last step hides nothing that is there
        ([True, False, True], [1.0, 3.5, 3.0]),
    ],
)
def test_advantages_add_up_decayed_errors_until_the_episode_ends(done, expected):
    advantage = gae(jnp.array([1.0, 2.0, 3.0]), jnp.array(done), 0.5)
    np.testing.assert_allclose(advantage, expected)


def test_advantages_and_targets_without_an_end():
    # gamma 0.5, lambda 0.8, decay 0.4; values 1 1 1, successors 1 1 2, rewards 1 2 3
    # deltas: 1 + .5 - 1 = .5;  2 + .5 - 1 = 1.5;  3 + 1 - 1 = 3
    # A2 = 3; A1 = 1.5 + .4 * 3 = 2.7; A0 = .5 + .4 * 2.7 = 1.58; targets are one more
    advantage, target = compute_gae(
        jnp.array([1.0, 2.0, 3.0]), jnp.ones(3), jnp.array([1.0, 1.0, 2.0]), NEVER, NEVER, 0.5, 0.8
    )
    np.testing.assert_allclose(advantage, [1.58, 2.7, 3.0], rtol=1e-6)
    np.testing.assert_allclose(target, [2.58, 3.7, 4.0], rtol=1e-6)


def test_truncation_keeps_the_bootstrap_and_termination_does_not():
    # As above with an end at step 1, whose true successor is worth 4.
    # truncated: delta1 = 2 + .5 * 4 - 1 = 3, A1 = 3 (trace cut), A0 = .5 + .4 * 3 = 1.7
    # terminated: delta1 = 2 - 1 = 1, A1 = 1, A0 = .5 + .4 * 1 = 0.9
    end, next_value = jnp.array([False, True, False]), jnp.array([1.0, 4.0, 2.0])
    arrays = (jnp.array([1.0, 2.0, 3.0]), jnp.ones(3), next_value)
    truncated, _ = compute_gae(*arrays, NEVER, end, 0.5, 0.8)
    terminated, _ = compute_gae(*arrays, end, NEVER, 0.5, 0.8)
    np.testing.assert_allclose(truncated, [1.7, 3.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(terminated, [0.9, 1.0, 3.0], rtol=1e-6)


def test_a_step_that_terminates_and_truncates_counts_as_terminated():
    end, arrays = jnp.array([False, True, False]), (jnp.ones(3), jnp.ones(3), jnp.full(3, 4.0))
    both, _ = compute_gae(*arrays, end, end, 0.5, 0.8)
    terminated, _ = compute_gae(*arrays, end, NEVER, 0.5, 0.8)
    np.testing.assert_array_equal(both, terminated)


@pytest.mark.parametrize(("terminates", "worth"), [(False, 10.0), (True, 1.0)])
def test_a_reward_of_one_is_worth_ten_to_the_clock_and_one_to_the_end(terminates, worth):
    # gamma 0.9: V = 1 + 0.9 V gives 10 if only the clock stops the task, V = 1 if it ends.
    # Fitting the value to its own target must have exactly these fixed points.
    end = jnp.ones(4, bool)
    value = jnp.full(4, worth)
    flags = (end, ~end) if terminates else (~end, end)
    _, target = compute_gae(jnp.ones(4), value, value, *flags, 0.9, 0.95)
    np.testing.assert_allclose(target, worth, rtol=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), gamma=st.floats(0, 1), gae_lambda=st.floats(0, 1))
def test_advantages_equal_their_definition(seed, gamma, gae_lambda):
    rollout = random_rollout(seed)
    reward, value, next_value, terminated, truncated = map(np.asarray, rollout)
    advantage, target = compute_gae_jit(*rollout, gamma, gae_lambda)
    delta = reward + gamma * (1 - terminated) * next_value - value
    expected = advantage_by_definition(delta, terminated | truncated, gamma * gae_lambda)
    np.testing.assert_allclose(advantage, expected, atol=1e-5)
    np.testing.assert_allclose(target, expected + value, atol=1e-5)


def test_lambda_zero_leaves_the_td_error():
    rollout = random_rollout(0)
    advantage, _ = compute_gae_jit(*rollout, 0.9, 0.0)
    np.testing.assert_allclose(advantage, td_error(*rollout[:4], 0.9), atol=1e-6)


def test_lambda_one_makes_the_target_the_discounted_return():
    # rewards 1 2 3, gamma 0.5, then a successor worth 8:
    # G2 = 3 + .5 * 8 = 7; G1 = 2 + .5 * 7 = 5.5; G0 = 1 + .5 * 5.5 = 3.75, whatever the values
    value = jnp.array([5.0, -1.0, 4.0])
    next_value = jnp.array([-1.0, 4.0, 8.0])
    reward = jnp.array([1.0, 2.0, 3.0])
    _, target = compute_gae(reward, value, next_value, NEVER, NEVER, 0.5, 1.0)
    np.testing.assert_allclose(target, [3.75, 5.5, 7.0], rtol=1e-6)


@pytest.mark.parametrize("cause", [3, 4], ids=["terminated", "truncated"])
def test_no_episode_feels_what_happens_after_its_end(cause):
    rollout = [x[:, 0] for x in random_rollout(1)]
    rollout[3] = rollout[4] = jnp.zeros(12, bool)
    rollout[cause] = jnp.arange(12) == 6
    changed = [x.at[7:].add(100.0) for x in rollout[:3]] + rollout[3:]
    before, _ = compute_gae_jit(*rollout, 0.99, 0.95)
    after, _ = compute_gae_jit(*changed, 0.99, 0.95)
    np.testing.assert_array_equal(before[:7], after[:7])
    assert (before[7:] != after[7:]).all()


def test_compilation_changes_no_advantage():
    rollout = random_rollout(2)
    for one, other in zip(
        compute_gae(*rollout, 0.99, 0.95), compute_gae_jit(*rollout, 0.99, 0.95), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_environments_side_by_side_equal_environments_one_by_one():
    rollout = random_rollout(3)
    together, _ = compute_gae_jit(*rollout, 0.99, 0.95)
    mapped, _ = jax.vmap(lambda *x: compute_gae(*x, 0.99, 0.95), in_axes=1, out_axes=1)(*rollout)
    apart = [compute_gae_jit(*(x[:, n] for x in rollout), 0.99, 0.95)[0] for n in range(5)]
    np.testing.assert_allclose(together, np.stack(apart, 1), atol=1e-6)
    np.testing.assert_allclose(mapped, np.stack(apart, 1), atol=1e-6)


def n_step(rewards, story, gamma=0.5):
    """`n_step_return` of steps that go on (.), terminate (T), truncate (C) or are unknown (?)."""

    def where(letters):
        return [jnp.array(letter in letters) for letter in story]

    reward = [jnp.float32(reward) for reward in rewards]
    found = jax.jit(n_step_return)(reward, where("T"), where(".TC"), where("."), gamma)
    assert found[2].dtype == jnp.int32
    return [x.item() for x in found]


@pytest.mark.parametrize(
    ("story", "total", "discount", "length"),
    # rewards 8 4 2, gamma 0.5: 8; 8 + .5 * 4 = 10; 8 + .5 * 4 + .25 * 2 = 10.5
    [
        (".", 8.0, 0.5, 1),
        ("T", 8.0, 0.0, 1),
        ("C", 8.0, 0.5, 1),
        ("...", 10.5, 0.125, 3),
        ("..T", 10.5, 0.0, 3),
        ("..C", 10.5, 0.125, 3),
        # the episode ends on the way, and another one follows
        (".T.", 10.0, 0.0, 2),
        (".C.", 10.0, 0.25, 2),
        ("T..", 8.0, 0.0, 1),
        ("C..", 8.0, 0.5, 1),
        ("C.T", 8.0, 0.5, 1),
        ("CT.", 8.0, 0.5, 1),
        # what is there has not happened yet, or long ago
        (".?.", 8.0, 0.5, 1),
        (".?T", 8.0, 0.5, 1),
        ("..?", 10.0, 0.25, 2),
        ("T?T", 8.0, 0.0, 1),
        ("C?T", 8.0, 0.5, 1),
    ],
)
def test_n_rewards_are_summed_until_the_episode_ends_or_nothing_is_known(
    story, total, discount, length
):
    assert n_step([8.0, 4.0, 2.0][: len(story)], story) == [total, discount, length]


def test_without_discount_n_rewards_are_just_added():
    assert n_step([8.0, 4.0, 2.0], "...", gamma=1.0) == [14.0, 1.0, 3]
    assert n_step([8.0, 4.0, 2.0], "..T", gamma=1.0) == [14.0, 0.0, 3]
    assert n_step([8.0, 4.0, 2.0], "...", gamma=0.0) == [8.0, 0.0, 3]


def test_n_step_returns_of_many_steps_equal_those_of_each():
    rng = np.random.default_rng(4)
    stories = ["".join(rng.choice(list(".TC?"), 5, p=[0.7, 0.1, 0.1, 0.1])) for _ in range(20)]
    stories = ["." + story for story in stories]
    rewards = rng.normal(size=(6, 4, 5)).astype(np.float32)
    letters = np.array([list(story) for story in stories]).T.reshape(6, 4, 5)
    flags = [list(jnp.asarray(x)) for x in (letters == "T", letters != "?", letters == ".")]
    many = n_step_return(list(jnp.asarray(rewards)), *flags, 0.9)
    for i, story in enumerate(stories):
        one = n_step(rewards.reshape(6, 20)[:, i], story, 0.9)
        np.testing.assert_allclose([x.ravel()[i] for x in many], one, rtol=1e-5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), gamma=st.floats(0, 1))
def test_n_step_returns_and_a_value_are_what_gae_says_at_lambda_one(seed, gamma):
    # the whole rest of a rollout, bootstrapped: the target at its first step
    reward, value, next_value, terminated, truncated = random_rollout(seed)
    value = jnp.concatenate([value[:1], next_value[:-1]])  # so that those on the way cancel
    _, target = compute_gae_jit(reward, value, next_value, terminated, truncated, gamma, 1.0)
    done = terminated | truncated
    known = jnp.ones_like(done)
    total, discount, length = n_step_return(*map(list, (reward, terminated, known, ~done)), gamma)
    last = jnp.take_along_axis(next_value, length[None] - 1, axis=0)[0]
    np.testing.assert_allclose(total + discount * last, target[0], atol=1e-4)


@pytest.mark.parametrize(
    ("value", "expected"),
    # targets 0 2 4 6, variance 5; errors of variance 0, 5, 5 / 4 (half the target), 20 (reversed)
    [
        ([0.0, 2.0, 4.0, 6.0], 1.0),
        ([9.0, 11.0, 13.0, 15.0], 1.0),
        ([3.0, 3.0, 3.0, 3.0], 0.0),
        ([0.0, 1.0, 2.0, 3.0], 0.75),
        ([6.0, 4.0, 2.0, 0.0], -3.0),
    ],
)
def test_explained_variance_is_one_for_a_critic_right_up_to_a_constant(value, expected):
    explained = explained_variance(jnp.array(value), jnp.array([0.0, 2.0, 4.0, 6.0]))
    np.testing.assert_allclose(explained, expected, atol=1e-6)


@pytest.mark.parametrize("constant", [0.0, 2.0, 0.1, 1e4 / 3])
def test_explained_variance_is_zero_where_the_targets_do_not_vary(constant):
    for value in (jnp.full(100, 2.0), jnp.arange(100.0)):
        assert explained_variance(value, jnp.full(100, constant)) == 0.0


def test_what_does_not_count_explains_nothing():
    value, target = jnp.array([0.0, 1.0, 2.0, 3.0, 50.0]), jnp.array([0.0, 2.0, 4.0, 6.0, -9.0])
    explained = explained_variance(value, target, jnp.arange(5) < 4)
    np.testing.assert_allclose(explained, 0.75, atol=1e-6)
