"""`train_sac`: a whole run of SAC, with files, progress, callbacks and trackers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vibe_rl.algorithms.sac import SAC, SACConfig, SACState
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.eval_metrics import EvalMetric
from vibe_rl.runner.fit import Callback
from vibe_rl.runner.from_config import make_algorithm, prepare_from_config
from vibe_rl.runner.run import prepare_together
from vibe_rl.runner.train_off_policy import train_off_policy
from vibe_rl.tracking.base import LogBackend
from vibe_rl.types import PyTree


class SACTrainResult(NamedTuple):
    """How training ended."""

    agent_state: SACState
    episode_returns: list[float]  # of every episode that ended, in their order
    metrics_log: list[dict[str, Any]]  # a row per log_interval


def sac(
    env: AnyEnvironment,
    env_params: PyTree,
    config: SACConfig,
    runner_config: RunnerConfig,
) -> SAC:
    """The algorithm for this env, with the runner's buffer and warm-up."""
    return make_algorithm(SAC, env, env_params, config, runner_config)


def train_sac(  # noqa: PLR0913 - keyword arguments of a public function
    env: AnyEnvironment,
    env_params: PyTree,
    *,
    sac_config: SACConfig,
    runner_config: RunnerConfig,
    obs_shape: tuple[int, ...] | None = None,
    action_dim: int | None = None,
    callback: Callback | None = None,
    run_dir: RunDir | None = None,
    eval_params: PyTree = None,
    eval_metrics: Mapping[str, EvalMetric] | None = None,
    trackers: Sequence[LogBackend] = (),
) -> SACTrainResult:
    """Trains SAC from scratch.

    Args:
        env: must reset itself; see `AutoResetWrapper`.
        env_params: constants of the envs; leaves with a leading axis `[num_envs]` give each env
            its own. Or an `EnvParamsSchedule`.
        sac_config: hyperparameters.
        runner_config: budget, replay, evaluation, logging, seed.
        obs_shape: inferred; if given, it must be the env's.
        action_dim: the length of an action; inferred; if given, it must be the env's.
        callback: `callback(step, agent_state, metrics)` every `log_interval` steps, and where the
            agent is evaluated.
        run_dir: gets metrics and checkpoints while the run trains.
        eval_params: constants of the envs of an evaluation; leaves with a leading axis give each
            episode its own. None takes what the env holds out, or those of update 0.
        eval_metrics: functions of an evaluation's episodes, by their names; see `EvalMetric`.
        trackers: get what is logged, beside the run directory.

    Returns:
        The final agent, and what was logged; of a run that resumes, what the run directory's log
        has of the calls before as well.

    Raises:
        ConfigError: before anything is compiled or written, if the run cannot work.
        NonFiniteLossError: a loss became NaN or infinite.
        TrainingInterrupted: Ctrl-C or SIGTERM ended it; the result is in the exception.
    """
    run = prepare_together(
        lambda: prepare_from_config(
            SAC,
            env,
            env_params,
            sac_config,
            runner_config,
            eval_params=eval_params,
            eval_metrics=eval_metrics,
            obs_shape=obs_shape,
            action_dim=action_dim,
        )
    )
    return train_off_policy(run, SACTrainResult, callback, run_dir, trackers)
