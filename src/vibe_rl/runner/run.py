"""A run before it begins: what it will do, and whether it can work at all."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from vibe_rl.algorithms.base import Algorithm, Stage
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.env.whole_episodes import WholeEpisodesWrapper
from vibe_rl.env.wrappers import layers
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.manifest import versions
from vibe_rl.run_dir.plain import plain_text
from vibe_rl.runner.acting import check_expert
from vibe_rl.runner.config import RunnerConfig, check_budget, check_runner
from vibe_rl.runner.env_checks import fit_for_training
from vibe_rl.runner.env_params import params_at, params_of
from vibe_rl.runner.evaluation import Evaluation
from vibe_rl.runner.executor import ON_DEVICE, Beginning, Executor
from vibe_rl.runner.host_env import WITH_HOST_ENVS
from vibe_rl.runner.hybrid import WITH_HOST_RING, has_host_ring
from vibe_rl.runner.loop import Chunk, TrainState, training
from vibe_rl.runner.placement import check_divides, mesh_of, on_mesh
from vibe_rl.runner.schedule import Longest, Stops, Timetable
from vibe_rl.runner.streams import RunKey, Seed, evaluation_key, stream
from vibe_rl.system.processes import check_same, run_together
from vibe_rl.types import PyTree


@dataclass(frozen=True)
class Run:
    """What is fixed before a run begins; made by `prepare`, which refuses what cannot work."""

    algorithm: Algorithm
    env: AnyEnvironment  # resets itself and counts its episodes
    env_params: PyTree  # or an `EnvParamsSchedule`
    first_params: PyTree  # those of update 0
    eval_params: PyTree  # of the envs that an evaluation opens
    config: RunnerConfig
    num_envs: int
    n_updates: int
    executor: Executor
    each_episode: bool  # whether single episodes have rows of their own
    description: Mapping[str, Any]  # what is written down of it
    seeds: tuple[int, ...] | None = None  # of many agents in one program

    @property
    def seed(self) -> Seed:
        """The config's, or those of many agents."""
        return self.config.seed if self.seeds is None else self.seeds

    @property
    def steps_per_update(self) -> int:
        """Env steps, over all envs."""
        return self.algorithm.rollout_length * self.num_envs

    @property
    def due(self) -> Timetable:
        """When rows, evaluations and chunks end."""
        eval_every = self.config.eval_every if self.config.eval_episodes else None
        return Timetable(
            self.n_updates, self.steps_per_update, self.config.log_interval, eval_every
        )

    @property
    def warmup_updates(self) -> int:
        """Updates at the beginning in which the algorithm itself does not run."""
        return sum(n_updates for _, n_updates in self.algorithm.stages())

    def stages(self) -> list[tuple[Stage, int, int]]:
        """What runs from which update to which."""
        stages, begin = [], 0
        for stage, n_updates in self.algorithm.stages():
            stages.append((stage, begin, begin + n_updates))
            begin += n_updates
        return [*stages, (self.algorithm, begin, self.n_updates)]

    def start(self, restored: TrainState | None = None) -> AbstractContextManager[TrainState]:
        """The first state, or the restored one where it is to live."""
        return self.executor.start(self._beginning(), restored)

    def shapes(self) -> TrainState:
        """What the state will look like; nothing is computed."""
        return self.executor.shapes(self._beginning())

    def _beginning(self) -> Beginning:
        key = stream(self.seed, "training")
        return Beginning(self.algorithm, self.env, self.first_params, key, self.num_envs)

    def chunks(
        self,
        state: TrainState,
        longest: Longest,
        stops: Stops = (),
        update: int = 0,
        until: int | None = None,
    ) -> Iterator[Chunk]:
        """Runs the stages from `update` on, at most to `until`; see `Timetable.chunks`."""
        last = self.n_updates if until is None else until
        with params_of(self.env_params, self.first_params, self.n_updates) as (params, changes):
            for stage, begin, end in self.stages():
                span = max(begin, update), min(end, last)
                pieces = self.due.chunks(*span, longest, (*stops, *changes))
                schedule = ((n_updates, params(first)) for first, n_updates in pieces)
                how = {"each_episode": self.each_episode, "run_chunk": self.executor.run_chunk}
                for chunk in training(stage, self.env, state, schedule, **how):
                    state = chunk.state
                    yield chunk

    def evaluation(self, agent_state: PyTree, update: int) -> Evaluation:
        """The greedy episodes that belong to this update."""
        key = evaluation_key(self.seed, update)
        return self.evaluate(agent_state, key, self.config.eval_episodes)

    def evaluate(self, agent_state: PyTree, key: RunKey, episodes: int) -> Evaluation:
        """Greedy episodes of this very state, in pieces."""
        how = self.algorithm, agent_state, self.env, self.eval_params, key
        return self.executor.evaluate(*how, episodes, self.config.eval_max_steps)


