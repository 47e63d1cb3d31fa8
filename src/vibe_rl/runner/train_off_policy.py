"""What `train_dqn` and `train_sac` share: replay from the runner's settings, and rows in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from vibe_rl.algorithms.off_policy import OffPolicy, OffPolicyConfig
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.errors import ConfigError
from vibe_rl.replay import AbstractReplay, HostReplay, Replay, ShardedReplay
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.runner.config import RunnerConfig, check_runner, devices_of, resolve_num_envs
from vibe_rl.runner.fit import Callback
from vibe_rl.runner.run import prepare
from vibe_rl.runner.schedule import params_at
from vibe_rl.runner.session import run_training
from vibe_rl.tracking.base import Tracker
from vibe_rl.types import PyTree

REPLAYS = {"device": Replay, "host": HostReplay}
Kind = TypeVar("Kind", bound=OffPolicy)


def off_policy(
    kind: type[Kind],
    env: AnyEnvironment,
    env_params: PyTree,
    config: OffPolicyConfig,
    runner_config: RunnerConfig,
) -> Kind:
    """The algorithm of this kind, its replay and warm-up as the runner's settings say."""
    check_runner(runner_config)
    if config.schedule_steps is None:
        config = replace(config, schedule_steps=float(runner_config.total_timesteps))
    params = params_at(env_params, 0)
    return kind(
        config,
        env.observation_space(params),
        env.action_space(params),
        replay(config, runner_config),
        runner_config.warmup_steps,
    )


def replay(config: OffPolicyConfig, runner_config: RunnerConfig) -> AbstractReplay:
    """The ring, or one part of it for each device.

    Raises:
        ConfigError: it cannot be split so.
    """
    num_envs = resolve_num_envs(config.num_envs, runner_config)
    n_devices = devices_of(runner_config)
    how = runner_config.buffer_size, num_envs, config.n_step, config.prioritized
    if n_devices == 1:
        return REPLAYS[runner_config.replay_on](*how)
    if runner_config.replay_on != "device":
        raise ConfigError(f"replay_on host serves one device, not {n_devices}: leave one out.")
    if config.batch_size % n_devices:
        raise ConfigError(
            f"batch_size {config.batch_size} does not divide over {n_devices} devices: choose a "
            "multiple."
        )
    return ShardedReplay(*how, n_devices)


@dataclass
class Rows:
    """A tracker that keeps single episodes' returns in memory, and rows once learning has begun."""

    warmup_steps: int
    episode_returns: list[float] = field(default_factory=list)
    metrics_log: list[dict[str, Any]] = field(default_factory=list)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Keeps one row."""
        if "episode_return" in metrics:
            self.episode_returns.append(metrics["episode_return"])
        elif step > self.warmup_steps:
            self.metrics_log.append(dict(metrics))

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Nothing."""

    def log_file(self, path: Any) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def train_off_policy(
    algorithm: OffPolicy,
    env: AnyEnvironment,
    env_params: PyTree,
    runner_config: RunnerConfig,
    *,
    eval_params: PyTree,
    callback: Callback | None,
    run_dir: RunDir | None,
    trackers: Sequence[Tracker],
) -> tuple[Any, list[float], list[dict[str, Any]]]:
    """The final agent, every episode's return, and the rows of metrics."""
    num_envs = algorithm.replay.num_envs
    run = prepare(algorithm, env, env_params, runner_config, num_envs, eval_params=eval_params)
    rows = Rows(run.warmup_updates * run.steps_per_update)
    files = {"run_dir": run_dir, "trackers": [rows, *trackers]}
    result = run_training(run, callback=callback, **files)
    return result.state.agent_state, rows.episode_returns, rows.metrics_log
