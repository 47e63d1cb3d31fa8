"""How the envs of a rollout act: as their algorithm says, or as an expert beside it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vibe_rl.algorithms.base import Algorithm, Stage
from vibe_rl.algorithms.expert import Expert
from vibe_rl.env.actors import actors_of, choose_action
from vibe_rl.env.base import Environment
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.errors import ConfigError, unknown
from vibe_rl.runner.env_checks import name_of
from vibe_rl.types import PyTree

Act = Callable[[PyTree, PyTree, Array], tuple[PyTree, PyTree]]
"""`act(env_state, obs, keys)`: the actions of all envs and their extras."""


def check_expert(algorithm: Algorithm, env: AnyEnvironment, env_params: PyTree) -> None:
    """Raises ConfigError if the algorithm learns from an actor that the env does not have."""
    if algorithm.expert is None:
        return
    if isinstance(env, HostEnvironment):
        raise ConfigError(
            f"expert {algorithm.expert.name} has to see the environment's state, and this one is "
            "stepped by Python: use an environment in JAX."
        )
    name, actors = algorithm.expert.name, actors_of(env, env_params)
    if name not in actors:
        raise unknown(f"expert of {name_of(env)}", name, actors)


def acting(
    stage: Stage, env: Environment, env_params: PyTree, params_axes: PyTree, agent_state: PyTree
) -> Act:
    """How all envs act; see `loop.params_axes`."""
    act_all = partial(jax.vmap(stage.act, (None, 0, 0)), agent_state)
    if stage.expert is None:
        return lambda env_state, obs, keys: act_all(obs, keys)
    expert = actors_of(env, env_params)[stage.expert.name]
    ask_all = jax.vmap(partial(choose_action, expert, env), (0, 0, params_axes, 0))

    def ask(env_state: PyTree, obs: PyTree, keys: Array) -> PyTree:
        return ask_all(obs, env_state, env_params, keys)

    return partial(act_with_expert, stage.expert, act_all, ask)


def act_with_expert(
    expert: Expert,
    act_all: Callable[..., Any],
    ask: Act,
    env_state: PyTree,
    obs: PyTree,
    keys: Array,
) -> tuple[PyTree, PyTree]:
    """The actions, the expert's in the envs that it drives, and what it says in every env."""
    split = jax.vmap(partial(jax.random.split, num=3))
    ask_keys, noise_keys, act_keys = jnp.unstack(split(keys), axis=1)
    label = jax.vmap(expert.member)(ask(env_state, obs, ask_keys))
    action = jax.vmap(expert.disturb)(obs, label, noise_keys)
    drives = expert.drives(len(keys))
    if not drives.all():
        own, _ = act_all(obs, act_keys)
        choose = jax.vmap(lambda d, a, o: jax.tree.map(partial(jnp.where, d), a, o))
        action = choose(jnp.asarray(drives), action, own)
    return action, label
