"""The replay ring against a list of all that happened, and its draws against chance.

In the streams below every observation and every transition has a number of its own. Thresholds of
chance are p-values of 1e-4 at fixed keys.
"""

import math
import re
from functools import partial
from itertools import chain
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vibe_rl.replay import HostReplay, Replay
from vibe_rl.replay.ring import NO_TRANSITION
from vibe_rl.spaces import Box, Dict, Discrete, Image, Masked, MultiBinary
from vibe_rl.types import Transition

OBS, ACTION = Box(-np.inf, np.inf, (2,)), Discrete(2**30)
SMALL = Replay(10, prioritized=True)
GOES_ON, TERMINATES, TRUNCATES, BOTH = range(4)
insert = jax.jit(Replay.insert, static_argnums=0)
sample = jax.jit(Replay.sample, static_argnums=(0, 3))
gather = jax.jit(Replay.gather, static_argnums=0)
reprioritize = jax.jit(Replay.reprioritize, static_argnums=0)


class Told(NamedTuple):
    """One transition, as it happened."""

    obs: int
    reward: float
    terminated: bool
    next_obs: int


def story_of(ends):
    """A rollout `[T, N]` whose episodes end as told, and what happened by the action's number.

    Observations are numbered upwards within each env; after an end comes a reset, another number.
    The action is the number of the transition, the reward its thirteenth part.
    """
    n_steps, num_envs = np.shape(ends)
    action = np.arange(1, n_steps * num_envs + 1, dtype=np.int32).reshape(n_steps, num_envs)
    obs = np.zeros((n_steps, num_envs), np.int64)
    now = np.arange(1, num_envs + 1) * 10_000
    told = {}
    for t, how in enumerate(np.asarray(ends)):
        obs[t] = now
        for n in range(num_envs):
            terminated = how[n] in (TERMINATES, BOTH)
            reward = action[t, n] / 13
            told[int(action[t, n])] = Told(int(now[n]), reward, terminated, int(now[n] + 1))
        now = now + 1 + (how != GOES_ON)
    return rollout_of(np.asarray(ends), obs, action), told


def rollout_of(ends, obs, action):
    def both_signs(x):
        return np.stack([x, -x], -1).astype(np.float32)

    return Transition(
        both_signs(obs),
        action,
        (action / 13).astype(np.float32),
        np.isin(ends, (TERMINATES, BOTH)),
        np.isin(ends, (TRUNCATES, BOTH)),
        both_signs(obs + 1),
        extras=np.zeros(ends.shape, np.float32),
    )


def fill(replay, rollout, ring=None, n_at_once=1):
    """The ring after a whole rollout, inserted in pieces."""
    ring = replay.init(OBS, ACTION) if ring is None else ring
    for t in range(0, rollout.reward.shape[0], n_at_once):
        ring = insert(replay, ring, jax.tree.map(lambda x, t=t: x[t : t + n_at_once], rollout))
    return ring


def every_slot(replay):
    return jnp.arange(replay.num_envs * replay.length)


def contents(replay, ring, gamma=0.5):
    """A batch of all that the ring holds, and no slot else."""
    slots = every_slot(replay)
    everything = gather(replay, ring, slots, jnp.ones(len(slots)), gamma)
    held = np.asarray(ring.kind) != NO_TRANSITION
    return jax.tree.map(lambda x: np.asarray(x)[held], everything)


def latest(ends, length):
    """The numbers of the transitions that fit into `length` slots, env by env, oldest first.

    One slot for each transition, one for each end among them and one for the newest successor.
    """
    n_steps, num_envs = np.shape(ends)
    fitting = []
    for n in range(num_envs):
        line = []
        for t in range(n_steps):
            line.append(t * num_envs + n + 1)
            if ends[t][n] != GOES_ON:
                line.append("the end")
        if n_steps and ends[-1][n] == GOES_ON:
            line.append("the newest successor")
        fitting.append([x for x in line[-length:] if isinstance(x, int)])
    return fitting


