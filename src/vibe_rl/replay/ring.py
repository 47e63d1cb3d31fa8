"""Replay: the latest transitions of every env, on the device or in the host's memory.

Each env has a ring of slots of its own. Writing a transition fills the env's current slot and puts
the successor's observation, always the true one, into the next; there the following transition
begins, unless the episode is over: then that slot stays an observation only. So no observation is
stored twice, and what follows slot i is always in slot i + 1. An episode's end costs one slot.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.ops.returns import n_step_return
from vibe_rl.replay import sum_tree
from vibe_rl.replay.sum_tree import SumTree
from vibe_rl.spaces import Space
from vibe_rl.types import AnyArray, Key, Number, PyTree, Transition

NO_TRANSITION, GOES_ON, TERMINATED, TRUNCATED = range(4)
"""What a slot holds: an observation at most, or a transition after which the episode ..."""


AnyKey = Any
"""A key, or for a ring in the host's memory a key's data."""


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


class Batch(NamedTuple):
    """Examples drawn from a ring; leaves have the leading axes that were asked for."""

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
        return jnp.where(found, x, 0.0).sum(-1) / jnp.maximum(found.sum(-1), 1)


@dataclass(frozen=True)
class Replay:
    """A ring on the device: inserting costs as much as what is new, sampling as much as a batch.

    Without priorities every transition is equally likely, and drawn with replacement. With them the
    probability is in proportion to the priority, one example from each of B equal shares of the
    total (Schaul et al. 2016, arXiv:1511.05952), where B is the last axis asked for, and new
    transitions have the highest one so far.
    """

    capacity: int  # transitions over all envs; an episode's end takes the room of one
    num_envs: int = 1
    n_step: int = 1
    prioritized: bool = False
    xp: ClassVar[Any] = jnp  # whose arrays the ring is made of

    @property
    def length(self) -> int:
        """C, the slots of each env: one more than transitions, for the newest successor."""
        return -(-self.capacity // self.num_envs) + 1

    def init(self, obs_space: Space, action_space: Space) -> Ring:
        """An empty ring for members of these spaces."""
        n_slots, xp = self.num_envs * self.length, self.xp

        def zeros(space: Space) -> PyTree:
            example = jax.eval_shape(space.sample, jax.random.key(0))
            return jax.tree.map(lambda x: xp.zeros((n_slots, *x.shape), x.dtype), example)

        return Ring(
            obs=zeros(obs_space),
            action=zeros(action_space),
            reward=xp.zeros(n_slots, np.float32),
            kind=xp.zeros(n_slots, np.uint8),
            cursor=xp.zeros(self.num_envs, np.int32),
            filled=xp.zeros((), np.int32),
            priorities=sum_tree.init(n_slots) if self.prioritized else None,
            highest=xp.ones((), np.float32),
        )

    def insert(self, ring: Ring, rollout: Transition) -> Ring:
        """The ring with a rollout `[T, N, ...]` written over its oldest transitions."""
        lean = rollout._replace(extras=None)
        return jax.lax.scan(lambda ring, step: (self._write(ring, step), None), ring, lean)[0]

    def _write(self, ring: Ring, step: Transition) -> Ring:
        first = np.arange(self.num_envs, dtype=np.int32) * self.length
        here, following = first + ring.cursor, first + (ring.cursor + 1) % self.length
        both = self.xp.concatenate([here, following])  # written at once: see `put`
        done = step.terminated | step.truncated
        ending = self.xp.where(done, TRUNCATED, GOES_ON)
        kind = self.xp.where(step.terminated, TERMINATED, ending).astype(np.uint8)
        write = partial(put, self.xp, both)
        return ring._replace(
            obs=jax.tree.map(write, ring.obs, step.obs, step.next_obs),
            action=jax.tree.map(write, ring.action, step.action),
            reward=write(ring.reward, step.reward),
            kind=write(ring.kind, kind),
            cursor=(ring.cursor + 1 + done) % self.length,
            filled=self._filled(ring),
            priorities=self._prioritize_new(ring, both),
        )

    def fill(self, ring: Ring) -> AnyArray:
        """The share of the slots that may hold something, float32."""
        return (ring.filled / self.length).astype(np.float32)

    def _filled(self, ring: Ring) -> AnyArray:
        now = self.xp.maximum(ring.filled, ring.cursor.max() + 2)
        return self.xp.minimum(now, self.length).astype(np.int32)

    def _prioritize_new(self, ring: Ring, both: AnyArray) -> SumTree | None:
        if ring.priorities is None:
            return None
        new = jnp.repeat(jnp.stack([ring.highest, jnp.float32(0.0)]), self.num_envs)
        return sum_tree.change(ring.priorities, both, new)

    def sample(
        self, ring: Ring, key: AnyKey, shape: tuple[int, ...], gamma: Number, beta: Number = 1.0
    ) -> Batch:
        """Examples with leading axes `shape`, weighted to make up for priorities to the power beta.

        A draw that hits a slot without a transition is repeated once; if it misses again, the
        example weighs nothing, so that all transitions keep the same chance.
        """
        if ring.priorities is None:
            slot, weight = self._draw(ring, key, shape)
        else:
            slot, weight = self._draw_by_priority(ring, key, shape, beta)
        return self.gather(ring, slot, weight, gamma)

    def _draw(self, ring: Ring, key: AnyKey, shape: tuple[int, ...]) -> tuple[AnyArray, AnyArray]:
        drawn = self._integers(key, (2, *shape), self.num_envs * ring.filled)
        slot = drawn % self.num_envs * self.length + drawn // self.num_envs
        hit = ring.kind[slot] != NO_TRANSITION
        return self.xp.where(hit[0], slot[0], slot[1]), hit.any(0).astype(np.float32)

    def _integers(self, key: Key, shape: tuple[int, ...], end: AnyArray) -> AnyArray:
        return jax.random.randint(key, shape, 0, end)

    def _draw_by_priority(
        self, ring: Ring, key: Key, shape: tuple[int, ...], beta: Number
    ) -> tuple[AnyArray, AnyArray]:
        assert ring.priorities is not None
        n, batch = math.prod(shape), math.prod(shape[-1:])
        share = (jnp.arange(n) % batch + jax.random.uniform(key, (n,))) / batch
        slot = sum_tree.find(ring.priorities, share * ring.priorities.total)
        slot = jnp.minimum(slot, self.num_envs * self.length - 1)
        probability = ring.priorities.levels[-1][slot] / ring.priorities.total
        hit = probability > 0.0
        least = self.least_of_all(jnp.where(hit, probability, jnp.inf).min())
        weight = jnp.where(hit, (least / jnp.where(hit, probability, 1.0)) ** beta, 0.0)
        return slot.reshape(shape), weight.reshape(shape)

    def least_of_all(self, least: AnyArray) -> AnyArray:
        """The least probability of what was drawn, of which weights are fractions."""
        return least

    def gather(self, ring: Ring, slot: AnyArray, weight: AnyArray, gamma: Number) -> Batch:
        """The transitions that begin in these slots, with `n_step` rewards summed."""
        first = slot // self.length * self.length

        def later(k: int | AnyArray) -> AnyArray:
            return first + (slot - first + k) % self.length

        window = [slot, *(later(k) for k in range(1, self.n_step))]
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

    def reprioritize(self, ring: Ring, batch: Batch, priority: AnyArray) -> Ring:
        """The ring with the priorities of a batch's transitions replaced, if it has any."""
        if ring.priorities is None:
            return ring
        priority = jnp.where(batch.weight > 0, priority, 0.0)
        n = batch.slot.shape[-1]
        # batch after batch, so that the last one counts where a transition occurs in several
        priorities, _ = jax.lax.scan(
            lambda tree, one: (sum_tree.change(tree, *one), None),
            ring.priorities,
            (batch.slot.reshape(-1, n), priority.reshape(-1, n)),
        )
        highest = jnp.maximum(ring.highest, priority.max())
        return ring._replace(priorities=priorities, highest=highest)

    def nbytes(self, obs_space: Space, action_space: Space) -> int:
        """What a ring for members of these spaces takes, in bytes."""
        ring = Replay(self.capacity, self.num_envs, self.n_step, self.prioritized)
        shapes = jax.tree.leaves(jax.eval_shape(partial(ring.init, obs_space, action_space)))
        return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in shapes)


@dataclass(frozen=True)
class HostReplay(Replay):
    """The same ring in the host's memory, for buffers larger than the device's.

    Its arrays are NumPy's and written in place; `insert` and `sample` run outside `jit`. Sampling
    is uniform only, and as reproducible: `sample` seeds its generator with the key's data.
    """

    xp: ClassVar[Any] = np

    def insert(self, ring: Ring, rollout: Transition) -> Ring:
        """The ring with a rollout `[T, N, ...]` written over its oldest transitions, in place."""
        lean = rollout._replace(extras=None)
        for t in range(rollout.reward.shape[0]):
            ring = self._write(ring, jax.tree.map(lambda x, t=t: x[t], lean))
        return ring

    def _integers(self, key: Any, shape: tuple[int, ...], end: Any) -> Any:
        high, low = map(int, np.asarray(key))
        generator = np.random.Generator(np.random.Philox(key=(high << 32) | low))
        return generator.integers(0, max(end, 1), shape, np.int32)


def put(
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
