"""From an algorithm's config and the runner's to the algorithm, and to its run."""

from collections.abc import Mapping
from typing import Any, TypeVar

from vibe_rl.algorithms.base import Algorithm, Setup
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.runner.config import (
    RunnerConfig,
    check_replay_unused,
    check_runner,
    check_shape,
    devices_of,
    resolve_num_envs,
)
from vibe_rl.runner.env_checks import check_structure, spaces_of
from vibe_rl.runner.run import Run, prepare
from vibe_rl.runner.schedule import params_at
from vibe_rl.system.folders import same_directory
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
    check_structure(env, params, env.default_params())
    setup = Setup(
        total_timesteps=runner_config.total_timesteps,
        num_envs=resolve_num_envs(config.num_envs, runner_config),
        n_devices=devices_of(runner_config),
        buffer_size=runner_config.buffer_size,
        warmup_steps=runner_config.warmup_steps,
        replay_on=runner_config.replay_on,
    )
    return kind.from_config(config, *spaces_of(env, params), setup)


@same_directory()
def prepare_from_config(
    kind: type[Algorithm],
    env: AnyEnvironment,
    env_params: PyTree,
    config: Any,
    runner_config: RunnerConfig,
    *,
    eval_params: PyTree = None,
    description: Mapping[str, Any] | None = None,
    **shapes: Any,
) -> Run:
    """The run of an algorithm's class on an env; see `prepare` and, for `shapes`, `check_shapes`.

    Raises:
        ConfigError: the run cannot work, or a shape is not the env's.
    """
    algorithm = make_algorithm(kind, env, env_params, config, runner_config)
    num_envs = resolve_num_envs(config.num_envs, runner_config)
    run = prepare(
        algorithm,
        env,
        env_params,
        runner_config,
        num_envs,
        eval_params=eval_params,
        description=description,
    )
    check_shapes(algorithm, **shapes)
    return run


def check_shapes(
    algorithm: Algorithm,
    *,
    obs_shape: tuple[int, ...] | None = None,
    n_actions: int | None = None,
    action_dim: int | None = None,
) -> None:
    """Raises ConfigError if a shape is given and contradicts the env's spaces."""
    obs_space, action_space = algorithm.obs_space, algorithm.action_space
    action_shape = None if action_dim is None else (action_dim,)
    check_shape("obs_shape", obs_shape, getattr(obs_space, "shape", None))
    check_shape("n_actions", n_actions, getattr(action_space, "n", None))
    check_shape("action_dim", action_shape, getattr(action_space, "shape", None))
