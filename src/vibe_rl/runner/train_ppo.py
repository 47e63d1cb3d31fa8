"""`train_ppo`: a whole run of PPO, with files, progress, callbacks and trackers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vibe_rl.algorithms.ppo import PPO, PPOConfig, PPOState
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.eval_metrics import EvalMetric
from vibe_rl.runner.fit import Callback
from vibe_rl.runner.from_config import make_algorithm, prepare_from_config
from vibe_rl.runner.history import earlier_updates
from vibe_rl.runner.run import prepare_together
from vibe_rl.runner.session import Session, open_session
from vibe_rl.system.signals import unless_interrupted
from vibe_rl.tracking.base import LogBackend
from vibe_rl.types import Key, PyTree


class PPOTrainState(NamedTuple):
    """How training ended."""

    agent_state: PPOState
    env_obs: PyTree  # [N, ...], last observations
    env_state: PyTree  # [N, ...]
    rng: Key  # the training stream's


class PPOMetricsHistory(NamedTuple):
    """Every update's metrics, each `[n_updates]`."""

    total_loss: np.ndarray
    actor_loss: np.ndarray
    critic_loss: np.ndarray
    entropy: np.ndarray  # nats
    approx_kl: np.ndarray  # nats


def ppo(
    env: AnyEnvironment,
    env_params: PyTree,
    config: PPOConfig,
    runner_config: RunnerConfig,
) -> PPO:
    """The algorithm for this env; schedules without a length last the whole run."""
    return make_algorithm(PPO, env, env_params, config, runner_config)


def train_ppo(  # noqa: PLR0913 - keyword arguments of a public function
    env: AnyEnvironment,
    env_params: PyTree,
    *,
    ppo_config: PPOConfig,
    runner_config: RunnerConfig,
    obs_shape: tuple[int, ...] | None = None,
    n_actions: int | None = None,
    run_dir: RunDir | None = None,
    callback: Callback | None = None,
    eval_params: PyTree = None,
    eval_metrics: Mapping[str, EvalMetric] | None = None,
    trackers: Sequence[LogBackend] = (),
) -> tuple[PPOTrainState, PPOMetricsHistory]:
    """Trains PPO from scratch.

    Args:
        env: must reset itself; see `AutoResetWrapper`.
        env_params: constants of the envs; leaves with a leading axis `[num_envs]` give each env
            its own. Or an `EnvParamsSchedule`.
        ppo_config: hyperparameters.
        runner_config: budget, evaluation, logging, seed.
        obs_shape: inferred; if given, it must be the env's.
        n_actions: inferred; if given, it must be the env's.
        run_dir: gets metrics and checkpoints while the run trains.
        callback: `callback(step, agent_state, metrics)` every `log_interval` steps, and where the
            agent is evaluated.
        eval_params: constants of the envs of an evaluation; leaves with a leading axis give each
            episode its own. None takes what the env holds out, or those of update 0.
        eval_metrics: functions of an evaluation's episodes, by their names; see `EvalMetric`.
        trackers: get what is logged, beside the run directory.

    Returns:
        The final state, and the metrics of every update: the one thing that grows with the length
        of the run, by four bytes per metric and update. Updates before a run resumed have the means
        of their rows in the run directory's log, and NaN without one.

    Raises:
        ConfigError: before anything is compiled or written, if the run cannot work.
        NonFiniteLossError: a loss became NaN or infinite.
        TrainingInterrupted: Ctrl-C or SIGTERM ended it; the result is in the exception.
    """
    run = prepare_together(
        lambda: prepare_from_config(
            PPO,
            env,
            env_params,
            ppo_config,
            runner_config,
            eval_params=eval_params,
            eval_metrics=eval_metrics,
            obs_shape=obs_shape,
            n_actions=n_actions,
        )
    )
    with open_session(run, run_dir, callback, trackers) as session:
        result = session.train(callback, trackers, keep_history=True)
    state, history = result.state, whole_history(session, result.history)
    train_state = PPOTrainState(state.agent_state, state.obs, state.env_state, state.key)
    return unless_interrupted((train_state, history), session.signal)


def whole_history(session: Session, made: Mapping[str, np.ndarray]) -> PPOMetricsHistory:
    """The metrics of the updates that were made, after those of the calls before.

    Args:
        session: of this call.
        made: the columns of its updates; empty if the run was complete already.
    """
    names, none = PPOMetricsHistory._fields, np.zeros(0, np.float32)
    earlier = earlier_updates(session, names)
    return PPOMetricsHistory(*(np.concatenate([earlier[n], made.get(n, none)]) for n in names))
