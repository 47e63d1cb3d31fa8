"""Borders in time at which all episodes are cut, because another world begins."""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.env.base import Step
from vibe_rl.env.wrappers import Wrapper
from vibe_rl.types import Key, PyTree


class BorderState(NamedTuple):
    """The state below, and how far the border is."""

    inner: PyTree
    time: Array  # int32, env steps since the border before


@dataclass(frozen=True)
class BorderWrapper(Wrapper):
    """Truncates every episode under way after each `n_steps` steps; goes outside all others.

    It resets nothing: whoever runs the env does, with the params that begin at the border. An
    episode that is cut so is no finished one: its `info["episode_length"]` is 0.
    """

    n_steps: int  # between two borders

    def inner_state(self, state: BorderState) -> PyTree:
        """Without the clock."""
        return state.inner

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, BorderState]:
        """A reset of `env` at a border."""
        obs, inner = super().reset(key, params)
        return obs, BorderState(inner, jnp.zeros((), jnp.int32))

    def step(self, key: Key, state: BorderState, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, truncated if it ends at a border."""
        step = super().step(key, state.inner, action, params)
        last = state.time + 1 >= self.n_steps
        cut = last & ~(step.terminated | step.truncated)
        length = jnp.where(cut, 0, step.info["episode_length"])
        return step._replace(
            state=BorderState(step.state, jnp.where(last, 0, state.time + 1)),
            truncated=step.truncated | cut,
            info=step.info | {"episode_length": length},
        )
