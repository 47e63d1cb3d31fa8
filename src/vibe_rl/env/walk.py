"""A walk through scenarios: every episode takes the next one, and none comes twice in an epoch.

The order of an epoch is a permutation that is never written down: where a position lies in it is
computed when it is asked for, from a seed, by swap-or-not (Hoang, Morris and Rogaway 2012,
doi:10.1007/978-3-642-32009-5_1), a sequence of rounds in each of which half of all pairs change
places. So a walk through any number of scenarios needs no memory but a counter.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.base import Environment, Step
from vibe_rl.env.wrappers import Wrapper
from vibe_rl.errors import ConfigError, whole_number
from vibe_rl.types import Key, PyTree

ROUNDS = 32
"""After which a permutation of some thousand looks random."""
MOST = 2**24
"""Scenarios; a float32 counts no further."""
GOLDEN = 0x9E3779B9
"""2^32 over the golden ratio: its multiples are spread evenly."""


def _mixed(x: Array) -> Array:
    """A uint32 in which every bit of `x` has a say (Mueller's finaliser of 32 bits)."""
    x = (x ^ (x >> 16)) * np.uint32(0x45D9F3B)
    x = (x ^ (x >> 16)) * np.uint32(0x45D9F3B)
    return x ^ (x >> 16)


def shuffled(position: Any, n: int, seed: Any) -> Array:
    """Which of 0 .. n - 1 lies at a position of the permutation with this seed; int32.

    Args:
        position: int32 from 0 to n - 1.
        n: at most `MOST`.
        seed: uint32.
    """
    x, seed = jnp.asarray(position, jnp.int32), jnp.asarray(seed, jnp.uint32)
    for i in range(1, ROUNDS + 1):
        number = _mixed(seed + np.uint32(i * GOLDEN % 2**32))
        shift = ((number >> 8).astype(jnp.float32) * np.float32(n / 2**24)).astype(jnp.int32)
        partner = jnp.minimum(shift, n - 1) - x
        partner = jnp.where(partner < 0, partner + n, partner)
        pair = jnp.maximum(x, partner).astype(jnp.uint32)  # the same for both of them
        swap = _mixed(number ^ _mixed(pair + np.uint32(GOLDEN))) & 1
        x = jnp.where(swap == 1, partner, x)
    return x


def entry_at(turn: Any, n: int, seed: Any, shuffle: bool = True) -> Array:
    """The entry of a turn, counted from 0 through all epochs of `n` turns; int32."""
    turn = jnp.asarray(turn, jnp.int32)
    epoch, position = turn // n, turn % n
    if not shuffle:
        return position
    return shuffled(
        position, n, _mixed(jnp.asarray(seed, jnp.uint32) + _mixed(epoch.astype(jnp.uint32)))
    )


class WalkParams(NamedTuple):
    """The constants below, and which of several walkers an env is."""

    inner: PyTree
    seed: Any = np.uint32(0)
    walker: Any = np.int32(0)  # [num_envs], from 0
    walkers: Any = np.int32(1)  # who share a walk and take its turns in turn


class WalkState(NamedTuple):
    """The state below, and the turn of the next episode."""

    inner: PyTree
    turn: Array  # int32


@dataclass(frozen=True)
class WalkWrapper(Wrapper):
    """Gives every episode the next entry of a bank; goes around `AutoResetWrapper`.

    The entry is written into a leaf of the params below, of which an env reads at a reset which
    scenario to begin. Where that is not negative already, as in evaluations, it stays as it is.
    """

    leaf: str  # the field of the params below
    n: int  # entries
    shuffle: bool = True  # another order in each epoch; else they follow each other

    def __post_init__(self):
        object.__setattr__(self, "n", whole_number("n", self.n, of="a walk"))
        if not 1 <= self.n <= MOST:
            raise ConfigError(f"n {self.n} of a walk: give 1 to {MOST:,} entries.")

    def inner_params(self, params: WalkParams) -> PyTree:
        """Without the walk."""
        return params.inner

    def with_inner_params(self, params: WalkParams, inner: PyTree) -> WalkParams:
        """The same walk."""
        return params._replace(inner=inner)

    def inner_state(self, state: WalkState) -> PyTree:
        """Without the turn."""
        return state.inner

    def default_params(self) -> WalkParams:
        """Those of `env`, and one walker."""
        inner = self.env.default_params()
        if not hasattr(inner, self.leaf) or jnp.ndim(getattr(inner, self.leaf)):
            raise ConfigError(
                f"{type(inner).__name__} has no number {self.leaf} for a walk to write to: name "
                "the field that says which scenario an episode takes."
            )
        return WalkParams(inner)

    def reset(self, key: Key, params: WalkParams) -> tuple[PyTree, WalkState]:
        """A reset of `env` at the walker's first turn."""
        turn = jnp.asarray(params.walker, jnp.int32)
        obs, inner = self.env.reset(key, self._at(turn, params))
        return obs, WalkState(inner, turn + params.walkers)

    def step(self, key: Key, state: WalkState, action: PyTree, params: WalkParams) -> Step:
        """One step of `env`; if it resets itself, at the next turn."""
        step = self.env.step(key, state.inner, action, self._at(state.turn, params))
        done = step.terminated | step.truncated
        turn = jnp.where(done, state.turn + params.walkers, state.turn)
        return step._replace(state=WalkState(step.state, turn))

    def _at(self, turn: Array, params: WalkParams) -> PyTree:
        """The params below, with the entry of a turn."""
        entry = entry_at(turn, self.n, params.seed, self.shuffle)
        given = jnp.asarray(getattr(params.inner, self.leaf))
        entry = jnp.where(given < 0, entry.astype(given.dtype), given)
        return params.inner._replace(**{self.leaf: entry})


def walking(
    env: Environment,
    env_params: PyTree,
    leaf: str,
    n: int,
    num_envs: int,
    seed: int = 0,
) -> tuple[WalkWrapper, WalkParams]:
    """An env whose copies share one walk through a bank, in another order in each epoch.

    Args:
        env: resets itself.
        env_params: its constants, a bank among them.
        leaf: the field of its params that says which entry an episode takes; negative, any.
        n: entries of the bank.
        num_envs: how many walk.
        seed: of the orders.
    """
    walkers = np.arange(num_envs, dtype=np.int32), np.int32(num_envs)
    return WalkWrapper(env, leaf, n), WalkParams(env_params, np.uint32(seed), *walkers)