@st.composite
def streams(draw):
    capacity, num_envs = draw(st.sampled_from([(1, 1), (6, 1), (12, 3)]))
    rare, common = st.sampled_from([0, 0, 0, 0, 0, 1, 2, 3]), st.sampled_from([0, 1, 2, 3])
    how = draw(st.sampled_from([st.just(0), rare, common, st.just(1)]))
    step = st.tuples(*[how] * num_envs)
    return Replay(capacity, num_envs), draw(st.lists(step, min_size=1, max_size=30))


def check_contents(replay, ends):
    rollout, told = story_of(ends)
    held = contents(replay, fill(replay, rollout))
    expected = latest(ends, replay.length)
    assert sorted(held.action.tolist()) == sorted(chain(*expected))
    for i, number in enumerate(held.action.tolist()):
        true = told[number]
        env = (number - 1) % replay.num_envs
        assert held.slot[i] // replay.length == env
        np.testing.assert_array_equal(held.obs[i], [true.obs, -true.obs])
        np.testing.assert_array_equal(held.next_obs[i], [true.next_obs, -true.next_obs])
        np.testing.assert_array_equal(held.reward[i], np.float32(true.reward))
        assert held.discount[i] == (0.0 if true.terminated else 0.5)


@settings(max_examples=60, deadline=None)
@given(streams())
def test_the_ring_holds_the_latest_transitions_that_fit_and_their_true_successors(stream):
    check_contents(*stream)


@pytest.mark.parametrize("how", [GOES_ON, TERMINATES, TRUNCATES, BOTH])
@pytest.mark.parametrize("n_steps", [1, 4, 5, 6, 7, 11, 12])
def test_the_newest_successor_is_true_wherever_the_ring_begins_again(how, n_steps):
    ends = [[GOES_ON]] * (n_steps - 1) + [[how]]
    check_contents(Replay(5), ends)
    held = contents(Replay(5), fill(Replay(5), story_of(ends)[0]))
    newest = held.action.argmax()
    assert held.action[newest] == n_steps
    np.testing.assert_array_equal(held.next_obs[newest], [10_000 + n_steps, -10_000 - n_steps])
    assert held.discount[newest] == (0.5 if how in (GOES_ON, TRUNCATES) else 0.0)


def test_without_ends_the_ring_holds_as_many_transitions_as_was_asked():
    for capacity, num_envs in [(1, 1), (3, 4)]:
        replay = Replay(capacity, num_envs)
        held = contents(replay, fill(replay, story_of(np.zeros((30, num_envs), int))[0]))
        assert len(held.action) == math.ceil(capacity / num_envs) * num_envs


@pytest.mark.parametrize("prioritized", [False, True])
def test_a_long_rollout_equals_its_steps_one_by_one(prioritized):
    ends = np.random.default_rng(0).choice(4, (24, 3), p=[0.7, 0.1, 0.1, 0.1])
    replay, rollout = Replay(20, 3, prioritized=prioritized), story_of(ends)[0]
    single = fill(replay, rollout)
    for n_at_once in (2, 24):
        for one, other in zip(
            jax.tree.leaves(single),
            jax.tree.leaves(fill(replay, rollout, n_at_once=n_at_once)),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)


def test_the_first_slots_fill_before_the_ring_is_full():
    replay = Replay(8, 2)
    ring = replay.init(OBS, ACTION)
    assert ring.filled == 0
    filled = []
    for _ in range(6):
        rollout = story_of([[GOES_ON, TERMINATES]])[0]
        ring = fill(replay, rollout, ring)
        filled.append(int(ring.filled))
    # the second env takes two slots a step, of five: 2, 4, then all
    assert filled == [2, 4, 5, 5, 5, 5]


EVERY_DTYPE = Masked(
    Dict(
        {
            "picture": Image(4, 3, 2),
            "speed": Box(-1.0, 1.0, (3,)),
            "half": Box(-1.0, 1.0, (2,), jnp.float16),
            "word": Discrete(1000),
            "byte": Discrete(7, jnp.int8),
            "flags": MultiBinary(5, jnp.bool_),
        }
    ),
    4,
)
TWO_PARTS = Dict({"gear": Discrete(5), "wheel": Box(-1.0, 1.0, (2,))})


