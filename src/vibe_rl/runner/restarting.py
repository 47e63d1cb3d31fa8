"""Fresh envs in a run under way, where its env_params bring another world."""

from collections.abc import Callable
from typing import Any

import jax

from vibe_rl.env.base import Environment
from vibe_rl.env.params.many import reset_all
from vibe_rl.types import Key, PyTree


def restart(
    env: Environment, env_params: PyTree, key: Key, *, num_envs: int
) -> tuple[PyTree, PyTree, Key]:
    """Observations and states of fresh envs in a run under way, and its next key."""
    env_key, key = jax.random.split(key)
    return *reset_all(env, env_params, env_key, num_envs=num_envs), key


RESTART: dict[str, Any] = {"static_argnames": ("env", "num_envs")}
"""How `restart` is compiled."""

jit_restart = jax.jit(restart, **RESTART)
"""`restart`, compiled for one device."""


def restarted(
    env: Environment,
    env_params: PyTree,
    state: Any,
    program: Callable[..., tuple[PyTree, PyTree, Key]] = jit_restart,
) -> Any:
    """The `TrainState` with fresh envs in the place of all that are under way."""
    num_envs = jax.tree.leaves(state.obs)[0].shape[state.key.ndim]  # past the axis of many agents
    obs, env_state, key = program(env, env_params, state.key, num_envs=num_envs)
    return state._replace(obs=obs, env_state=env_state, key=key)
