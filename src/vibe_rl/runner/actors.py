"""Whoever can play: random, scripted and learned players, through the loop's own collector and
evaluator, so that a figure of what was learned always has one to stand beside.

What an actor is, and those of an environment, is said in `vibe_rl.env.actors`.
"""

from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import jax
from jaxtyping import Array

from vibe_rl.env.actors import RANDOM, Actor, Random, actor_named, actors_of, choose_action
from vibe_rl.env.base import Environment
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.env.params.many import params_axes, reset_all, take_entries
from vibe_rl.env.precision import fit_for_loop
from vibe_rl.errors import whole_number
from vibe_rl.runner.evaluation import results_of, rounds_of, summary_of_rounds
from vibe_rl.runner.evaluator import Episodes, EvalMetrics, Running, no_value, play_episodes
from vibe_rl.runner.host_env import HostPlayer, play_on_host
from vibe_rl.runner.loop import Experience, TrainState, play_on
from vibe_rl.types import EitherKey, Key, PyTree, description, narrow, static, typed_key

__all__ = [
    "RANDOM",
    "Actor",
    "Greedy",
    "Random",
    "Sampled",
    "Scripted",
    "actor_named",
    "actors_of",
    "as_tree",
    "choose_action",
    "collect_from",
    "evaluate_actor",
]


@description
@dataclass(frozen=True)
class Scripted:
    """A function as an actor; equal functions share a program."""

    function: Actor = static()

    def __call__(self, obs: PyTree, env_state: PyTree, env_params: PyTree, key: Key) -> PyTree:
        """What the function says."""
        return self.function(obs, env_state, env_params, key)


@description
@dataclass(frozen=True)
class Greedy:
    """An agent that takes what it thinks best."""

    algorithm: Any
    agent_state: PyTree  # or the part of it that acting needs

    def __call__(self, obs: PyTree, env_state: PyTree, env_params: PyTree, key: Key) -> PyTree:
        """The policy's best action."""
        return narrow(self.algorithm).greedy(self.agent_state, obs)


@description
@dataclass(frozen=True)
class Sampled(Greedy):
    """An agent that explores as in training."""

    def __call__(self, obs: PyTree, env_state: PyTree, env_params: PyTree, key: Key) -> PyTree:
        """An action of its policy; of DQN, a random one as often as it explores."""
        return narrow(self.algorithm).act(self.agent_state, obs, key)[0]


def evaluate_actor(
    actor: Actor,
    env: AnyEnvironment,
    env_params: PyTree,
    *,
    n_episodes: int,
    max_steps: int,
    rng: EitherKey,
    lanes: int | None = None,
) -> EvalMetrics:
    """Plays `n_episodes` independent episodes, as `evaluate` does; compiled.

    Args:
        actor: who plays. Functions that are equal, and agents of one kind, share a program.
        env: with or without auto-reset, in JAX or on the host.
        env_params: constants of the environment; leaves with a leading axis `[n_episodes]` give
            each episode its own.
        n_episodes: episodes.
        max_steps: env steps after which an episode is cut short.
        rng: split into one key per episode: with the same one, all actors have the same episodes
            before them.
        lanes: episodes that are played side by side, in JAX; None plays all at once.
    """
    n_episodes = whole_number("n_episodes", n_episodes, 1)
    key, player = typed_key(rng), as_tree(actor)
    if isinstance(env, HostEnvironment):
        return results_of(_play_on_host(player, env, key, n_episodes, max_steps))
    how = {"n_episodes": n_episodes, "max_steps": max_steps}
    play = partial(_play_on_device, player, env, jax.device_put(env_params), key, **how)
    rounds = [jax.device_get(play(indices)) for indices in rounds_of(n_episodes, lanes)]
    return summary_of_rounds(rounds, n_episodes)


def as_tree(actor: Actor) -> Any:
    """The actor as an argument of a compiled function."""
    return Scripted(actor) if jax.tree_util.all_leaves([actor]) else actor


@partial(jax.jit, static_argnames=("env", "n_episodes", "max_steps"))
def _play_on_device(
    actor: Any,
    env: Environment,
    env_params: PyTree,
    key: Key,
    indices: Array | None,
    *,
    n_episodes: int,
    max_steps: int,
) -> Episodes:
    env = fit_for_loop(env)

    def choose(running: Running, env_params: PyTree) -> tuple[PyTree, Key]:
        key, act_key = jax.random.split(running.key)
        return choose_action(actor, env, running.obs, running.state, env_params, act_key), key

    keys = jax.random.split(key, n_episodes)
    if indices is not None:
        keys, env_params = keys[indices], take_entries(env, env_params, indices)
    return play_episodes(choose, env, env_params, keys, max_steps)


def _play_on_host(
    actor: Any, env: HostEnvironment, key: Key, n_episodes: int, max_steps: int
) -> Any:
    env_key, act_key = jax.random.split(key)
    turn = count()

    def act(obs: PyTree) -> PyTree:
        return _act_on_host(actor, obs, jax.random.fold_in(act_key, next(turn)))

    return play_on_host(HostPlayer(act, no_value), env, env_key, n_episodes, max_steps)


@jax.jit
def _act_on_host(actor: Any, obs: PyTree, key: Key) -> PyTree:
    keys = jax.random.split(key, len(jax.tree.leaves(obs)[0]))
    return jax.vmap(lambda obs, key: actor(obs, (), (), key))(obs, keys)


def collect_from(
    actor: Actor, env: Environment, env_params: PyTree, key: Key, *, num_envs: int, n_steps: int
) -> Experience:
    """What an actor meets in fresh envs, with leaves `[n_steps, num_envs, ...]`; compiled.

    Args:
        actor: who plays.
        env: must reset itself; see `AutoResetWrapper`.
        env_params: constants of the envs; leaves with a leading axis give each env its own.
        key: of everything random.
        num_envs: N.
        n_steps: T.
    """
    return _collect(as_tree(actor), env, env_params, key, num_envs=num_envs, n_steps=n_steps)


@partial(jax.jit, static_argnames=("env", "num_envs", "n_steps"))
def _collect(
    actor: Any, env: Environment, env_params: PyTree, key: Key, *, num_envs: int, n_steps: int
) -> Experience:
    env, axes = fit_for_loop(env), params_axes(env, env_params)
    reset_key, play_key, key = jax.random.split(key, 3)
    obs, env_state = reset_all(env, env_params, reset_key, num_envs=num_envs)
    act_all = jax.vmap(partial(choose_action, actor, env), in_axes=(0, 0, axes, 0))

    def act(env_state: PyTree, obs: PyTree, keys: Array) -> tuple[PyTree, tuple[()]]:
        return act_all(obs, env_state, env_params, keys), ()

    act_keys, step_keys = jax.random.split(play_key, (2, n_steps, num_envs))
    state = TrainState((), env_state, obs, key)
    return play_on(act, env, env_params, state, (act_keys, step_keys))[1]
