"""What Q promised beside what the episode paid, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.ops import value_check

update = jax.jit(value_check.update)
YES, NO = True, False


def steps(q, reward, done):
    """Two envs; a row is a step."""
    return jnp.array(q, jnp.float32), jnp.array(reward, jnp.float32), jnp.array(done)


def checked(*rollouts, gamma=0.5, check=None):
    check = value_check.init(2) if check is None else check
    for rollout in rollouts:
        check = update(check, *steps(*rollout), gamma)
    return check


def latest(check):
    return [float(check.last_promised), float(check.last_paid)]


def test_nothing_is_known_before_an_episode_ends():
    check = checked(([[5, 6], [7, 8]], [[1, 2], [3, 4]], [[NO, NO], [NO, NO]]))
    assert latest(check) == [0.0, 0.0]


def test_an_episode_is_judged_by_its_first_value_and_its_discounted_rewards():
    # gamma 0.5, env 0: promised 5, paid 1 + 0.5 * 3 + 0.25 * 8 = 4.5; env 1 goes on
    rollout = ([[5, 9], [7, 9], [8, 9]], [[1, 0], [3, 0], [8, 0]], [[NO, NO], [NO, NO], [YES, NO]])
    assert latest(checked(rollout)) == [5.0, 4.5]


def test_episodes_that_end_together_are_averaged():
    # promised (5 + 9) / 2; paid (1 + 0.5 * 4 + 2 + 0.5 * 6) / 2 = (3 + 5) / 2
    rollout = ([[5, 9], [7, 7]], [[1, 2], [4, 6]], [[NO, NO], [YES, YES]])
    assert latest(checked(rollout)) == [7.0, 4.0]


def test_the_most_recent_end_is_kept_until_the_next():
    # env 0 ends first: 5 promised, 1 paid. Then env 1: 9 promised, 2 + 0.5 * 6 = 5 paid.
    rollout = ([[5, 9], [3, 7], [3, 1]], [[1, 2], [4, 6], [4, 1]], [[YES, NO], [NO, YES], [NO, NO]])
    assert latest(checked(rollout)) == [9.0, 5.0]


def test_what_follows_an_end_is_another_episode():
    # env 0: steps 0 and 1, then step 2 alone: promised 4, paid 16, and nothing of what was before
    rollout = (
        [[1, 0], [2, 0], [4, 0]],
        [[8, 0], [8, 0], [16, 0]],
        [[NO, NO], [YES, NO], [YES, NO]],
    )
    assert latest(checked(rollout)) == [4.0, 16.0]


def test_an_episode_may_span_rollouts():
    # promised 5; paid 1 + 0.5 * 3 + 0.25 * 8 = 4.5, a step each
    parts = [([[5, 0]], [[1, 0]], [[NO, NO]]), ([[7, 0]], [[3, 0]], [[NO, NO]])]
    assert latest(checked(*parts, ([[8, 0]], [[8, 0]], [[YES, NO]]))) == [5.0, 4.5]


def test_one_rollout_equals_its_steps_one_by_one():
    rng = np.random.default_rng(0)
    rollout = (*rng.normal(size=(2, 20, 2)), rng.random((20, 2)) < 0.3)
    whole = checked(rollout)
    apart = checked(*([x[t : t + 1] for x in rollout] for t in range(20)))
    for one, other in zip(whole, apart, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_episode_that_began_in_the_warm_up_is_not_counted():
    # env 0 is in the middle of an episode when the warm-up ends, env 1 at the start of one
    check = value_check.skip(value_check.init(2), jnp.array([[YES, NO], [NO, YES]]))
    check = checked(([[5, 9]], [[1, 2]], [[YES, YES]]), check=check)
    assert latest(check) == [9.0, 2.0]
    # from then on both count: (3 + 5) / 2 and (4 + 8) / 2
    check = checked(([[3, 5]], [[4, 8]], [[YES, YES]]), check=check)
    assert latest(check) == [4.0, 6.0]


def test_an_episode_that_nobody_saw_leaves_the_numbers_as_they_were():
    check = checked(([[5, 9]], [[1, 2]], [[YES, NO]]))
    check = value_check.skip(check, jnp.array([[NO, NO]]))
    check = checked(([[7, 7], [7, 7]], [[1, 2], [3, 3]], [[NO, NO], [YES, YES]]), check=check)
    assert latest(check) == [5.0, 1.0]


def test_unvalued_steps_in_the_middle_of_an_episode_void_it():
    check = checked(([[5, 9]], [[1, 2]], [[NO, NO]]))
    check = value_check.skip(check, jnp.array([[NO, YES]]))
    check = checked(([[7, 4]], [[1, 3]], [[YES, YES]]), check=check)
    assert latest(check) == [4.0, 3.0]


@pytest.mark.parametrize(("gamma", "n_steps"), [(0.0, 3), (0.5, 400)])
def test_an_episode_counts_however_little_its_last_reward_does(gamma, n_steps):
    # 0.5^400 is zero in float32; the paid sum is 1, or 1 + 0.5 + 0.25 + ... = 2
    done = np.zeros((n_steps, 2), bool)
    done[-1] = YES
    rollout = (np.full((n_steps, 2), 3.0), np.ones((n_steps, 2)), done)
    np.testing.assert_allclose(latest(checked(rollout, gamma=gamma)), [3.0, 1.0 / (1.0 - gamma)])


def test_a_fresh_check_can_be_donated():
    check = value_check.init(2)
    donating = jax.jit(value_check.update, donate_argnums=0)
    after = donating(check, *steps([[5, 9]], [[1, 2]], [[YES, NO]]), 0.5)
    assert latest(after) == [5.0, 1.0]


def test_two_seeds_side_by_side_equal_two_seeds():
    rng = np.random.default_rng(1)
    rollouts = [steps(*rng.normal(size=(2, 9, 2)), rng.random((9, 2)) < 0.4) for _ in range(2)]
    stacked = [jnp.stack(pair) for pair in zip(*rollouts, strict=True)]
    together = jax.vmap(lambda *x: value_check.update(value_check.init(2), *x, 0.9))(*stacked)
    for i, rollout in enumerate(rollouts):
        alone = update(value_check.init(2), *rollout, 0.9)
        np.testing.assert_allclose(together.last_promised[i], alone.last_promised, rtol=1e-6)
        np.testing.assert_allclose(together.last_paid[i], alone.last_paid, rtol=1e-6)
