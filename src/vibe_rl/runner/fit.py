"""The host side of training: log, evaluate, call back, stop, in the body of an ordinary `for`.

The device is never waited for without need: while it computes a chunk, the host handles the one
before. Only a callback, which sees the state and the metrics of the same step, makes it wait.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

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


@dataclass(frozen=True)
class Run:
    """What is fixed before a run begins; made by `prepare`, which refuses what cannot work."""

    algorithm: Algorithm
    env: Environment  # resets itself and counts its episodes
    env_params: PyTree
    config: RunnerConfig
    num_envs: int
    n_updates: int

    @property
    def steps_per_update(self) -> int:
        """Env steps, over all envs."""
        return self.algorithm.rollout_length * self.num_envs

    def start(self) -> TrainState:
        """The state before the first update."""
        key = stream(self.config.seed, "training")
        return jit_start(self.algorithm, self.env, self.env_params, key, num_envs=self.num_envs)

    def schedule(self) -> Iterator[tuple[int, PyTree]]:
        """The chunks: they end where something is to be logged or evaluated."""
        intervals = [self.config.log_interval or self.steps_per_update, self.config.eval_every]
        for length in chunk_lengths(self.n_updates, self.steps_per_update, intervals):
            yield length, self.env_params

    def evaluate_if_due(self, agent_state: PyTree, before: int, after: int) -> EvalMetrics | None:
        """Greedy episodes of this very state, if an evaluation falls between two numbers of
        updates; the last update always gets one. The result may still be under way.
        """
        steps = before * self.steps_per_update, after * self.steps_per_update
        due = after == self.n_updates or reached(self.config.eval_every, *steps)
        if not due or self.config.eval_episodes == 0:
            return None
        return jit_evaluate(
            greedy_action,
            (self.algorithm, agent_state),
            self.env,
            evaluation_world(self.env, self.env_params),
            n_episodes=self.config.eval_episodes,
            max_steps=self.config.eval_max_steps,
            rng=evaluation_key(self.config.seed, after),
        )


def evaluation_world(env: Environment, env_params: PyTree) -> PyTree:
    """The world that all envs share, or the env's own where every env has another."""
    axes = jax.tree.leaves(params_axes(env, env_params))  # None is no leaf
    return env.default_params() if axes else env_params


def prepare(
    algorithm: Algorithm,
    env: Environment,
    env_params: PyTree,
    config: RunnerConfig,
    num_envs: int,
) -> Run:
    """Checks everything that can be checked without compiling or writing.

    Raises:
        ConfigError: the run cannot work.
    """
    check_runner(config)
    algorithm.check(num_envs)
    if not auto_resets(env, env.default_params()):
        raise ConfigError(
            f"environment {type(env).__name__} does not reset itself when an episode ends "
            '(no info["final_obs"]): wrap it in AutoResetWrapper.'
        )
    n_updates = check_budget(config.total_timesteps, algorithm.rollout_length * num_envs)
    env = with_episode_statistics(env)
    return Run(algorithm, env, env_params, config, num_envs, n_updates)


def fit(
    run: Run,
    tracker: Tracker | None = None,
    callback: Callback | None = None,
    keep_history: bool = False,
) -> FitResult:
    """Trains for the budget of a prepared run.

    Args:
        run: see `prepare`.
        tracker: gets a row of metrics per chunk.
        callback: see `Callback`.
        keep_history: whether to keep every update's metrics in memory.

    Raises:
        NonFiniteLossError: a loss became NaN or infinite.
    """
    report = Report(tracker or Tee(), run.steps_per_update, keep_history)
    with jax.default_matmul_precision(run.config.matmul_precision), StopRequest() as stop:
        state, update, pending = run.start(), 0, None
        for chunk in training(run.algorithm, run.env, state, run.schedule()):
            before, update, state = update, update + chunk.n_updates, chunk.state
            scores = run.evaluate_if_due(state.agent_state, before, update)
            report(pending)  # the chunk before this one, which the device has finished
            pending = Pending(chunk.metrics, chunk.n_updates, update, scores)
            if callback is not None:
                row, pending = report(pending), None
                callback(update * run.steps_per_update, state.agent_state, row)
            if stop.requested:
                break
        if pending is not None:
            report(pending)
    return FitResult(
        state=state,
        step=update * run.steps_per_update,
        updates=update,
        history=report.table(),
        evaluation=report.evaluation,
        interrupted=update < run.n_updates,
    )
