"""A ring in parts holds and gives what rings of single parts would."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.replay import Replay
from vibe_rl.replay.ring import NO_TRANSITION
from vibe_rl.replay.sharded import ShardedReplay
from vibe_rl.spaces import Box, Discrete
from vibe_rl.types import Transition

OBS, ACTION = Box(-1e6, 1e6, (1,)), Discrete(3)
N, T = 4, 30


def rollout(seed=0):
    rng = np.random.default_rng(seed)
    number = np.arange(T * N, dtype=np.float32).reshape(T, N)
    done = rng.random((T, N)) < 0.2
    return Transition(
        obs=jnp.asarray(number)[..., None],
        action=jnp.asarray(rng.integers(0, 3, (T, N)), jnp.int32),
        reward=jnp.asarray(number),
        terminated=jnp.asarray(done),
        truncated=jnp.zeros((T, N), bool),
        next_obs=jnp.asarray(number)[..., None] + N,
        extras=None,
    )


def inserted(replay):
    """A ring that holds the rollout."""
    return jax.jit(lambda rollout: replay.insert(replay.init(OBS, ACTION), rollout))(rollout())


@cache
def filled(n_shards, **how):
    replay = ShardedReplay(40, N, n_shards=n_shards, **how)
    return replay, inserted(replay)


def sample(replay, ring, seed, shape, *beta):
    """A batch with gamma 0.9."""
    draw = jax.jit(lambda ring, key: replay.sample(ring, key, shape, 0.9, *beta))
    return draw(ring, jax.random.key(seed))


@pytest.mark.parametrize("n_shards", [1, 2, 4])
def test_the_ring_is_the_same_array_whatever_the_number_of_parts(n_shards):
    expected = inserted(Replay(40, N))
    _, ring = filled(n_shards)
    for a, b in zip(jax.tree.leaves(ring), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("prioritized", [False, True])
def test_each_part_gives_an_equal_share_of_a_batch_of_its_own_envs(prioritized):
    replay, ring = filled(2, prioritized=prioritized)
    batch = sample(replay, ring, 1, (3, 8))
    env = batch.obs[..., 0].astype(int) % N
    assert batch.obs.shape == (3, 8, 1)
    assert (env[:, :4] < 2).all()
    assert (env[:, 4:] >= 2).all()
    found = np.asarray(batch.weight) > 0
    np.testing.assert_array_equal(
        np.asarray(batch.next_obs)[found], np.asarray(batch.obs)[found] + N
    )
    np.testing.assert_array_equal(
        np.asarray(batch.reward)[found], np.asarray(batch.obs)[found][:, 0]
    )


def test_weights_make_up_for_priorities_across_parts():
    """With beta 1, an example's weight times its chance is the same for all, in every part."""
    replay, ring = filled(2, prioritized=True)
    first = sample(replay, ring, 0, (1, 64))
    ring = jax.jit(replay.reprioritize)(ring, first, 1.0 + first.obs[..., 0])
    batch = sample(replay, ring, 2, (1, 64), 1.0)
    part = jnp.where(batch.obs[0, :, 0].astype(int) % N < 2, 0, 1)
    trees = replay._parts(ring).priorities
    leaves = trees.levels[-1]
    priority = leaves[part, batch.slot[0]]
    chance = priority / leaves.sum(-1)[part]
    assert float(batch.weight.max()) == pytest.approx(1.0)
    products = np.asarray(batch.weight[0] * chance)
    np.testing.assert_allclose(products, products[0], rtol=1e-5)
    assert len(np.unique(np.asarray(priority))) > 10


def test_priorities_reach_the_slots_they_were_drawn_from():
    replay, ring = filled(2, prioritized=True)
    batch = sample(replay, ring, 0, (2, 8))
    ring = jax.jit(replay.reprioritize)(ring, batch, 100.0 + batch.obs[..., 0])
    parts = replay._parts(ring)
    for shard in range(2):
        slots = batch.slot[:, 4 * shard : 4 * shard + 4]
        obs = batch.obs[:, 4 * shard : 4 * shard + 4, 0]
        np.testing.assert_array_equal(parts.priorities.levels[-1][shard][slots], 100.0 + obs)
    assert float(ring.highest) == 100.0 + float(batch.obs.max())


def test_every_transition_can_be_drawn():
    replay, ring = filled(4)
    batch = sample(replay, ring, 3, (200, 8))
    seen = set(np.asarray(batch.obs)[np.asarray(batch.weight) > 0].ravel().tolist())
    held = np.asarray(ring.obs)[np.asarray(ring.kind) != NO_TRANSITION].ravel()
    assert seen == set(held.tolist())


def test_its_size_is_that_of_one_ring():
    assert ShardedReplay(40, N, n_shards=2).nbytes(OBS, ACTION) == Replay(40, N).nbytes(OBS, ACTION)
    assert replace(filled(2)[0], n_shards=4).part.length == Replay(40, N).length
