"""What a run is made of: who computes it, the env as it is stepped, the params of evaluations."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.env.params.many import held_out
from vibe_rl.env.walk import WalkWrapper
from vibe_rl.env.whole_episodes import WholeEpisodesWrapper
from vibe_rl.env.wrappers import has_layer, layers
from vibe_rl.errors import ConfigError
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.env_checks import check_structure
from vibe_rl.runner.env_params import EnvParamsSchedule
from vibe_rl.runner.executor import ON_DEVICE, Executor
from vibe_rl.runner.host_env import WITH_HOST_ENVS
from vibe_rl.runner.hybrid import WITH_HOST_RING, has_host_ring
from vibe_rl.runner.placement import check_divides, on_mesh
from vibe_rl.types import PyTree


def fit_for_rollouts(algorithm: Algorithm, env: AnyEnvironment) -> AnyEnvironment:
    """The env, which waits after each rollout's episode if the algorithm asks for whole ones.

    Raises:
        ConfigError: it does, and the env is stepped by Python or walks through a bank.
    """
    if not algorithm.whole_episodes:
        return env
    if isinstance(env, HostEnvironment):
        raise ConfigError(
            "whole_episodes True needs an environment in JAX, and this one is stepped by Python: "
            "turn it off."
        )
    if has_layer(env, WalkWrapper):
        raise ConfigError(
            "whole_episodes True resets envs anew for every rollout, where a walk begins again: "
            "leave out WalkWrapper, or turn it off."
        )
    return WholeEpisodesWrapper(env, algorithm.rollout_length)


def choose_executor(
    algorithm: Algorithm, env: AnyEnvironment, mesh: Mesh | None, num_envs: int
) -> Executor:
    """By who has a part in the run: several devices, Python, the host's memory, or one device.

    Raises:
        ConfigError: the envs cannot be split over the devices.
    """
    if mesh is not None:
        check_divides(env, num_envs, mesh)
        return on_mesh(mesh)
    if isinstance(env, HostEnvironment):
        return WITH_HOST_ENVS
    return WITH_HOST_RING if has_host_ring(algorithm) else ON_DEVICE


def params_of_evaluation(env: AnyEnvironment, first_params: PyTree, given: PyTree) -> PyTree:
    """Those given, those that the env holds out, or those that all envs share; see `prepare`."""
    if given is not None:
        check_structure(env, given, env.default_params())
        return given
    return held_out(env, first_params, shared_params(env, first_params))


def check_schedule(env: AnyEnvironment, env_params: PyTree) -> None:
    """Raises ConfigError if a schedule restarts envs that Python steps."""
    restarts = isinstance(env_params, EnvParamsSchedule) and env_params.restarts
    if restarts and isinstance(env, HostEnvironment):
        raise ConfigError(
            "restarts True of a schedule of env_params needs an environment in JAX, and this one "
            "is stepped by Python: leave it out."
        )


def shared_params(env: AnyEnvironment, env_params: PyTree) -> PyTree:
    """The params that all envs share; where each has a value of its own, the env's default."""
    return jax.tree.map(
        lambda x, default: default if jnp.ndim(x) > jnp.ndim(default) else x,
        env_params,
        env.default_params(),
    )


def describe_run(algorithm: Algorithm, env: Any, config: RunnerConfig) -> dict[str, Any]:
    """What is recorded of a run that no `TrainConfig` describes, under the same names."""
    *_, env = layers(env)  # the one below all wrappers
    return {
        "algorithm": type(algorithm).__name__.lower(),
        "env_id": getattr(env, "env_id", type(env).__name__),
        "env_kwargs": getattr(env, "env_kwargs", {}),
        "env_schedule": None,  # none that has a name
        "algo": dataclasses.asdict(algorithm.config),
        "runner": dataclasses.asdict(config),
    }
