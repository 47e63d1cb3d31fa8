"""Replay: the latest transitions of every env, on the device or in the host's memory.

Each env has a ring of slots of its own. Writing a transition fills the env's current slot and puts
the successor's observation, always the true one, into the next; there the following transition
begins, unless the episode is over: then that slot stays an observation only. So no observation is
stored twice, and what follows slot i is always in slot i + 1. An episode's end costs one slot.

Functions here take `xp`, the module whose arrays the ring is made of: `jax.numpy`, or `numpy` for a
ring in the host's memory, which is written in place.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.ops.returns import n_step_return
from vibe_rl.replay import sum_tree
from vibe_rl.replay.sum_tree import SumTree
from vibe_rl.spaces import Space
from vibe_rl.types import AnyArray, Number, PyTree, Transition

NO_TRANSITION, GOES_ON, TERMINATED, TRUNCATED = range(4)
"""What a slot holds: an observation at most, or a transition after which the episode ..."""


class Ring(NamedTuple):
    """C slots for each of N envs, one env after another, in their native dtypes."""

    obs: PyTree  # [N * C, ...]
    action: PyTree  # [N * C, ...]
    reward: AnyArray  # float32 [N * C]
    kind: AnyArray  # uint8 [N * C], see NO_TRANSITION
    cursor: AnyArray  # int32 [N], each env's place in its own slots: where the next one begins
    filled: AnyArray  # int32, slots of every env that may hold something
    priorities: SumTree | None  # of the slots; None: all are alike
    highest: AnyArray  # float32, the highest priority so far

    @property
    def num_envs(self) -> int:
        """N."""
        return self.cursor.shape[0]

    @property
    def length(self) -> int:
        """C, the slots of each env."""
        return self.reward.shape[0] // self.num_envs


class Batch(NamedTuple):
    """Examples drawn from a ring, with any leading axes."""

    obs: PyTree
    action: PyTree
    reward: AnyArray  # the discounted sum of n_step rewards, fewer where the episode ends
    discount: AnyArray  # of the value of next_obs: gamma^n, 0 after termination
    next_obs: PyTree  # n_step steps after obs, or the last of the episode
    weight: AnyArray  # of the example's loss; 0 where no transition was found
    slot: AnyArray  # int32

    def mean(self, x: AnyArray) -> AnyArray:
        """Over the examples `[..., B]` that were found."""
        found = self.weight > 0.0
        return jnp.where(found, x, 0.0).sum(-1) / jnp.maximum(found.sum(-1, dtype=jnp.int32), 1)


def empty_ring(
    xp: Any,
    num_envs: int,
    length: int,
    obs_space: Space,
    action_space: Space,
    priorities: SumTree | None = None,
) -> Ring:
    """A ring without transitions, for members of these spaces."""
    n_slots = num_envs * length

    def zeros(space: Space) -> PyTree:
        example = jax.eval_shape(space.sample, jax.random.key(0))
        return jax.tree.map(lambda x: xp.zeros((n_slots, *x.shape), x.dtype), example)

    return Ring(
        obs=zeros(obs_space),
        action=zeros(action_space),
        reward=xp.zeros(n_slots, np.float32),
        kind=xp.zeros(n_slots, np.uint8),
        cursor=xp.zeros(num_envs, np.int32),
        filled=xp.zeros((), np.int32),
        priorities=priorities,
        highest=xp.ones((), np.float32),
    )


def write(xp: Any, ring: Ring, step: Transition) -> Ring:
    """The ring with one step `[N, ...]` of every env written over its oldest transitions."""
    first = np.arange(ring.num_envs, dtype=np.int32) * ring.length
    here, following = first + ring.cursor, first + (ring.cursor + 1) % ring.length
    both = xp.concatenate([here, following])  # written at once: see `_put`
    done = step.terminated | step.truncated
    ending = xp.where(done, np.int32(TRUNCATED), np.int32(GOES_ON))
    kind = xp.where(step.terminated, np.int32(TERMINATED), ending).astype(np.uint8)
    into = partial(_put, xp, both)
    return ring._replace(
        obs=jax.tree.map(into, ring.obs, step.obs, step.next_obs),
        action=jax.tree.map(into, ring.action, step.action),
        reward=into(ring.reward, step.reward),
        kind=into(ring.kind, kind),
        cursor=(ring.cursor + 1 + done) % ring.length,
        filled=_filled(xp, ring),
        priorities=_with_new(ring, both),
    )


def _filled(xp: Any, ring: Ring) -> AnyArray:
    now = xp.maximum(ring.filled, ring.cursor.max() + 2)
    return xp.minimum(now, ring.length).astype(np.int32)


def _with_new(ring: Ring, both: AnyArray) -> SumTree | None:
    if ring.priorities is None:
        return None
    new = jnp.repeat(jnp.stack([ring.highest, jnp.float32(0.0)]), ring.num_envs)
    return sum_tree.change(ring.priorities, both, new)


def _put(
    xp: Any, slots: AnyArray, array: AnyArray, new: AnyArray, following: AnyArray | None = None
) -> AnyArray:
    """`array` with `new` in the first half of `slots` and `following`, or zeros, in the second.

    In place: NumPy's arrays here, and XLA's as it compiles a scatter into two slots of an env. A
    write into one would become a slice, which XLA fuses into the reads of the sample that follows,
    at the price of a copy of the ring.
    """
    values = xp.concatenate([new, xp.zeros_like(new) if following is None else following])
    if xp is np:
        array[slots] = values
        return array
    return array.at[slots].set(values, mode="promise_in_bounds", unique_indices=True)


def slots_of(xp: Any, ring: Ring, drawn: AnyArray) -> tuple[AnyArray, AnyArray]:
    """A slot for each pair of draws `[2, ...]` from 0 .. N * filled - 1, and its weight.

    A draw that hits a slot without a transition is repeated once; if it misses again, the example
    weighs nothing, so that all transitions keep the same chance.
    """
    slot = drawn % ring.num_envs * ring.length + drawn // ring.num_envs
    hit = ring.kind[slot] != NO_TRANSITION
    return xp.where(hit[0], slot[0], slot[1]), hit.any(0).astype(np.float32)


def gather(ring: Ring, slot: AnyArray, weight: AnyArray, n_step: int, gamma: Number) -> Batch:
    """The transitions that begin in these slots, with `n_step` rewards summed."""
    first = slot // ring.length * ring.length

    def later(k: int | AnyArray) -> AnyArray:
        return first + (slot - first + k) % ring.length

    window = [slot, *(later(k) for k in range(1, n_step))]
    kinds = [ring.kind[each] for each in window]
    reward, discount, length = n_step_return(
        [ring.reward[each] for each in window],
        [kind == TERMINATED for kind in kinds],
        [kind != NO_TRANSITION for kind in kinds],
        [kind == GOES_ON for kind in kinds],
        gamma,
    )
    after = later(length)
    return Batch(
        obs=jax.tree.map(lambda x: x[slot], ring.obs),
        action=jax.tree.map(lambda x: x[slot], ring.action),
        reward=reward.astype(np.float32),
        discount=discount.astype(np.float32),
        next_obs=jax.tree.map(lambda x: x[after], ring.obs),
        weight=weight,
        slot=slot,
    )
