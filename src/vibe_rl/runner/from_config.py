"""From an algorithm's config and the runner's to the algorithm, and to its run."""

from collections.abc import Mapping
from typing import Any, TypeVar

from vibe_rl.algorithms.base import Algorithm, Setup
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.errors import ConfigError, check_kind
from vibe_rl.runner.config import (
    RunnerConfig,
    check_replay_unused,
    check_runner,
    devices_of,
    with_num_envs,
)
from vibe_rl.runner.env_checks import check_is_environment, check_structure, spaces_of
from vibe_rl.runner.env_params import params_at
from vibe_rl.runner.eval_metrics import EvalMetric
from vibe_rl.runner.run import Run, prepare
from vibe_rl.spaces import Box
from vibe_rl.system.folders import same_directory
from vibe_rl.types import PyTree

Kind = TypeVar("Kind", bound=Algorithm)


def resolve_configs(
    kind: type[Algorithm], config: Any, runner_config: Any
) -> tuple[Any, RunnerConfig]:
    """The two configs of a run, with the number of envs settled; see `with_num_envs`.

    Raises:
        ConfigError: one is of another class, or the runner's has a field outside its bounds.
    """
    check_kind(f"{kind.__name__.lower()}_config", config, kind.config_class)
    check_kind("runner_config", runner_config, RunnerConfig)
    check_runner(runner_config)
    return with_num_envs(config, runner_config)


def make_algorithm(
    kind: type[Kind],
    env: AnyEnvironment,
    env_params: PyTree,
    config: Any,
    runner_config: RunnerConfig,
) -> Kind:
    """The algorithm of a class for an env; ConfigError if the settings cannot work."""
    config, runner_config = resolve_configs(kind, config, runner_config)
    check_is_environment(env)
    if not kind.uses_replay:
        check_replay_unused(runner_config)
    params = params_at(env_params, 0)
    check_structure(env, params, env.default_params())
    setup = Setup(
        total_timesteps=runner_config.total_timesteps,
        num_envs=config.num_envs,
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
    eval_metrics: Mapping[str, EvalMetric] | None = None,
    description: Mapping[str, Any] | None = None,
    **shapes: Any,
) -> Run:
    """The run of an algorithm's class on an env; see `prepare` and, for `shapes`, `check_shapes`.

    Raises:
        ConfigError: the run cannot work, or a shape is not the env's.
    """
    config, runner_config = resolve_configs(kind, config, runner_config)
    algorithm = make_algorithm(kind, env, env_params, config, runner_config)
    run = prepare(
        algorithm,
        env,
        env_params,
        runner_config,
        config.num_envs,
        eval_params=eval_params,
        eval_metrics=eval_metrics,
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
    actions = algorithm.action_space
    length = actions.shape[0] if isinstance(actions, Box) and len(actions.shape) == 1 else None
    _check_shape("obs_shape", obs_shape, getattr(algorithm.obs_space, "shape", None))
    _check_shape("n_actions", n_actions, getattr(actions, "n", None))
    _check_shape("action_dim", action_dim, length)


def _check_shape(name: str, given: Any, actual: Any) -> None:
    """Raises ConfigError if an optional argument contradicts the env's spaces."""
    if given is None or (tuple(given) if isinstance(given, list) else given) == actual:
        return
    if actual is None:
        raise ConfigError(f"{name} {given}: the environment's space has none, leave it out.")
    raise ConfigError(f"{name} {given} is not the environment's {actual}: leave it out.")
