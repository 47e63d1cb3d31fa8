"""Training and evaluation where the environments run on the host; see `vibe_rl.env.host`.

The device acts and learns, the envs step in between. Everything else is as in `loop`.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env.host import HostEnvironment, HostEnvs
from vibe_rl.env.reductions import named_columns, reductions
from vibe_rl.errors import ConfigError
from vibe_rl.ops import prng
from vibe_rl.runner.evaluation import Evaluation, Extent
from vibe_rl.runner.evaluator import Episodes, greedy_action, summary_of_episodes
from vibe_rl.runner.executor import Beginning, Executor
from vibe_rl.runner.hybrid import (
    Rollout,
    UpdateInput,
    begin_rollout,
    learn_and_measure,
    take_turns,
    with_host_ring,
)
from vibe_rl.runner.loop import Experience, MetricTable, TrainState, rollout_keys
from vibe_rl.runner.packing import Packed, fetch, pack
from vibe_rl.types import AnyArray, Key, Number, PyTree, Transition, narrow

AT_ONCE = 16
"""Envs that an evaluation opens side by side."""


@dataclass
class CountedEnvs:
    """Running envs, with what is to be acted on next and the sums of running episodes."""

    envs: HostEnvs
    env: HostEnvironment  # what they are
    obs: PyTree
    episode_return: AnyArray  # float32 [N]
    episode_length: AnyArray  # int32 [N]

    def __post_init__(self):
        self.declared = reductions(self.env, "episode")

    def step(self, action: PyTree, extras: PyTree = None) -> Experience:
        """One step of each, with `extras` of the algorithm's."""
        after = narrow(self.envs.step(action))
        self.episode_return = self.episode_return + after.reward
        self.episode_length = self.episode_length + np.int32(1)
        ended = (after.reward, after.terminated, after.truncated, after.final_obs)
        transition = Transition(self.obs, action, *ended, extras)
        counted = self.episode_return, self.episode_length
        experience = Experience(transition, *counted, {}, self._own(after.episode))
        done, self.obs = np.logical_or(after.terminated, after.truncated), after.obs
        if done.any():
            self.episode_return = np.where(done, np.float32(0), self.episode_return)
            self.episode_length = np.where(done, np.int32(0), self.episode_length)
        return experience

    def _own(self, said: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """What the envs say of their episodes, under the names of columns.

        Raises:
            ConfigError: other things than they declare.
        """
        if said.keys() != self.declared.keys():
            found, expected = (", ".join(sorted(x)) or "nothing" for x in (said, self.declared))
            raise ConfigError(
                f"a step of {type(self.env).__name__} says {found} of its episodes, and "
                f"episode_metrics {expected}: let every step say what is declared, and no more."
            )
        return named_columns(self.env, {"episode": said}, "episode") if said else {}


@contextmanager
def open_envs(env: HostEnvironment, key: Key, num_envs: int) -> Iterator[CountedEnvs]:
    """Fresh envs, closed when the block ends; their seeds come from `key`."""
    bits = jax.random.bits(key, (num_envs,), jnp.uint32)
    envs = env.open([int(seed) >> 1 for seed in np.asarray(bits)])
    try:
        zeros = np.zeros(num_envs, np.float32), np.zeros(num_envs, np.int32)
        yield CountedEnvs(envs, env, narrow(envs.reset()), *zeros)
    finally:
        envs.close()


class FirstAction(NamedTuple):
    """How a rollout begins, and the keys of its actions."""

    action: PyTree  # [N, ...]
    extras: PyTree
    act_keys: Packed  # of the whole rollout


@partial(jax.jit, static_argnames=("each_episode", "last"), donate_argnames=("state",))
def learn_then_act(
    stage: Packed,
    obs: PyTree,
    each_episode: bool,
    state: Packed,
    given: UpdateInput | None,
    last: bool,
) -> tuple[Packed, Rollout | None, MetricTable | None]:
    """Learns from what was collected, and begins the next rollout unless that was the last."""
    algorithm, rollout = narrow(stage.tree), None
    after, row = learn_and_measure(algorithm, state.tree, given, each_episode)
    if not last:
        after, rollout = begin_rollout(partial(first_action, algorithm, obs), after)
    return pack(after), rollout, row


def first_action(
    stage: Any, obs: PyTree, state: TrainState, key: Key
) -> tuple[TrainState, FirstAction]:
    """The first actions of a rollout."""
    num_envs = jax.tree.leaves(obs)[0].shape[0]
    keys, _ = rollout_keys(stage, state.agent_state, key, num_envs)
    return state, FirstAction(*actions(stage, state.agent_state, obs, keys[0]), pack(keys))


def actions(stage: Any, agent_state: PyTree, obs: PyTree, keys: Array) -> tuple[PyTree, PyTree]:
    """An action and extras for each env."""
    return jax.vmap(stage.act, in_axes=(None, 0, 0))(agent_state, obs, keys)


@jax.jit
def act(actor: Packed, obs: PyTree, keys: Packed, t: Any) -> tuple[PyTree, PyTree]:
    """The actions of step `t` of a rollout; an actor is an algorithm and its state."""
    stage, agent_state = actor.tree
    return actions(narrow(stage), agent_state, obs, keys.tree[t])


def _play(
    stage: Packed, state: Packed, n_steps: int, envs: CountedEnvs, first: FirstAction
) -> Experience:
    """A rollout `[T, N, ...]`, begun by the device."""
    steps = [envs.step(fetch(first.action), first.extras)]
    actor = pack((stage.tree, state.tree.agent_state)) if n_steps > 1 else None
    for t in range(1, n_steps):
        action, extras = act(actor, envs.obs, first.act_keys, np.int32(t))
        steps.append(envs.step(fetch(action), extras))
    return jax.tree.map(stack_steps, *steps)


def stack_steps(first: AnyArray, *others: AnyArray) -> AnyArray:
    """The same leaf of all steps as one array."""
    return np.stack((first, *others)) if others else np.asarray(first)[None]


def run_chunk_with_host_envs(
    stage: Any,
    env: HostEnvironment,
    env_params: PyTree,
    state: TrainState,
    n_updates: int,
    each_episode: bool = False,
) -> tuple[TrainState, MetricTable]:
    """`n_updates` iterations of the envs in `state.env_state`; see `loop.run_chunk`."""
    on_device, envs = pack(jax.device_put(stage)), state.env_state

    def advance(state: Packed, given: UpdateInput | None, last: bool) -> tuple[Any, Any, Any]:
        state, rollout, row = learn_then_act(on_device, envs.obs, each_episode, state, given, last)
        if rollout is not None:
            n_steps = stage.rollout_length
            experience = _play(on_device, state, n_steps, envs, rollout.experience)
            rollout = rollout._replace(experience=experience)
        return state, rollout, row

    state, rows = take_turns(advance, stage, savable(state), n_updates)
    return state._replace(env_state=envs, obs=envs.obs), rows


@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def jit_init(algorithm: Algorithm, key: Key) -> PyTree:
    """A fresh agent."""
    return prng.drawn_once(narrow(algorithm).init, key)


@contextmanager
def start_with_host_envs(beginning: Beginning, restored: TrainState | None) -> Iterator[TrainState]:
    """See `Executor.start`; envs in Python are never restored, they begin anew."""
    algorithm = beginning.algorithm
    agent_key, env_key, key = jax.random.split(beginning.key, 3)
    with open_envs(beginning.env, env_key, beginning.num_envs) as envs:
        if restored is None:
            agent_state = with_host_ring(algorithm, jit_init(algorithm, agent_key))
            restored = TrainState(agent_state, (), (), key)
        yield restored._replace(env_state=envs, obs=envs.obs)


def shapes_with_host_envs(beginning: Beginning) -> TrainState:
    """See `Executor.shapes`; without the envs."""
    algorithm, key = beginning.algorithm, beginning.key
    agent_state = with_host_ring(algorithm, jit_init.eval_shape(algorithm, key))
    return TrainState(agent_state, (), (), key)


def savable(state: TrainState) -> TrainState:
    """The state without its envs."""
    return state._replace(env_state=(), obs=())


@jax.jit
def jit_greedy(policy: tuple[Any, PyTree], obs: PyTree) -> PyTree:
    """The best action for each env."""
    return jax.vmap(greedy_action, in_axes=(None, 0))(policy, obs)


@jax.jit
def jit_values(policy: tuple[Any, PyTree], obs: PyTree) -> Array | None:
    """What the algorithm expects of each env, if it says so."""
    algorithm, agent_state = narrow(policy)
    return jax.vmap(algorithm.value, in_axes=(None, 0))(agent_state, obs)


def evaluate_host_envs(
    algorithm: Algorithm,
    agent_state: PyTree,
    env: HostEnvironment,
    env_params: PyTree,
    key: Key,
    extent: Extent,
) -> Evaluation:
    """See `Executor.evaluate`; `AT_ONCE` episodes at a time, a step of each in a piece."""
    policy = algorithm, algorithm.portable(agent_state)
    how = HostPlayer(
        partial(jit_greedy, policy), partial(jit_values, policy), algorithm.config.gamma
    )
    return play_on_host(how, env, key, extent.n_episodes, extent.max_steps)


class HostPlayer(NamedTuple):
    """Who plays envs on the host."""

    act: Callable[[PyTree], PyTree]  # observations [N, ...] to actions
    value: Callable[[PyTree], Array | None]  # observations to values, None where it has none
    gamma: Number = 1.0


def play_on_host(
    player: HostPlayer, env: HostEnvironment, key: Key, n_episodes: int, max_steps: int
) -> Evaluation:
    """Episodes of a player; see `evaluate_host_envs`."""
    begins = range(0, n_episodes, AT_ONCE)
    keys = jax.random.split(key, len(begins))
    rounds = []
    for env_key, begin in zip(keys, begins, strict=True):
        with open_envs(env, env_key, min(AT_ONCE, n_episodes - begin)) as envs:
            rounds.append((yield from _first_episodes(player, envs, max_steps)))
    yield summary_of_episodes(jax.tree.map(lambda *parts: jnp.concatenate(parts), *rounds))


def _first_episodes(
    player: HostPlayer, envs: CountedEnvs, max_steps: int
) -> Generator[None, None, Episodes]:
    """The first episode of each env, until its end or `max_steps`; yields after every step."""
    values = jax.device_get(player.value(envs.obs))
    finished = np.zeros(len(envs.episode_length), bool)
    returns, lengths = envs.episode_return, envs.episode_length
    discounted, discount = np.zeros_like(returns), np.float32(1.0)
    own: dict[str, AnyArray] = {}
    for _ in range(max_steps):
        step = envs.step(fetch(player.act(envs.obs)))
        returns = np.where(finished, returns, step.episode_return)
        lengths = np.where(finished, lengths, step.episode_length)
        discounted = np.where(finished, discounted, discounted + discount * step.transition.reward)
        own = {
            name: np.where(finished, own.get(name, 0), np.asarray(x, np.float32))
            for name, x in step.own.items()
        }
        discount = discount * np.float32(player.gamma)
        finished = finished | np.logical_or(step.transition.terminated, step.transition.truncated)
        if finished.all():
            break
        yield
    return Episodes(returns, lengths, finished, discounted, values, own)


WITH_HOST_ENVS = Executor(
    start=start_with_host_envs,
    run_chunk=run_chunk_with_host_envs,
    evaluate=evaluate_host_envs,
    shapes=shapes_with_host_envs,
    place=lambda env, env_params: env_params,
    savable=savable,
    waits=True,
)
"""One device, with envs in Python; the replay is on the device or in the host's memory."""
