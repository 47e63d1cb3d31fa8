"""`train_ppo_multigpu`: `train_ppo` on all devices, with a leading device axis."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import jax
import numpy as np

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env.base import Environment
from vibe_rl.errors import TrainingInterrupted, check_kind
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.runner.config import RunnerConfig, with_num_envs
from vibe_rl.runner.eval_metrics import EvalMetric
from vibe_rl.runner.fit import Callback
from vibe_rl.runner.placement import get_num_devices
from vibe_rl.runner.train_ppo import PPOMetricsHistory, PPOTrainState, train_ppo
from vibe_rl.sharding import replicate
from vibe_rl.tracking.base import LogBackend
from vibe_rl.types import PyTree


def train_ppo_multigpu(  # noqa: PLR0913 - keyword arguments of a public function
    env: Environment,
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
    """Trains one PPO agent on several devices: each steps its own envs, gradients are averaged.

    Arguments and errors are those of `train_ppo`. `runner_config.num_devices` None takes all
    devices; `runner_config.num_envs` is the number of envs on each and, if it is not given,
    `ppo_config.num_envs` that on all.

    Returns:
        The final state with leaves `[n_devices, ...]`, one entry on each device, of which
        `unreplicate` takes the agent; and every update's metrics `[n_devices, n_updates]`, the same
        for all.
    """
    check_kind("ppo_config", ppo_config, PPOConfig)
    check_kind("runner_config", runner_config, RunnerConfig)
    n_devices = get_num_devices(runner_config.num_devices)
    runner_config = replace(runner_config, num_devices=n_devices)
    ppo_config, runner_config = with_num_envs(ppo_config, runner_config, per_device=True)
    shapes = {"obs_shape": obs_shape, "n_actions": n_actions}
    configs = {"ppo_config": ppo_config, "runner_config": runner_config}
    hooks = {"run_dir": run_dir, "callback": callback, "trackers": trackers}
    hooks |= {"eval_params": eval_params, "eval_metrics": eval_metrics}
    try:
        result = train_ppo(env, env_params, **configs, **shapes, **hooks)
    except TrainingInterrupted as stop:
        state, history = stop.result
        result = with_device_axis(state, history, n_devices)
        raise TrainingInterrupted(result, stop.signal) from None
    return with_device_axis(*result, n_devices)


def with_device_axis(
    state: PPOTrainState, history: PPOMetricsHistory, n_devices: int
) -> tuple[PPOTrainState, PPOMetricsHistory]:
    """What `train_ppo` returns, with a leading axis `[n_devices]`."""
    agent_state, rng = replicate((state.agent_state, state.rng), n_devices)
    env_obs, env_state = by_device((state.env_obs, state.env_state), n_devices)
    columns = (np.broadcast_to(column, (n_devices, len(column))) for column in history)
    return PPOTrainState(agent_state, env_obs, env_state, rng), PPOMetricsHistory(*columns)


def by_device(tree: PyTree, n_devices: int) -> PyTree:
    """Leaves `[N, ...]` as `[n_devices, N / n_devices, ...]`."""
    return jax.tree.map(lambda x: x.reshape(n_devices, -1, *x.shape[1:]), tree)
