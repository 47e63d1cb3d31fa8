"""Environments as the loop runs them: their episodes counted, and in 32 bits.

JAX's 64-bit mode makes many environments wider than the agents; here they are narrowed again.
"""

from dataclasses import dataclass
from typing import Any

import jax

from vibe_rl.env.base import Environment, Step, checked
from vibe_rl.env.wrappers import Wrapper, has_layer, with_episode_statistics
from vibe_rl.types import Key, PyTree, narrow


@dataclass(frozen=True)
class SinglePrecisionWrapper(Wrapper):
    """Shows in 32 bits what `env` computes in 64: observations, rewards and `info`.

    Its state keeps its types. Params that came with 64 bits, as Python's numbers and NumPy's arrays
    do, are cast to 32 where the default ones of `env` have 32.
    """

    def inner_params(self, params: PyTree) -> PyTree:
        """As exact as the default ones."""
        return jax.tree.map(_like_default, params, self.env.default_params())

    def reset(self, key: Key, params: PyTree) -> tuple[PyTree, PyTree]:
        """A reset of `env`, seen in 32 bits."""
        obs, state = super().reset(key, params)
        return narrow(obs), state

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, seen in 32 bits."""
        step = checked(self.env.step(key, state, action, self.inner_params(params)))
        obs, reward, info = narrow((step.obs, step.reward, step.info))
        return step._replace(obs=obs, reward=reward, info=info)


def _like_default(value: Any, default: Any) -> Any:
    narrower = narrow(value)
    same = getattr(narrower, "dtype", None) == getattr(default, "dtype", None)
    return narrower if same else value


def in_single_precision(env: Environment) -> Environment:
    """`env` itself, or in JAX's 64-bit mode `env` in a `SinglePrecisionWrapper`."""
    wide = jax.config.jax_enable_x64 and not has_layer(env, SinglePrecisionWrapper)  # type: ignore[attr-defined]
    return SinglePrecisionWrapper(env) if wide else env


def fit_for_loop(env: Environment) -> Environment:
    """`env` as loops and evaluations run it: its episodes counted, in single precision."""
    return with_episode_statistics(in_single_precision(env))
