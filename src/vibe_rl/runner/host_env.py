"""Training and evaluation where the environments run on the host; see `vibe_rl.env.host`.

The device acts and learns, the worlds step in between. Everything else is as in `loop`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env.host import HostEnvironment, HostWorlds
from vibe_rl.runner.evaluator import Episodes, EvalMetrics, greedy_action, summary
from vibe_rl.runner.hybrid import Asked, Seen, ask, digest, in_turns
from vibe_rl.runner.loop import Experience, MetricTable, TrainState, rollout_keys
from vibe_rl.types import AnyArray, Key, Keys, PyTree, Transition

AT_ONCE = 16
"""Worlds that an evaluation opens side by side."""


@dataclass
class Counted:
    """Worlds that go on, with what is to be acted on next and the sums of running episodes."""

    worlds: HostWorlds
    obs: PyTree
    episode_return: AnyArray  # float32 [N]
    episode_length: AnyArray  # int32 [N]

    def step(self, action: PyTree, extras: PyTree = None) -> Experience:
        """One step of each, with `extras` of the algorithm's."""
        after = self.worlds.step(action)
        self.episode_return = self.episode_return + after.reward
        self.episode_length = self.episode_length + np.int32(1)
        ended = (after.reward, after.terminated, after.truncated, after.final_obs)
        transition = Transition(self.obs, action, *ended, extras)
        experience = Experience(transition, self.episode_return, self.episode_length, {})
        done, self.obs = np.logical_or(after.terminated, after.truncated), after.obs
        self.episode_return = np.where(done, np.float32(0), self.episode_return)
        self.episode_length = np.where(done, np.int32(0), self.episode_length)
        return experience


@contextmanager
def opened(env: HostEnvironment, key: Key, num_envs: int) -> Iterator[Counted]:
    """Fresh worlds, closed when the block ends; their seeds come from `key`."""
    bits = jax.random.bits(key, (num_envs,), jnp.uint32)
    worlds = env.open([int(seed) >> 1 for seed in np.asarray(bits)])
    try:
        zeros = np.zeros(num_envs, np.float32), np.zeros(num_envs, np.int32)
        yield Counted(worlds, worlds.reset(), *zeros)
    finally:
        worlds.close()


class Request(NamedTuple):
    """How a rollout begins, and the keys to go on with."""

    action: PyTree  # [N, ...]
    extras: PyTree
    act_keys: Keys


@partial(jax.jit, static_argnames=("each_episode", "last"), donate_argnames=("state",))
def advance_to_action(
    algorithm: Any,
    obs: PyTree,
    each_episode: bool,
    state: TrainState,
    seen: Seen | None,
    last: bool,
) -> tuple[TrainState, Asked | None, MetricTable | None]:
    """Learns from what was seen, and begins the next rollout unless that was the last."""
    state, row = digest(algorithm, state, seen, each_episode)
    if last:
        return state, None, row

    def request(state: TrainState, key: Key) -> tuple[TrainState, Request]:
        num_envs = jax.tree.leaves(obs)[0].shape[0]
        keys, _ = rollout_keys(algorithm, state.agent_state, key, num_envs)
        return state, Request(*actions(algorithm, state.agent_state, obs, keys[0]), keys)

    return *ask(request, state), row


def actions(algorithm: Any, agent_state: PyTree, obs: PyTree, keys: Array) -> tuple[PyTree, PyTree]:
    """An action and extras for each world."""
    return jax.vmap(algorithm.act, in_axes=(None, 0, 0))(agent_state, obs, keys)


@jax.jit
def act(
    algorithm: Any, agent_state: PyTree, obs: PyTree, keys: Keys, t: Any
) -> tuple[PyTree, PyTree]:
    """The actions of step `t` of a rollout."""
    return actions(algorithm, agent_state, obs, keys[t])


def play(algorithm: Any, agent_state: PyTree, worlds: Counted, begin: Request) -> Experience:
    """A rollout `[T, N, ...]`, begun by the device."""
    steps = [worlds.step(*jax.device_get((begin.action, begin.extras)))]
    for t in range(1, algorithm.rollout_length):
        answer = act(algorithm, agent_state, worlds.obs, begin.act_keys, np.int32(t))
        steps.append(worlds.step(*jax.device_get(answer)))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *steps)


def run_chunk_of_worlds(
    algorithm: Any,
    env: HostEnvironment,
    env_params: PyTree,
    state: TrainState,
    n_updates: int,
    each_episode: bool = False,
) -> tuple[TrainState, MetricTable]:
    """`n_updates` iterations of the worlds in `state.env_state`; see `loop.run_chunk`."""
    on_device, worlds = jax.device_put(algorithm), state.env_state

    def go_on(state: TrainState, seen: Seen | None, last: bool) -> tuple[Any, Any, Any]:
        call = advance_to_action(on_device, worlds.obs, each_episode, state, seen, last)
        state, asked, row = call
        if asked is not None:
            experience = play(on_device, state.agent_state, worlds, asked.experience)
            asked = asked._replace(experience=experience)
        return state, asked, row

    state = state._replace(env_state=(), obs=())
    state, rows = in_turns(go_on, algorithm, state, n_updates)
    return state._replace(env_state=worlds, obs=worlds.obs), rows


@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def jit_init(algorithm: Algorithm, key: Key) -> PyTree:
    """A fresh agent."""
    return algorithm.init(key)


@jax.jit
def jit_greedy(policy: tuple[Any, PyTree], obs: PyTree) -> PyTree:
    """The best action for each world."""
    return jax.vmap(greedy_action, in_axes=(None, 0))(policy, obs)


@jax.jit
def jit_values(policy: tuple[Any, PyTree], obs: PyTree) -> Array | None:
    """What the algorithm expects of each env, if it says so."""
    algorithm, agent_state = policy
    return jax.vmap(algorithm.value, in_axes=(None, 0))(agent_state, obs)


def evaluate_on_host(
    policy: tuple[Any, PyTree], env: HostEnvironment, n_episodes: int, max_steps: int, rng: Key
) -> EvalMetrics:
    """What `evaluate_agent` is for compiled environments: `AT_ONCE` episodes at a time."""
    begins = range(0, n_episodes, AT_ONCE)
    keys = jax.random.split(rng, len(begins))
    rounds = []
    for key, begin in zip(keys, begins, strict=True):
        with opened(env, key, min(AT_ONCE, n_episodes - begin)) as worlds:
            rounds.append(first_episodes(policy, worlds, max_steps))
    return summary(jax.tree.map(lambda *parts: jnp.concatenate(parts), *rounds))


def first_episodes(policy: tuple[Any, PyTree], worlds: Counted, max_steps: int) -> Episodes:
    """The first episode of each env, until its end or `max_steps`."""
    values = jax.device_get(jit_values(policy, worlds.obs))
    finished = np.zeros(len(worlds.episode_length), bool)
    returns, lengths = worlds.episode_return, worlds.episode_length
    discounted, discount = np.zeros_like(returns), np.float32(1.0)
    for _ in range(max_steps):
        step = worlds.step(jax.device_get(jit_greedy(policy, worlds.obs)))
        returns = np.where(finished, returns, step.episode_return)
        lengths = np.where(finished, lengths, step.episode_length)
        discounted = np.where(finished, discounted, discounted + discount * step.transition.reward)
        discount = discount * np.float32(policy[0].config.gamma)
        finished = finished | np.logical_or(step.transition.terminated, step.transition.truncated)
        if finished.all():
            break
    return Episodes(returns, lengths, finished, discounted, values)
