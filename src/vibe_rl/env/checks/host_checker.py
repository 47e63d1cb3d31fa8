"""What is wrong with an environment on the host, found by playing an episode at random."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import jax
import numpy as np

from vibe_rl.env.host import HostEnvironment, HostStep
from vibe_rl.spaces import Space
from vibe_rl.types import MaskedObs, PyTree


def host_problems(env: HostEnvironment, max_steps: int) -> Iterator[str]:
    """One sentence for each thing that is wrong, until the first that makes the rest senseless."""
    params = env.default_params()
    obs_space, action_space = env.observation_space(params), env.action_space(params)
    with closing(env.open([0])) as envs:
        found = list(_outside(obs_space, envs.reset(), "obs of reset", ends=False))
        for i in range(1, max_steps + 1):
            if found:
                break
            action = action_space.sample(jax.random.fold_in(jax.random.key(0), i))
            after = envs.step(jax.tree.map(lambda x: np.asarray(x)[None], action))
            found = list(_strays(obs_space, after, i))
            if bool(after.terminated[0]) or bool(after.truncated[0]):
                break
    yield from found


def _strays(space: Space, after: HostStep, i: int) -> Iterator[str]:
    ends = bool(after.terminated[0]) or bool(after.truncated[0])
    if not np.isfinite(after.reward[0]):
        yield f"reward of step {i} is {after.reward[0]}: give finite numbers."
    yield from _outside(space, after.final_obs, f"obs of step {i}", ends)
    if ends:
        yield from _outside(space, after.obs, f"obs of the reset after step {i}", ends=False)


def _outside(space: Space, batch: PyTree, name: str, ends: bool) -> Iterator[str]:
    """What of the one observation of a batch is not in its space; an end needs no mask."""
    obs: Any = jax.tree.map(lambda x: np.asarray(x)[0], batch)
    leaves = [x for x in jax.tree.leaves(obs) if x.dtype.kind == "f"]
    if not all(np.isfinite(x).all() for x in leaves):
        yield f"{name} is not finite: give finite numbers."
    elif isinstance(obs, MaskedObs) and not ends and not obs.legal.any():
        yield f"{name} has no legal action: allow one, or end the episode."
    elif not (isinstance(obs, MaskedObs) and ends) and not space.contains(obs):
        yield f"{name} lies outside its space {space}: check bounds, shape and type."