def prepare(
    algorithm: Algorithm,
    env: AnyEnvironment,
    env_params: PyTree,
    config: RunnerConfig,
    num_envs: int,
    *,
    eval_params: PyTree = None,
    description: Mapping[str, Any] | None = None,
) -> Run:
    """Checks everything that can be checked without compiling or writing.

    Args:
        algorithm: the description of what learns.
        env: must reset itself; see `AutoResetWrapper`.
        env_params: constants of the envs, where leaves with a leading axis `[num_envs]` give each
            env its own; or an `EnvParamsSchedule`.
        config: budget, evaluation, logging, files.
        num_envs: over all devices.
        eval_params: constants of the envs of an evaluation; None takes those of update 0, and the
            env's default where each env has its own.
        description: what trackers and checkpoints record; None describes what is passed here.

    Raises:
        ConfigError: the run cannot work.
    """
    check_runner(config)
    executor = choose_executor(algorithm, env, mesh_of(config), num_envs)
    algorithm.check(num_envs)
    n_updates = check_budget(config.total_timesteps, algorithm.rollout_length * num_envs)
    first_params = params_at(env_params, 0)
    check_expert(algorithm, env, first_params)
    trainable = fit_for_training(env, first_params, num_envs, algorithm.metrics)
    run = Run(
        algorithm=algorithm,
        env=fit_for_rollouts(algorithm, trainable),
        env_params=env_params,
        first_params=first_params,
        eval_params=shared_params(env, first_params) if eval_params is None else eval_params,
        config=config,
        num_envs=num_envs,
        n_updates=n_updates,
        each_episode=algorithm.reports_episodes
        if config.log_episodes is None
        else config.log_episodes,
        description=description or describe_run(algorithm, env, config),
        executor=executor,
    )
    check_warmup(run)
    return run


def fit_for_rollouts(algorithm: Algorithm, env: AnyEnvironment) -> AnyEnvironment:
    """The env, which waits after each rollout's episode if the algorithm asks for whole ones.

    Raises:
        ConfigError: it does, and the env is stepped by Python.
    """
    if not algorithm.whole_episodes:
        return env
    if isinstance(env, HostEnvironment):
        raise ConfigError(
            "whole_episodes True needs an environment in JAX, and this one is stepped by Python: "
            "turn it off."
        )
    return WholeEpisodesWrapper(env, algorithm.rollout_length)


def prepare_together(prepare: Callable[[], Run]) -> Run:
    """The run to train, which each process prepares; what is refused in one is refused in all.

    Args:
        prepare: must not wait for other processes.

    Raises:
        ConfigError: the run cannot work, its replay does not fit, or the processes' runs differ.
    """
    run = run_together(prepare)
    assert run is not None
    run_together(partial(run.algorithm.check_memory, n_devices=run.executor.n_devices))
    check_same("settings and versions", plain_text([run.description, versions()]))
    return run


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


def shared_params(env: AnyEnvironment, env_params: PyTree) -> PyTree:
    """The params that all envs share; where each has a value of its own, the env's default."""
    return jax.tree.map(
        lambda x, default: default if jnp.ndim(x) > jnp.ndim(default) else x,
        env_params,
        env.default_params(),
    )


def check_warmup(run: Run) -> None:
    """Raises ConfigError if the budget ends before the algorithm itself runs."""
    if run.warmup_updates >= run.n_updates:
        raise ConfigError(
            f"warmup_steps {run.config.warmup_steps} leave nothing of total_timesteps "
            f"{run.config.total_timesteps} to learn in: give a shorter warm-up or a larger budget."
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
