"""From an algorithm's config to the algorithm, set up as the runner's settings say."""

from typing import Any, TypeVar

from vibe_rl.algorithms.base import Algorithm, Setup
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.runner.config import (
    RunnerConfig,
    check_replay_unused,
    check_runner,
    devices_of,
    resolve_num_envs,
)
from vibe_rl.runner.schedule import params_at
from vibe_rl.types import PyTree

Kind = TypeVar("Kind", bound=Algorithm)


def make_algorithm(
    kind: type[Kind],
    env: AnyEnvironment,
    env_params: PyTree,
    config: Any,
    runner_config: RunnerConfig,
) -> Kind:
    """The algorithm of a class for an env; ConfigError if the settings cannot work."""
    check_runner(runner_config)
    if not kind.uses_replay:
        check_replay_unused(runner_config)
    params = params_at(env_params, 0)
    setup = Setup(
        total_timesteps=runner_config.total_timesteps,
        num_envs=resolve_num_envs(config.num_envs, runner_config),
        n_devices=devices_of(runner_config),
        buffer_size=runner_config.buffer_size,
        warmup_steps=runner_config.warmup_steps,
        replay_on=runner_config.replay_on,
    )
    spaces = env.observation_space(params), env.action_space(params)
    return kind.from_config(config, *spaces, setup)
