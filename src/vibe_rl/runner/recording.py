"""One greedy episode with all its states, and what it looks like: pictures, and a GIF of them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env.base import Environment, Step
from vibe_rl.env.checks.traced import auto_resets
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.env.pictures.drawing import check_draws, draw
from vibe_rl.env.precision import fit_for_loop
from vibe_rl.env.wrappers import AutoResetWrapper, Wrapper, has_layer
from vibe_rl.errors import ConfigError
from vibe_rl.extras import require
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.runner.evaluator import (
    Episodes,
    Running,
    begin_episode,
    greedy_action,
    no_value,
    one_step,
)
from vibe_rl.types import AnyArray, EitherKey, Key, PyTree, is_key, narrow, typed_key

PIECE = 256
"""Env steps that one call of the program records: what a device must have memory for."""
N_FOR_COLOURS = 64  # pictures

Frame = UInt8[np.ndarray, "h w 3"]
"""A picture."""


@dataclass(frozen=True)
class EndingWrapper(Wrapper):
    """Stands where `AutoResetWrapper` stood and lets episodes end, on the same random numbers.

    What an `AutoResetWrapper` would have thrown away, the state after the last step, is kept.
    """

    def step(self, key: Key, state: PyTree, action: PyTree, params: PyTree) -> Step:
        """One step of `env`, its observation in `info["final_obs"]` too."""
        step_key, _ = jax.random.split(key)
        step = super().step(step_key, state, action, params)
        return step._replace(info=step.info | {"final_obs": step.obs})


def without_auto_reset(env: Any) -> Any:
    """`env` with an `EndingWrapper` in place of its `AutoResetWrapper`, if it has one."""
    if isinstance(env, AutoResetWrapper):
        return EndingWrapper(env.env)
    if not isinstance(env, Wrapper):
        return env
    return replace(env, env=without_auto_reset(env.env))


class Tape(NamedTuple):
    """What is recorded of each step; arrays are `[n_steps, ...]`."""

    state: PyTree  # of the env, after the step
    action: PyTree
    reward: AnyArray  # float32


class EpisodeRecording(NamedTuple):
    """One greedy episode, on the host; arrays are `[length + 1, ...]` or `[length, ...]`.

    Where an env resets itself without `AutoResetWrapper`, its last state is unknown and not there.
    """

    states: PyTree  # of the env with its layers, the first one included
    actions: PyTree
    rewards: np.ndarray  # float32
    episode_return: float  # undiscounted, unscaled
    length: int  # env steps
    finished: bool  # whether the episode ended by itself, before `max_steps`


def record(
    algorithm: Algorithm,
    agent_state: PyTree,
    env: AnyEnvironment,
    env_params: PyTree,
    key: EitherKey,
    max_steps: int,
) -> EpisodeRecording:
    """Runs one greedy episode, as an evaluation that gives it this key does, and keeps its states.

    Args:
        algorithm: the description of what has learned.
        agent_state: its state, or the part of it that acting needs.
        env: with or without auto-reset.
        env_params: constants of the env.
        key: of this episode; evaluations split theirs into one for each.
        max_steps: env steps after which the episode is cut short.

    Raises:
        ConfigError: the env is not written in JAX.
    """
    if isinstance(env, HostEnvironment):
        raise ConfigError(
            f"{type(env).__name__} runs in Python, where no states can be recorded: use an "
            "environment written in JAX."
        )
    if max_steps < 1:
        raise ConfigError(f"max_steps {max_steps}: give at least 1.")
    env, agent = with_layers(env), (algorithm, algorithm.portable(agent_state))
    running = jit_begin(env, env_params, typed_key(key))
    first, tapes = on_host(running.state), []
    while not running.episodes.finished and running.episodes.length < max_steps:
        before = int(running.episodes.length)
        until = np.int32(min(before + PIECE, max_steps))
        running, tape = jit_continue(agent, env, env_params, running, until)
        n_steps = int(running.episodes.length) - before
        tapes.append(jax.tree.map(lambda x, n=n_steps: x[:n], on_host(tape)))
    known = has_layer(env, EndingWrapper) or not auto_resets(env, env_params)
    return _assembled(first, tapes, running.episodes, last_is_known=known)


def with_layers(env: Environment) -> Environment:
    """`env` with the layers around it that a recorded state is of."""
    return without_auto_reset(fit_for_loop(env))


def on_host(tree: PyTree) -> PyTree:
    """The tree in the host's memory, typed keys as their numbers."""
    data = jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, tree)
    return jax.device_get(data)