def test_trees_of_every_dtype_come_back_as_they_were():
    rng = np.random.default_rng(0)

    def members(space):
        def some(x):
            return jnp.asarray(rng.integers(-100, 100, (5, 2, *x.shape)).astype(x.dtype))

        return jax.tree.map(some, jax.eval_shape(space.sample, jax.random.key(0)))

    obs, action, never = members(EVERY_DTYPE), members(TWO_PARTS), jnp.zeros((4, 2), bool)
    before, after = (jax.tree.map(lambda x, a=a: x[a : a + 4], obs) for a in (0, 1))
    steps = jax.tree.map(lambda x: x[:4], action)
    rollout = Transition(before, steps, jnp.zeros((4, 2)), never, never, after)
    replay = Replay(8, 2)
    ring = insert(replay, replay.init(EVERY_DTYPE, TWO_PARTS), rollout)
    batch = gather(replay, ring, jnp.array([[0, 1, 2, 3], [5, 6, 7, 8]]), jnp.ones((2, 4)), 0.5)
    for name, put_in in (("obs", before), ("next_obs", after), ("action", steps)):
        came_out = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), getattr(batch, name))
        assert jax.tree.structure(came_out) == jax.tree.structure(put_in)
        for one, other in zip(jax.tree.leaves(came_out), jax.tree.leaves(put_in), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("prefix", [0, 1, 8, 12])
@pytest.mark.parametrize(
    ("n_step", "reward", "discount", "steps"),
    [
        (
            1,
            [1, 2, 4, 8, 16, 32, 64, 128, 256],
            [0.5, 0.5, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
            [1] * 9,
        ),
        # gamma 0.5, so each reward adds as much as the one before:
        # 1 + 1 + 1, 2 + 2, 4 to the termination; 8 + 8, 16 to the truncation, whose successor
        # counts a quarter and a half; 32 * 3, 64 * 3; 128 * 2, 256 to what has not happened yet
        (
            3,
            [3, 4, 4, 16, 16, 96, 192, 256, 256],
            [0, 0, 0, 0.25, 0.5, 0.125, 0.125, 0.25, 0.5],
            [3, 2, 1, 2, 1, 3, 3, 2, 1],
        ),
    ],
)
def test_n_step_returns_end_with_the_episode_and_with_the_newest_transition(
    prefix, n_step, reward, discount, steps
):
    ends = [0] * prefix + [0, 0, TERMINATES, 0, TRUNCATES, 0, 0, 0, 0]
    rollout, told = story_of(np.array(ends)[:, None])
    rewards = np.concatenate([np.full(prefix, 1e6), 2.0 ** np.arange(9)]).astype(np.float32)
    rollout = rollout._replace(reward=rewards[:, None])
    replay = Replay(11, n_step=n_step)  # 12 slots: nine transitions, two ends, the newest successor
    held = contents(replay, fill(replay, rollout))
    order = np.argsort(held.action)[-9:]
    np.testing.assert_array_equal(held.action[order], prefix + np.arange(1, 10))
    np.testing.assert_array_equal(held.reward[order], reward)
    np.testing.assert_array_equal(held.discount[order], discount)
    for i, number in enumerate(held.action[order].tolist()):
        assert held.next_obs[order][i, 0] == told[number].obs + steps[i]


def test_no_n_step_return_looks_past_the_newest_transition_at_the_oldest():
    # n_step is longer than the whole ring
    replay = Replay(3, n_step=9)
    rollout = story_of(np.zeros((7, 1), int))[0]._replace(reward=np.ones((7, 1), np.float32))
    held = contents(replay, fill(replay, rollout))
    order = np.argsort(held.action)
    np.testing.assert_array_equal(held.action[order], [5, 6, 7])
    np.testing.assert_array_equal(held.reward[order], [1.75, 1.5, 1.0])
    np.testing.assert_array_equal(held.discount[order], [0.125, 0.25, 0.5])


def short_episodes(n_steps, num_envs=1):
    """Episodes of one to three steps: nearly every second slot holds no transition."""
    return np.random.default_rng(5).choice([0, 1, 2], (n_steps, num_envs), p=[0.4, 0.3, 0.3])


def unequal(n_steps):
    """The first env's episodes have one step, the others' never end."""
    return np.tile([TERMINATES, GOES_ON, GOES_ON], (n_steps, 1))


@pytest.mark.parametrize(
    ("replay", "ends"),
    [
        (Replay(40), short_episodes(100)),
        (Replay(60, 3), short_episodes(70, 3)),
        (Replay(60, 3), short_episodes(7, 3)),
        (Replay(60, 3), unequal(8)),
        (Replay(60, 3), unequal(60)),
    ],
    ids=["one env", "three envs", "not yet full", "unequal", "unequal and full"],
)
def test_every_transition_is_equally_likely(replay, ends):
    ring = fill(replay, story_of(ends)[0])
    batch = sample(replay, ring, jax.random.key(1), (100, 400), 0.9)
    hit = np.asarray(batch.weight) > 0
    np.testing.assert_array_equal(np.asarray(batch.weight)[hit], 1.0)
    np.testing.assert_array_equal(np.asarray(ring.kind[batch.slot]) != NO_TRANSITION, hit)
    held = contents(replay, ring).action
    counts = [np.sum(np.asarray(batch.action)[hit] == number) for number in held]
    assert sum(counts) == hit.sum()
    assert stats.chisquare(counts).pvalue > 1e-4
    # an example is lost where both of its draws miss
    miss = (1 - len(held) / (replay.num_envs * int(ring.filled))) ** 2
    assert abs((~hit).mean() - miss) < 5 * math.sqrt(miss * (1 - miss) / hit.size)


@pytest.mark.parametrize("prioritized", [False, True])
def test_an_empty_ring_yields_examples_that_weigh_nothing(prioritized):
    replay = Replay(10, 2, 3, prioritized)
    batch = sample(replay, replay.init(OBS, ACTION), jax.random.key(0), (3, 8), 0.9)
    np.testing.assert_array_equal(batch.weight, np.zeros((3, 8)))
    assert jnp.isfinite(batch.reward).all()
    assert batch.obs.shape == (3, 8, 2)


@pytest.mark.parametrize("shape", [(), (2, 3, 4)])
@pytest.mark.parametrize("prioritized", [False, True])
def test_a_batch_has_the_leading_axes_that_were_asked_for(shape, prioritized):
    replay = Replay(10, 2, 3, prioritized)
    ring = fill(replay, story_of(short_episodes(9, 2))[0])
    batch = sample(replay, ring, jax.random.key(0), shape, 0.9)
    assert batch.obs.shape == batch.next_obs.shape == (*shape, 2)
    for leaf in (batch.action, batch.reward, batch.discount, batch.weight, batch.slot):
        assert leaf.shape == shape
    assert (batch.slot.dtype, batch.weight.dtype) == (jnp.int32, jnp.float32)


def with_priorities(replay, ring, priority_of):
    """The ring with a priority for every transition, by its number."""
    slots = every_slot(replay)
    weight = (ring.kind != NO_TRANSITION).astype(jnp.float32)
    batch = gather(replay, ring, slots, weight, 0.9)
    priority = np.vectorize(priority_of, otypes=[np.float32])(batch.action)
    return reprioritize(replay, ring, batch, jnp.asarray(priority))


def priorities(replay, ring):
    """By the number of the transition; slots without one must have none."""
    leaves = np.asarray(ring.priorities.levels[-1])[: len(every_slot(replay))]
    held = np.asarray(ring.kind) != NO_TRANSITION
    np.testing.assert_array_equal(leaves[~held], 0.0)
    np.testing.assert_allclose(ring.priorities.total, leaves.sum(), rtol=1e-6)
    return dict(zip(contents(replay, ring).action.tolist(), leaves[held].tolist(), strict=True))


@pytest.mark.parametrize("replay", [Replay(40, prioritized=True), Replay(60, 3, 2, True)])
def test_transitions_are_drawn_in_proportion_to_their_priorities(replay):
    ring = fill(replay, story_of(short_episodes(50, replay.num_envs))[0])
    ring = with_priorities(replay, ring, lambda number: 1 + number % 5)
    batch = sample(replay, ring, jax.random.key(2), (1000, 32), 0.9)
    assert (batch.weight > 0).all()
    held = contents(replay, ring).action
    share = (1 + held % 5) / (1 + held % 5).sum()
    counts = np.array([np.sum(batch.action == number) for number in held])
    assert stats.chisquare(counts, share * 32_000).pvalue > 1e-4
    # Each of B strata gives one example, so that in every single batch a transition occurs its
    # B p times, give or take the two strata at whose edges its share ends
    drawn = np.stack([np.sum(batch.action == number, axis=1) for number in held])
    assert (np.abs(drawn - 32 * share[:, None]) < 2).all()


@pytest.mark.parametrize(
    ("beta", "weights"),
    # priorities 1 2 4 of three: P = 1/7 2/7 4/7, 1 / 3P = 7/3 7/6 7/12, over the largest 1 1/2 1/4
    [(1.0, [1.0, 0.5, 0.25]), (0.5, [1.0, 0.5**0.5, 0.5]), (0.0, [1.0, 1.0, 1.0])],
)
def test_importance_weights_make_up_for_priorities(beta, weights):
    ring = fill(SMALL, story_of([[0], [TERMINATES], [0]])[0])
    ring = with_priorities(SMALL, ring, lambda number: 2.0 ** (number - 1))
    batch = sample(SMALL, ring, jax.random.key(3), (64,), 0.9, beta)
    for number, weight in enumerate(weights, start=1):
        drawn = batch.weight[batch.action == number]
        assert len(drawn) > 0
        np.testing.assert_allclose(drawn, weight, rtol=1e-6)


def test_new_transitions_have_the_highest_priority_so_far():
    replay = Replay(6, 2, prioritized=True)
    rollout = story_of(np.zeros((4, 2), int))[0]
    first, *later = (jax.tree.map(lambda x, t=t: x[t : t + 1], rollout) for t in range(4))
    ring = fill(replay, first)
    assert priorities(replay, ring) == {1: 1.0, 2: 1.0}
    ring = fill(replay, later[0], with_priorities(replay, ring, lambda number: 0.5 * number))
    assert priorities(replay, ring) == {1: 0.5, 2: 1.0, 3: 1.0, 4: 1.0}  # 1 is the first of all
    ring = fill(replay, later[1], with_priorities(replay, ring, lambda number: 5.0 * number))
    assert priorities(replay, ring) == {1: 5.0, 2: 10.0, 3: 15.0, 4: 20.0, 5: 20.0, 6: 20.0}
    # what was once highest stays the measure, and the oldest pair makes room
    ring = fill(replay, later[2], with_priorities(replay, ring, lambda number: 2.0))
    assert priorities(replay, ring) == {3: 2.0, 4: 2.0, 5: 2.0, 6: 2.0, 7: 20.0, 8: 20.0}


@settings(max_examples=15, deadline=None)
@given(streams())
def test_priorities_lie_on_transitions_only(stream):
    replay, ends = Replay(stream[0].capacity, stream[0].num_envs, prioritized=True), stream[1]
    ring = fill(replay, story_of(ends)[0])
    expected = chain(*latest(ends, replay.length))
    assert priorities(replay, ring) == dict.fromkeys(expected, 1.0)


def test_overwritten_slots_are_never_drawn():
    replay = Replay(30, 2, prioritized=True)
    ring = replay.init(OBS, ACTION)
    rollout = story_of(short_episodes(80, 2))[0]
    for t in range(80):
        ring = fill(replay, jax.tree.map(lambda x, t=t: x[t : t + 1], rollout), ring)
        batch = sample(replay, ring, jax.random.key(t), (64,), 0.9)
        ring = reprioritize(replay, ring, batch, batch.action % 7 + 0.1)
        assert (batch.weight > 0).all()
        assert (ring.kind[batch.slot] != NO_TRANSITION).all()
    held = priorities(replay, ring)
    for number, priority in held.items():  # its own, or the highest there was if never drawn
        assert min(abs(priority - number % 7 - 0.1), abs(priority - ring.highest)) < 1e-5


def test_another_priority_changes_what_is_drawn():
    ring = fill(SMALL, story_of(np.zeros((10, 1), int))[0])
    ring = with_priorities(SMALL, ring, lambda number: 100.0 if number == 4 else 0.0)
    batch = sample(SMALL, ring, jax.random.key(0), (64,), 0.9, 1.0)
    np.testing.assert_array_equal(batch.action, 4)
    ring = with_priorities(SMALL, ring, lambda number: 1.0 if number == 7 else 0.0)
    batch = sample(SMALL, ring, jax.random.key(0), (64,), 0.9, 1.0)
    np.testing.assert_array_equal(batch.action, 7)


def test_a_transition_drawn_twice_gets_the_larger_priority_of_the_last_batch():
    ring = fill(SMALL, story_of(np.zeros((3, 1), int))[0])
    batch = gather(SMALL, ring, jnp.array([[0, 1], [1, 1]]), jnp.ones((2, 2)), 0.9)
    ring = reprioritize(SMALL, ring, batch, jnp.array([[7.0, 9.0], [5.0, 3.0]]))
    assert priorities(SMALL, ring) == {1: 7.0, 2: 5.0, 3: 1.0}


def test_examples_that_weigh_nothing_give_no_priority():
    ring = SMALL.init(OBS, ACTION)
    batch = sample(SMALL, ring, jax.random.key(0), (64,), 0.9, 1.0)
    ring = reprioritize(SMALL, ring, batch, jnp.full(64, 9.0))
    assert (ring.priorities.total, ring.highest) == (0.0, 1.0)


def test_a_ring_without_priorities_ignores_new_ones():
    replay = Replay(5)
    ring = fill(replay, story_of([[0], [0]])[0])
    slots = every_slot(replay)
    batch = gather(replay, ring, slots, jnp.ones(len(slots)), 0.5)
    for one, other in zip(ring, reprioritize(replay, ring, batch, batch.reward), strict=True):
        assert (one is None and other is None) or (one == other).all()


@pytest.mark.parametrize("prioritized", [False, True])
def test_equal_keys_draw_the_same_batch_and_others_do_not(prioritized):
    replay = Replay(100, 2, prioritized=prioritized)
    ring = fill(replay, story_of(np.zeros((50, 2), int))[0])
    one, same, other = (
        sample(replay, ring, jax.random.key(seed), (73,), 0.9) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.action, same.action)
    # uniform draws agree one time in a hundred; a stratum holds more than one transition, not two
    assert (one.action == other.action).mean() < (0.8 if prioritized else 0.1)


def test_two_rings_side_by_side_equal_two_rings():
    replay = Replay(12, 2, 3, prioritized=True)
    rollouts = [story_of(short_episodes(n, 2)[-15:])[0] for n in (15, 40)]
    keys = jax.random.split(jax.random.key(0), 2)

    def history(rollout, key):
        ring = Replay.insert(replay, replay.init(OBS, ACTION), rollout)
        batch = Replay.sample(replay, ring, key, (4, 8), 0.9, 0.5)
        ring = Replay.reprioritize(replay, ring, batch, batch.action % 3 + 0.5)
        return ring, Replay.sample(replay, ring, key, (16,), 0.9, 0.5)

    rollouts = [jax.tree.map(jnp.asarray, rollout) for rollout in rollouts]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *rollouts)
    together, one = jax.jit(jax.vmap(history))(stacked, keys), jax.jit(history)
    for i, rollout in enumerate(rollouts):
        alone = jax.tree.leaves(one(rollout, keys[i]))
        for mine, other in zip(jax.tree.leaves(together), alone, strict=True):
            np.testing.assert_allclose(mine[i], other, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(streams())
def test_the_ring_in_the_hosts_memory_is_the_same_ring(stream):
    device = Replay(stream[0].capacity, stream[0].num_envs, n_step=3)
    host = HostReplay(device.capacity, device.num_envs, n_step=3)
    rollout = story_of(stream[1])[0]
    ring, same = host.insert(host.init(OBS, ACTION), rollout), fill(device, rollout)
    everything = (np.arange(len(ring.kind), dtype=np.int32), np.ones(len(ring.kind), np.float32))
    ours = host.gather(ring, *everything, 0.9), ring
    theirs = gather(device, same, *map(jnp.asarray, everything), 0.9), same
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert isinstance(one, np.ndarray | np.generic)
        np.testing.assert_allclose(one, other, rtol=1e-6)
    for one, other in zip(ours[0], theirs[0], strict=True):
        assert one.dtype == other.dtype


def test_a_host_writes_in_place_and_draws_every_transition_equally_often():
    replay = HostReplay(60, 3)
    empty = replay.init(OBS, ACTION)
    ring = replay.insert(empty, story_of(unequal(60))[0])
    assert ring.obs is empty.obs
    one, same, other = (
        replay.sample(ring, np.asarray(jax.random.key_data(jax.random.key(seed))), (9, 4000), 0.9)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.slot, same.slot)
    assert (one.slot != other.slot).mean() > 0.9
    np.testing.assert_array_equal(one.weight, ring.kind[one.slot] != NO_TRANSITION)
    counts = [np.sum(one.action == number) for number in contents(replay, ring).action]
    assert stats.chisquare(counts).pvalue > 1e-4


def test_the_configs_numbers_may_be_traced():
    replay = Replay(12, n_step=3, prioritized=True)
    ring = fill(replay, story_of(short_episodes(9))[0])
    ring = with_priorities(replay, ring, lambda number: number)
    plain = sample(replay, ring, jax.random.key(0), (8,), 0.9, 0.4)
    draw = jax.vmap(partial(Replay.sample, replay, ring, jax.random.key(0), (8,)))
    traced = jax.jit(draw)(jnp.array([0.5, 0.9]), jnp.array([1.0, 0.4]))
    np.testing.assert_allclose(traced.reward[1], plain.reward, rtol=1e-6)
    np.testing.assert_allclose(traced.weight[1], plain.weight, rtol=1e-6)


@pytest.mark.parametrize("replay", [Replay(1), Replay(100, 3, 2), Replay(1100, 2, 1, True)])
@pytest.mark.parametrize("obs_space", [OBS, EVERY_DTYPE])
def test_the_size_reported_is_the_size_taken(replay, obs_space):
    ring = replay.init(obs_space, TWO_PARTS)
    assert replay.nbytes(obs_space, TWO_PARTS) == sum(x.nbytes for x in jax.tree.leaves(ring))


def test_a_picture_is_stored_once_and_not_once_more_as_a_successor():
    picture, n_slots = Image(8, 8, 4), 1001
    rest = n_slots * (4 + 4 + 1) + 3 * 4  # action, reward, kind; cursor, filled, highest
    assert Replay(1000).nbytes(picture, Discrete(3)) == n_slots * 8 * 8 * 4 + rest


def compiled_loop(num_envs, n_steps, prioritized):
    """Write, draw and set priorities in a loop whose ring is donated, as training does."""
    replay = Replay(30_000, num_envs, 3, prioritized)

    def body(i, carry):
        ring, sums, rollout = carry
        ring = replay.insert(ring, rollout._replace(reward=rollout.reward + sums))
        batch = replay.sample(ring, jax.random.fold_in(jax.random.key(0), i), (2, 8), 0.9, 0.4)
        ring = replay.reprioritize(ring, batch, jnp.abs(batch.reward) + 1.0)
        read = (batch.obs, batch.next_obs, batch.action, batch.reward, batch.weight)
        return ring, sums + sum(x.sum() for x in read), rollout

    def loop(ring, rollout, n):
        return jax.lax.fori_loop(0, n, body, (ring, jnp.float32(0.0), rollout))[:2]

    rollout = jax.tree.map(jnp.asarray, story_of(np.zeros((n_steps, num_envs), int))[0])
    ring = jax.eval_shape(partial(replay.init, OBS, ACTION))
    compiled = jax.jit(loop, donate_argnums=0).lower(ring, rollout, 5).compile()
    return replay, compiled


@pytest.mark.parametrize(("num_envs", "n_steps"), [(1, 1), (10, 1), (1, 4)])
@pytest.mark.parametrize("prioritized", [False, True])
def test_writing_and_drawing_never_copies_the_ring(num_envs, n_steps, prioritized):
    replay, compiled = compiled_loop(num_envs, n_steps, prioritized)
    copied = re.findall(r"= \(?\w+\[([\d,]*)\]\S* copy(?:-start)?\(", compiled.as_text())
    sizes = [math.prod(map(int, filter(None, shape.split(",")))) for shape in copied]
    assert max(sizes, default=0) < replay.capacity // 10
    # nor is there room for one
    assert compiled.memory_analysis().temp_size_in_bytes < replay.nbytes(OBS, ACTION) / 20
