"""What an environment emits and must not: numbers not finite or too large, no legal action."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vibe_rl.errors import EnvironmentFaultError
from vibe_rl.types import MaskedObs, PyTree, Transition

HUGE = 1e18
"""Of a reward: a minibatch of its squares is beyond 32 bits, and a loss is infinite."""


class EnvFaults(NamedTuple):
    """The first env step of an update with each fault, counted from 0; inf where there is none."""

    first_bad_reward: Array
    first_bad_obs: Array
    first_without_action: Array
    first_huge_reward: Array  # no fault as long as losses are finite: rewards may be scaled


def faulty_steps(rollout: Transition) -> Float[Array, "4 T N"]:
    """The number of each env step of a rollout `[T, N]` that has a fault of `EnvFaults`, or inf."""
    shape = rollout.reward.shape
    bad = jnp.stack(
        [
            ~jnp.isfinite(rollout.reward),
            not_finite(rollout.obs, shape) | not_finite(rollout.next_obs, shape),
            without_action(rollout.obs, shape),
            jnp.abs(rollout.reward) > HUGE,
        ]
    )
    steps = jnp.arange(rollout.reward.size, dtype=jnp.float32).reshape(shape)
    return jnp.where(bad, steps, jnp.inf)


def not_finite(obs: PyTree, shape: tuple[int, ...]) -> Bool[Array, "T N"]:
    """Whether any number of an observation is NaN or infinite."""
    bad = jnp.zeros(shape, bool)
    for leaf in jax.tree.leaves(obs):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            bad = bad | ~jnp.isfinite(leaf).reshape(*shape, -1).all(-1)
    return bad


def without_action(obs: PyTree, shape: tuple[int, ...]) -> Bool[Array, "T N"]:
    """Whether an observation that was acted on has no legal action."""
    return ~obs.legal.any(-1) if isinstance(obs, MaskedObs) else jnp.zeros(shape, bool)


def first_faults(steps: Float[Array, "4 T N"]) -> EnvFaults:
    """The first step of each fault."""
    return EnvFaults(*steps.min((1, 2)))


def first_step(column: np.ndarray, first: int, steps_per_update: int) -> float:
    """The first env step of all updates at which there was a fault, counted from 0, or inf.

    Args:
        column: an entry per update, a field of `EnvFaults`.
        first: the updates made before.
        steps_per_update: env steps, over all envs.
    """
    return float(((first + np.arange(len(column))) * steps_per_update + column).min())


WORDS = {
    "first_bad_reward": "the environment's reward is not finite at env step {} of all envs: mend "
    "it there",
    "first_bad_obs": "the environment's observation is not finite at env step {} of all envs: mend "
    "it there",
    "first_without_action": "no action is legal at env step {} of all envs, in mid-episode: allow "
    "one, or end the episode",
}


def check_faults(columns: Mapping[str, np.ndarray], first: int, steps_per_update: int) -> None:
    """Raises EnvironmentFaultError naming the first fault in some updates, if there is one.

    Args:
        columns: an entry per update, with those of `EnvFaults`.
        first: the updates made before.
        steps_per_update: env steps, over all envs.
    """
    steps = {name: first_step(columns[name], first, steps_per_update) for name in WORDS}
    name = min(steps, key=lambda name: steps[name])
    if np.isfinite(steps[name]):
        words = WORDS[name].format(int(steps[name]) + 1)
        raise EnvironmentFaultError(f"{words}; what was written is intact.")
