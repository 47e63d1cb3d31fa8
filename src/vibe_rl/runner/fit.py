"""The host side of training: log, evaluate, call back, stop, in the body of an ordinary `for`.

The device is never waited for without need: while it computes a chunk, the host handles the one
before. Only a callback, which sees the state and the metrics of the same step, makes it wait.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from vibe_rl import prng
from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env.base import Environment
from vibe_rl.env.checker import auto_resets
from vibe_rl.env.wrappers import with_episode_statistics
from vibe_rl.errors import ConfigError
from vibe_rl.runner.config import RunnerConfig, check_budget, check_runner
from vibe_rl.runner.evaluator import EvalMetrics, greedy_action, jit_evaluate
from vibe_rl.runner.interrupt import StopRequest
from vibe_rl.runner.loop import CHUNK_CAPACITY, TrainState, jit_start, params_axes, training
from vibe_rl.runner.report import Pending, Report, Row
from vibe_rl.tracking.base import Tee, Tracker
from vibe_rl.types import Key, PyTree

Callback = Callable[[int, PyTree, Row], None]
"""Called as `callback(step, agent_state, metrics)` after every chunk."""


class FitResult(NamedTuple):
    """How a run ended."""

    state: TrainState
    step: int  # env steps taken
    updates: int
    history: dict[str, np.ndarray]  # one entry per update and metric; empty unless asked for
    evaluation: EvalMetrics | None  # the last one; of the state returned unless interrupted
    interrupted: bool  # whether a signal ended it before its budget


def chunk_lengths(n_updates: int, steps_per_update: int, intervals: list[int]) -> Iterator[int]:
    """Updates per chunk: a chunk ends with the update that reaches a multiple of an interval."""
    done = 0
    while done < n_updates:
        step = done * steps_per_update
        ends = [-(-(step // n + 1) * n // steps_per_update) for n in intervals if n > 0]
        end = min(n_updates, done + CHUNK_CAPACITY, *ends)
        yield end - done
        done = end


def reached(interval: int, before: int, after: int) -> bool:
    """Whether a multiple of `interval` lies in (before, after]."""
    return interval > 0 and after // interval > before // interval


def stream(seed: int, name: str) -> Key:
    """The root of one of a run's two independent random streams, "training" and "evaluation"."""
    return jax.random.fold_in(prng.key(seed), ("training", "evaluation").index(name))


def evaluation_key(seed: int, update: int) -> Key:
    """The key of the evaluation after `update` updates, whatever else was evaluated."""
    return jax.random.fold_in(stream(seed, "evaluation"), update)


def check_run(algorithm: Algorithm, env: Environment, num_envs: int) -> None:
    """Raises ConfigError if this algorithm cannot be trained on this env; compiles nothing."""
    algorithm.check(num_envs)
    if not auto_resets(env, env.default_params()):
        raise ConfigError(
            f"environment {type(env).__name__} does not reset itself when an episode ends "
            '(no info["final_obs"]): wrap it in AutoResetWrapper.'
        )


@dataclass(frozen=True)
class Evaluation:
    """When and on what a run is evaluated."""

    algorithm: Algorithm
    env: Environment
    env_params: PyTree
    config: RunnerConfig
    n_updates: int  # of the whole run
    steps_per_update: int

    def due(self, before: int, after: int) -> bool:
        """Whether an evaluation falls between two numbers of updates; the last always does."""
        steps = (before * self.steps_per_update, after * self.steps_per_update)
        at_end = after == self.n_updates
        return self.config.eval_episodes > 0 and (at_end or reached(self.config.eval_every, *steps))

    def __call__(self, agent_state: PyTree, update: int) -> EvalMetrics:
        """Greedy episodes of this very state; the result may still be under way."""
        return jit_evaluate(
            greedy_action,
            (self.algorithm, agent_state),
            self.env,
            self.env_params,
            n_episodes=self.config.eval_episodes,
            max_steps=self.config.eval_max_steps,
            rng=evaluation_key(self.config.seed, update),
        )


def evaluation_world(env: Environment, env_params: PyTree) -> PyTree:
    """The world that all envs share, or the env's own where every env has another."""
    shared = all(
        axis is None for axis in jax.tree.leaves(params_axes(env, env_params), is_leaf=_none)
    )
    return env_params if shared else env.default_params()


def _none(x: Any) -> bool:
    return x is None


def fit(
    algorithm: Algorithm,
    env: Environment,
    env_params: PyTree,
    config: RunnerConfig,
    *,
    num_envs: int,
    tracker: Tracker | None = None,
    callback: Callback | None = None,
    keep_history: bool = False,
) -> FitResult:
    """Trains `algorithm` on `env` for the config's budget.

    Args:
        algorithm: what learns.
        env: must reset itself; see `AutoResetWrapper`.
        env_params: the world, or one per env where leaves have a leading axis `[num_envs]`.
        config: budget, intervals and seed.
        num_envs: N, worlds stepped side by side.
        tracker: gets a row of metrics per chunk.
        callback: see `Callback`.
        keep_history: whether to keep every update's metrics in memory.

    Raises:
        ConfigError: before anything is compiled or written, if the run cannot work.
        NonFiniteLossError: a loss became NaN or infinite.
    """
    check_runner(config)
    check_run(algorithm, env, num_envs)
    steps_per_update = algorithm.rollout_length * num_envs
    n_updates = check_budget(config.total_timesteps, steps_per_update)
    env = with_episode_statistics(env)
    world = evaluation_world(env, env_params)
    evaluation = Evaluation(algorithm, env, world, config, n_updates, steps_per_update)
    report = Report(tracker or Tee(), steps_per_update, keep_history)
    intervals = [config.log_interval or steps_per_update, config.eval_every]
    lengths = chunk_lengths(n_updates, steps_per_update, intervals)
    schedule = ((length, env_params) for length in lengths)

    with jax.default_matmul_precision(config.matmul_precision), StopRequest() as stop:
        key = stream(config.seed, "training")
        state, update, pending = (
            jit_start(algorithm, env, env_params, key, num_envs=num_envs),
            0,
            None,
        )
        for chunk in training(algorithm, env, state, schedule):
            before, update, state = update, update + chunk.n_updates, chunk.state
            due = evaluation.due(before, update)
            scores = evaluation(state.agent_state, update) if due else None
            report(pending)  # the chunk before this one, which the device has finished
            pending = Pending(chunk.metrics, chunk.n_updates, update, scores)
            if callback is not None:
                row, pending = report(pending), None
                callback(update * steps_per_update, state.agent_state, row)
            if stop.requested:
                break
        if pending is not None:
            report(pending)
    return FitResult(
        state=state,
        step=update * steps_per_update,
        updates=update,
        history=report.table(),
        evaluation=report.evaluation,
        interrupted=update < n_updates,
    )
