"""The host side of training: log, evaluate, call back, stop, in the body of an ordinary `for`.

The device is never waited for without need: while it computes a chunk, the host handles the one
before. Only a callback, which sees the state and the metrics of the same step, makes it wait.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
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
from vibe_rl.runner.loop import CHUNK_CAPACITY, TrainState, jit_start, training
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

    def logs_after(self, update: int) -> bool:
        """Whether a row of metrics ends with this update."""
        end = update * self.steps_per_update
        interval = self.config.log_interval or self.steps_per_update
        return reached(interval, end - self.steps_per_update, end) or self.evaluates_after(update)

    def evaluates_after(self, update: int) -> bool:
        """Whether the agent is evaluated after this update; after the last one it always is."""
        end = update * self.steps_per_update
        due = reached(self.config.eval_every, end - self.steps_per_update, end)
        return update == self.n_updates or (due and self.config.eval_episodes > 0)

    def schedule(self, longest: Callable[[], int]) -> Iterator[tuple[int, PyTree]]:
        """The chunks: as many rows in each as `longest()` updates hold, at least one.

        How updates are cut into chunks changes no bit of what is learned or logged.
        """
        begun = 0
        while begun < self.n_updates:
            end = chunk_end(self, begun, min(longest(), CHUNK_CAPACITY))
            yield end - begun, self.env_params
            begun = end

    def evaluate(self, agent_state: PyTree, update: int) -> EvalMetrics | None:
        """Greedy episodes of this very state, if it is time; the result may be under way."""
        if self.config.eval_episodes == 0 or not self.evaluates_after(update):
            return None
        return jit_evaluate(
            greedy_action,
            (self.algorithm, agent_state),
            self.env,
            evaluation_world(self.env, self.env_params),
            n_episodes=self.config.eval_episodes,
            max_steps=self.config.eval_max_steps,
            rng=evaluation_key(self.config.seed, update),
        )


def chunk_end(run: Run, begun: int, longest: int) -> int:
    """The update that ends the chunk: the end of the last row that fits, or an evaluation."""
    end = begun
    for update in range(begun + 1, begun + CHUNK_CAPACITY + 1):
        if end > begun and update > begun + longest:
            break
        if run.logs_after(update):
            end = update
        if run.evaluates_after(update):
            break
    return end if end > begun else begun + CHUNK_CAPACITY


def evaluation_world(env: Environment, env_params: PyTree) -> PyTree:
    """The world that all envs share; where each has a number of its own, the env's default."""
    return jax.tree.map(
        lambda x, d: d if jnp.ndim(x) > jnp.ndim(d) else x, env_params, env.default_params()
    )


def check_hashable(env: Environment) -> None:
    """Raises ConfigError for an environment that `jax.jit` cannot take as a static argument."""
    try:
        hash(env)
    except TypeError:
        raise ConfigError(
            f"environment {type(env).__name__} is not hashable: make it a frozen dataclass."
        ) from None


def check_worlds(env: Environment, env_params: PyTree, num_envs: int) -> None:
    """Raises ConfigError if there are worlds for another number of envs."""
    pairs = zip(
        jax.tree.leaves_with_path(env_params), jax.tree.leaves(env.default_params()), strict=True
    )
    for (path, leaf), default in pairs:
        if jnp.ndim(leaf) > jnp.ndim(default) and jnp.shape(leaf)[0] != num_envs:
            raise ConfigError(
                f"env_params{jax.tree_util.keystr(path)} has a leading axis of "
                f"{jnp.shape(leaf)[0]} for {num_envs} envs: give one entry per env, or one number."
            )


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
    check_hashable(env)
    if not auto_resets(env, env.default_params()):
        raise ConfigError(
            f"environment {type(env).__name__} does not reset itself when an episode ends "
            '(no info["final_obs"]): wrap it in AutoResetWrapper.'
        )
    check_worlds(env, env_params, num_envs)
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
    report = Report(tracker or Tee(), run.steps_per_update, run.logs_after, keep_history)
    longest = report.updates_at_once if callback is None else lambda: 1
    with jax.default_matmul_precision(run.config.matmul_precision), StopRequest() as stop:
        state, update, pending = run.start(), 0, None
        for chunk in training(run.algorithm, run.env, state, run.schedule(longest)):
            update, state = update + chunk.n_updates, chunk.state
            scores = run.evaluate(state.agent_state, update)
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