def _assembled(
    first: PyTree, tapes: Sequence[Tape], episodes: Episodes, last_is_known: bool
) -> EpisodeRecording:
    """The recording of what was taped in pieces."""
    tape: Tape = jax.tree.map(lambda *parts: np.concatenate(parts), *tapes)
    episodes = jax.device_get(episodes)
    end = None if last_is_known or not episodes.finished else -1
    return EpisodeRecording(
        states=jax.tree.map(lambda x, xs: np.concatenate([x[None], xs])[:end], first, tape.state),
        actions=tape.action,
        rewards=tape.reward,
        episode_return=float(episodes.episode_return),
        length=int(episodes.length),
        finished=bool(episodes.finished),
    )


@partial(jax.jit, static_argnames="env")
def jit_begin(env: Environment, env_params: PyTree, key: Key) -> Running:
    """The first observation of the episode with this key."""
    return begin_episode(no_value, env, env_params, key)


@partial(jax.jit, static_argnames="env")
def jit_continue(
    agent: tuple[Any, PyTree], env: Environment, env_params: PyTree, running: Running, until: Array
) -> tuple[Running, Tape]:
    """The episode until its end or until it is `until` steps long, at most `PIECE` more.

    The tape is `[PIECE, ...]`, zeros after the end.
    """
    agent, begin = narrow(agent), running.episodes.length

    def step(running: Running) -> tuple[Running, Tape]:
        action = greedy_action(agent, running.obs)
        after, made = one_step(action, env, env_params, 1.0, running)
        return after, Tape(after.state, action, made.reward)

    def unfinished(carry: tuple[Running, Tape]) -> Array:
        episodes = carry[0].episodes
        return ~episodes.finished & (episodes.length < until)

    def body(carry: tuple[Running, Tape]) -> tuple[Running, Tape]:
        at = carry[0].episodes.length - begin
        after, new = step(carry[0])
        return after, jax.tree.map(lambda tape, x: tape.at[at].set(x), carry[1], new)

    shapes = jax.eval_shape(step, running)[1]
    blank = jax.tree.map(lambda x: jnp.zeros((PIECE, *x.shape), x.dtype), shapes)
    return jax.lax.while_loop(unfinished, body, (running, blank))


def frames(recording: EpisodeRecording, env: AnyEnvironment, env_params: PyTree) -> Iterator[Frame]:
    """A picture of each state that is there, drawn when it is asked for.

    Args:
        recording: see `record`.
        env: the same as there.
        env_params: the same as there.

    Raises:
        ConfigError: the env has no `draw`.
    """
    check_draws(env)
    layered = with_layers(env)  # type: ignore[arg-type]
    n_states = len(jax.tree.leaves(recording.states)[0])
    return (
        draw(layered, jax.tree.map(lambda x: x[i], recording.states), env_params)  # noqa: B023
        for i in range(n_states)
    )


def write_gif(pictures: Iterable[Frame], path: str | os.PathLike[str], fps: float | int) -> None:
    """Writes pictures of one size as a GIF that repeats for ever, whole or not at all.

    Its colours are chosen from the first pictures. It is made while the pictures come: they need
    not fit into memory.

    Args:
        pictures: see `frames`.
        path: of the file, which is replaced if there is one.
        fps: pictures per second, at most 50; a GIF counts hundredths of a second.

    Raises:
        ConfigError: there is no picture, Pillow is missing, or the file cannot be written.
    """
    if not 0 < fps <= 50:
        raise ConfigError(f"fps {fps}: give a number above 0 and up to 50, which a GIF can show.")
    pillow: Any = require("PIL.Image", "plot", "GIFs")
    rest = iter(pictures)
    first = list(islice(rest, N_FOR_COLOURS))
    if not first:
        raise ConfigError("there is no picture: give write_gif at least one.")
    palette = pillow.fromarray(np.concatenate(first[:: N_FOR_COLOURS // 8])).quantize(128)
    images = (
        pillow.fromarray(picture).quantize(palette=palette, dither=pillow.Dither.NONE)
        for picture in chain(first, rest)
    )
    how = {"save_all": True, "loop": 0, "duration": 10 * round(100 / fps), "optimize": False}
    with write_atomically(Path(path)) as file:
        next(images).save(file, format="GIF", append_images=images, **how)
