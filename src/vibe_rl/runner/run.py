"""A run before it begins: what it will do, and whether it can work at all."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import jax

from vibe_rl.algorithms.base import Algorithm, Stage
from vibe_rl.env.borders import BorderWrapper
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.env.params.many import entries_of, first_entries, take_entries
from vibe_rl.env.reductions import reductions
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.manifest import versions
from vibe_rl.run_dir.plain import plain_text
from vibe_rl.runner.acting import check_expert
from vibe_rl.runner.config import RunnerConfig, check_budget, check_runner
from vibe_rl.runner.env_checks import fit_for_training
from vibe_rl.runner.env_params import EnvParamsSchedule, params_at, params_of, restarts_at
from vibe_rl.runner.eval_metrics import EvalMetric, measured, unfit_metrics
from vibe_rl.runner.evaluation import Evaluation, Extent
from vibe_rl.runner.evaluator import said_of_episodes
from vibe_rl.runner.executor import Beginning, Executor
from vibe_rl.runner.loop import Chunk, Piece, TrainState, training
from vibe_rl.runner.params_memory import check_params_memory, copies_of
from vibe_rl.runner.placement import mesh_of
from vibe_rl.runner.run_parts import (
    check_schedule,
    choose_executor,
    describe_run,
    fit_for_rollouts,
    params_of_evaluation,
)
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
    eval_params: PyTree  # of the envs that an evaluation opens, or one of each per episode
    config: RunnerConfig
    num_envs: int
    n_updates: int
    executor: Executor
    each_episode: bool  # whether single episodes have rows of their own
    description: Mapping[str, Any]  # what is written down of it
    seeds: tuple[int, ...] | None = None  # of many agents in one program
    eval_metrics: Mapping[str, EvalMetric] = field(default_factory=dict)  # the user's own

    @property
    def seed(self) -> Seed:
        """The config's, or those of many agents."""
        return self.config.seed if self.seeds is None else self.seeds

    @property
    def steps_per_update(self) -> int:
        """Env steps, over all envs."""
        return self.algorithm.rollout_length * self.num_envs

    @property
    def training_env(self) -> AnyEnvironment:
        """The env, whose episodes are cut where the schedule of its params says so."""
        schedule = self.env_params
        if not isinstance(schedule, EnvParamsSchedule) or not schedule.restarts:
            return self.env
        if self.algorithm.whole_episodes:  # none goes on at the end of a rollout
            return self.env
        return BorderWrapper(self.env, schedule.every * self.algorithm.rollout_length)  # type: ignore[arg-type]

    @property
    def n_eval_episodes(self) -> int:
        """Episodes of an evaluation: those that have params of their own, or as the config says."""
        if not self.config.eval_episodes or isinstance(self.env, HostEnvironment):
            return self.config.eval_episodes
        return entries_of(self.env, self.eval_params) or self.config.eval_episodes

    @cached_property
    def placed_eval_params(self) -> PyTree:
        """The params of evaluations, on the device that evaluates."""
        return jax.device_put(self.eval_params)

    @property
    def due(self) -> Timetable:
        """When rows, evaluations and chunks end."""
        eval_every = self.config.eval_every if self.config.eval_episodes else None
        intervals = self.config.log_interval, eval_every
        return Timetable(self.n_updates, self.steps_per_update, *intervals, self.each_episode)

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
        return Beginning(self.algorithm, self.training_env, self.first_params, key, self.num_envs)

    def chunks(
        self,
        state: TrainState,
        longest: Longest,
        stops: Stops = (),
        update: int = 0,
        until: int | None = None,
        waiting: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> Iterator[Chunk]:
        """Runs the stages from `update` on, at most to `until`; see `Timetable.chunks`.

        `waiting()` is entered while env_params are waited for.
        """
        last, env = self.n_updates if until is None else until, self.training_env
        executor = self.executor
        how = {"each_episode": self.each_episode, "run_chunk": executor.run_chunk}
        how |= {"restart": executor.restart}
        place = partial(executor.place, env)
        with params_of(self.env_params, self.first_params, self.n_updates, place) as known:
            params, changes = known
            for stage, begin, end in self.stages():
                span = max(begin, update), min(end, last)
                chunks = self.due.chunks(*span, longest, (*stops, *changes))
                pieces = (self._piece(*chunk, params, waiting) for chunk in chunks)
                for chunk in training(stage, env, state, pieces, **how):
                    state = chunk.state
                    yield chunk

    def _piece(
        self,
        first: int,
        n_updates: int,
        params: Callable[[int], PyTree],
        waiting: Callable[[], AbstractContextManager[Any]],
    ) -> Piece:
        """The chunk that begins with an update."""
        with waiting():
            env_params = params(first)
        return Piece(n_updates, env_params, restarts_at(self.env_params, first))

    def evaluation(self, agent_state: PyTree, update: int) -> Evaluation:
        """The greedy episodes that belong to this update."""
        key = evaluation_key(self.seed, update)
        return self.evaluate(agent_state, key, self.n_eval_episodes)

    def evaluate(self, agent_state: PyTree, key: RunKey, episodes: int) -> Evaluation:
        """Greedy episodes of this very state, in pieces.

        Raises:
            ConfigError: not as many have params of their own.
        """
        config, env_params = self.config, self.params_of_episodes(episodes)
        how = self.algorithm, agent_state, self.env, env_params, key
        extent = Extent(episodes, config.eval_max_steps, config.eval_lanes)
        return measured(self.executor.evaluate(*how, extent), self.eval_metrics)

    def params_of_episodes(self, episodes: int) -> PyTree:
        """The params of the first episodes of an evaluation.

        Raises:
            ConfigError: not as many have params of their own.
        """
        return first_entries(self.env, self.placed_eval_params, episodes)

    def params_of_episode(self, episode: int = 0) -> PyTree:
        """The params of one episode of an evaluation, which begin anew after the last."""
        known = entries_of(self.env, self.eval_params)
        if known is None:
            return self.eval_params
        return take_entries(self.env, self.placed_eval_params, episode % known)


def prepare(
    algorithm: Algorithm,
    env: AnyEnvironment,
    env_params: PyTree,
    config: RunnerConfig,
    num_envs: int,
    *,
    eval_params: PyTree = None,
    eval_metrics: Mapping[str, EvalMetric] | None = None,
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
        eval_params: constants of the envs of an evaluation, where leaves with a leading axis give
            each episode its own: so many are played, each once. None takes what the env holds out,
            or else those of update 0, and the env's default where each env has its own.
        eval_metrics: functions of an evaluation's episodes, by their names; see `EvalMetric`.
        description: what trackers and checkpoints record; None describes what is passed here.

    Raises:
        ConfigError: the run cannot work.
    """
    check_runner(config)
    check_schedule(env, env_params)
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
        eval_params=params_of_evaluation(env, first_params, eval_params),
        config=config,
        num_envs=num_envs,
        n_updates=n_updates,
        each_episode=algorithm.reports_episodes
        if config.log_episodes is None
        else config.log_episodes,
        description=description or describe_run(algorithm, env, config),
        executor=executor,
        eval_metrics=eval_metrics or {},
    )
    check_warmup(run)
    check_evaluation(run)
    return run


def prepare_together(prepare: Callable[[], Run]) -> Run:
    """The run to train, which each process prepares; what is refused in one is refused in all.

    Args:
        prepare: must not wait for other processes.

    Raises:
        ConfigError: the run cannot work, its replay or env_params do not fit, or the processes'
            runs differ.
    """
    run = run_together(prepare)
    assert run is not None
    run_together(partial(check_memory, run))
    check_same("settings and versions", plain_text([run.description, versions()]))
    return run


def check_memory(run: Run) -> None:
    """Raises ConfigError if the devices have not the memory for the run's replay and env_params."""
    n_devices, copies = run.executor.n_devices, copies_of(run.env_params)
    run.algorithm.check_memory(n_devices=n_devices)
    check_params_memory(run.env, run.first_params, run.eval_params, copies, n_devices)


def check_evaluation(run: Run) -> None:
    """Raises ConfigError for metrics of evaluations, or params of episodes, that cannot work."""
    on_host = isinstance(run.env, HostEnvironment)
    taken = set(reductions(run.env, "episode")) if on_host else said_of_episodes(run.env)  # type: ignore[arg-type]
    for problem in unfit_metrics(run.eval_metrics, taken):
        raise ConfigError(problem)
    entries_of(run.env, run.eval_params)


def check_warmup(run: Run) -> None:
    """Raises ConfigError if the budget ends before the algorithm itself runs."""
    if run.warmup_updates >= run.n_updates:
        raise ConfigError(
            f"warmup_steps {run.config.warmup_steps} leave nothing of total_timesteps "
            f"{run.config.total_timesteps} to learn in: give a shorter warm-up or a larger budget."
        )
