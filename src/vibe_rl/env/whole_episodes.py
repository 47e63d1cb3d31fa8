"""Rollouts of whole episodes: each env plays one, and waits for the next rollout."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from vibe_rl.env.base import Step
from vibe_rl.env.wrappers import Wrapper, select
from vibe_rl.types import Key, PyTree


class WholeEpisodesState(NamedTuple):
    """The state below, and how far the rollout is."""

    inner: PyTree  # of the next episode, while waiting
    obs: PyTree  # to act on next
    waiting: Array  # bool, whether this rollout's episode has ended
    time: Array  # int32, env steps of the rollout


@dataclass(frozen=True)
class WholeEpisodesWrapper(Wrapper):
    """Begins an episode with each rollout, and plays no second one; goes outside all others.

    An episode that is longer than the rollout is truncated. A step while waiting changes nothing,
    is rewarded with 0 and ends nothing; `first_episodes` says which steps were of an episode. The
    step metrics of `env` are left out, for their means would be over both.
    """

    n_steps: int  # of a rollout

    def inner_state(self, state: WholeEpisodesState) -> PyTree:
        """Without the clock of the rollout."""
        return state.inner

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, WholeEpisodesState]:
        """A reset of `env`, at the beginning of a rollout."""
        obs, inner = super().reset(key, params)
        return obs, WholeEpisodesState(inner, obs, jnp.array(False), jnp.zeros((), jnp.int32))

    def step(self, key: Key, state: WholeEpisodesState, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, unless its episode has ended in this rollout."""
        key, reset_key = jax.random.split(key)
        after = super().step(key, state.inner, action, params)
        fresh = self.env.reset(reset_key, self.inner_params(params))
        waiting, last = state.waiting, state.time + 1 >= self.n_steps
        done = after.terminated | after.truncated
        truncated = (after.truncated | (last & ~done)) & ~waiting
        obs, inner = select(last & ~done, fresh, (after.obs, after.state))
        obs, inner = select(waiting, (state.obs, state.inner), (obs, inner))
        info = {name: value for name, value in after.info.items() if name != "metrics"}
        info["final_obs"] = select(waiting, state.obs, after.info["final_obs"])
        time = jnp.where(last, 0, state.time + 1)
        return Step(
            obs=obs,
            state=WholeEpisodesState(inner, obs, (waiting | done) & ~last, time),
            reward=jnp.where(waiting, 0.0, after.reward),
            terminated=after.terminated & ~waiting,
            truncated=truncated,
            info=info,
        )


def first_episodes(done: Bool[Array, " T *N"]) -> Bool[Array, " T *N"]:
    """The steps of each env's first episode in a rollout, its last step included."""
    return jnp.cumsum(done, axis=0) - done == 0
