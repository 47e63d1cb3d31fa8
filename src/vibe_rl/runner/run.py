"""A run before it begins: what it will do and when, and whether it can work at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.algorithms.off_policy import OffPolicy, without_ring
from vibe_rl.algorithms.warmup import Warmup
from vibe_rl.env.base import Environment
from vibe_rl.env.host import AnyEnvironment, HostEnvironment
from vibe_rl.errors import ConfigError
from vibe_rl.runner.config import RunnerConfig, check_budget, check_replay_unused, check_runner
from vibe_rl.runner.env_checks import fit_for_training
from vibe_rl.runner.evaluator import EvalMetrics, jit_evaluate_agent
from vibe_rl.runner.host_env import evaluate_on_host, jit_init, opened, run_chunk_of_worlds
from vibe_rl.runner.hybrid import run_chunk_on_host
from vibe_rl.runner.loop import (
    Chunk,
    MetricTable,
    TrainState,
    chunk_capacity,
    jit_start,
    run_chunk,
    start,
    training,
)
from vibe_rl.runner.placement import (
    check_divides,
    mesh_of,
    on_one_device,
    placed_shapes,
    placement,
    run_chunk_on,
    start_on,
)
from vibe_rl.runner.schedule import Stops, evaluation_key, next_due, stream
from vibe_rl.types import Key, PyTree


@dataclass(frozen=True)
class Run:
    """What is fixed before a run begins; made by `prepare`, which refuses what cannot work."""

    algorithm: Algorithm
    env: AnyEnvironment  # resets itself and counts its episodes
    env_params: PyTree
    config: RunnerConfig
    num_envs: int
    n_updates: int
    mesh: Mesh | None = None  # of the devices, if there are several

    @property
    def steps_per_update(self) -> int:
        """Env steps, over all envs."""
        return self.algorithm.rollout_length * self.num_envs

    @property
    def off_policy(self) -> OffPolicy | None:
        """The algorithm, if it has a replay."""
        return self.algorithm if isinstance(self.algorithm, OffPolicy) else None

    @property
    def run_chunk(self) -> Callable[..., tuple[TrainState, MetricTable]]:
        """What runs a chunk, by who has a part in it."""
        if isinstance(self.env, HostEnvironment):
            return run_chunk_of_worlds
        if self.waits:
            return run_chunk_on_host
        if self.mesh is not None:
            return run_chunk_on(placement(self._shapes(), self.mesh), self.mesh)
        return run_chunk

    @property
    def _start(self) -> Callable[..., TrainState]:
        """What makes the first state where it is to be."""
        if self.mesh is None:
            return jit_start
        return start_on(placement(self._shapes(), self.mesh))

    @property
    def waits(self) -> bool:
        """Whether chunks are complete when they are yielded, for the host had a part in them."""
        ring_on_host = self.off_policy is not None and self.off_policy.on_host
        return ring_on_host or isinstance(self.env, HostEnvironment)

    @property
    def warmup_updates(self) -> int:
        """Updates at the beginning that act at random and learn nothing."""
        return 0 if self.off_policy is None else self.off_policy.warmup_updates

    def check_memory(self) -> None:
        """Raises ConfigError if there is a replay and it does not fit."""
        if self.off_policy is not None:
            self.off_policy.check_memory(n_devices=self.mesh.size if self.mesh else 1)

    @contextmanager
    def started(self, restore: Callable[[], TrainState] | None = None) -> Iterator[TrainState]:
        """The first state, or the one that `restore` gives.

        Worlds on the host are closed when the block ends; none is restored, they begin anew.
        """
        key = stream(self.config.seed, "training")
        restored = None if restore is None else self._placed(restore())
        if isinstance(self.env, HostEnvironment):
            agent_key, world_key, key = jax.random.split(key, 3)
            with opened(self.env, world_key, self.num_envs) as worlds:
                if restored is None:
                    agent_state = jit_init(self.algorithm, agent_key)
                    restored = self._with_ring(TrainState(agent_state, (), (), key))
                yield restored._replace(env_state=worlds, obs=worlds.obs)
        elif restored is None:
            how = (self.algorithm, self.env, self.env_params, key)
            yield self._with_ring(self._start(*how, num_envs=self.num_envs))
        else:
            yield restored

    def _placed(self, state: TrainState) -> TrainState:
        if self.mesh is None:
            return state
        return jax.device_put(state, placement(state, self.mesh))

    def shapes(self) -> TrainState:
        """What the state will look like, without worlds on the host; nothing is computed."""
        shapes = self._shapes()
        return shapes if self.mesh is None else placed_shapes(shapes, self.mesh)

    def _shapes(self) -> TrainState:
        key = jax.eval_shape(partial(stream, self.config.seed, "training"))
        if isinstance(self.env, HostEnvironment):
            state = TrainState(jax.eval_shape(self.algorithm.init, key), (), (), key)  # type: ignore[arg-type]
        else:
            begin = partial(start, self.algorithm, self.env, num_envs=self.num_envs)
            state = jax.eval_shape(begin, self.env_params, key)
        return self._with_ring(state)

    def _with_ring(self, state: TrainState) -> TrainState:
        learner = self.off_policy
        if learner is None or not learner.on_host:
            return state
        return state._replace(agent_state=learner.with_empty_ring(state.agent_state))

    def next_row(self, update: int) -> int:
        """The next update with which a row of metrics ends; with the last one, one always does."""
        return min(self._next_regular_row(update), self.n_updates)

    def ends_early(self, update: int) -> bool:
        """Whether a row ends here only because the run does: a longer run's would not."""
        return self._next_regular_row(update - 1) > update

    def _next_regular_row(self, update: int) -> int:
        """The same in a run without end."""
        intervals = [self.config.log_interval or self.steps_per_update]
        if self._evaluates_regularly:
            intervals.append(self.config.eval_every)
        return min(next_due(interval, self.steps_per_update, update) for interval in intervals)

    @property
    def _evaluates_regularly(self) -> bool:
        return self.config.eval_every > 0 and self.config.eval_episodes > 0

    def next_evaluation(self, update: int) -> int:
        """The next update after which the agent is evaluated; after the last one it always is."""
        if not self._evaluates_regularly:
            return self.n_updates
        due = next_due(self.config.eval_every, self.steps_per_update, update)
        return min(due, self.n_updates)

    def evaluates_after(self, update: int) -> bool:
        """Whether the agent is evaluated after this update."""
        return self.config.eval_episodes > 0 and self.next_evaluation(update - 1) == update

    def stages(self) -> list[tuple[Any, int, int]]:
        """What runs from which update to which: the warm-up, if there is one, and the algorithm."""
        learning = (self.algorithm, self.warmup_updates, self.n_updates)
        if self.off_policy is None:
            return [learning]
        return [(Warmup(self.off_policy), 0, self.warmup_updates), learning]

    def chunks(
        self, state: TrainState, longest: Callable[[], int], stops: Stops, update: int = 0
    ) -> Iterator[Chunk]:
        """Runs the warm-up, if there is one, and then learns, from `update` on; see `schedule`."""
        for algorithm, begin, end in self.stages():
            schedule = self.schedule(max(begin, update), end, longest, stops)
            how = self.off_policy is not None, self.run_chunk
            for chunk in training(algorithm, self.env, state, schedule, *how):
                state = chunk.state
                yield chunk

    def schedule(
        self, begin: int, end: int, longest: Callable[[], int], stops: Stops
    ) -> Iterator[tuple[int, PyTree]]:
        """Chunks of the updates from `begin` to `end`, at most `longest()` at once.

        None goes on past an evaluation, nor past what `stops` name as the next update to stop at.
        How updates are cut into chunks changes no bit of what is learned or logged.
        """
        capacity = chunk_capacity(self.steps_per_update)
        while begin < end:
            most = min(max(longest(), 1), capacity)
            stop = min(following(begin) for following in (self.next_evaluation, *stops))
            n_updates = min(begin + most, end, stop) - begin
            yield n_updates, self.env_params
            begin += n_updates

    def evaluate(self, agent_state: PyTree, update: int) -> EvalMetrics | None:
        """Greedy episodes of this very state, if it is time; the result may be under way."""
        if not self.evaluates_after(update):
            return None
        policy = self.algorithm, on_one_device(without_ring(agent_state), self.mesh)
        return self.score(policy, evaluation_key(self.config.seed, update))

    def score(
        self, policy: tuple[Algorithm, PyTree], rng: Key, episodes: int | None = None
    ) -> EvalMetrics:
        """Greedy episodes of `(algorithm, agent_state)`; None takes the config's eval_episodes."""
        n_episodes, max_steps = episodes or self.config.eval_episodes, self.config.eval_max_steps
        if isinstance(self.env, HostEnvironment):
            return evaluate_on_host(policy, self.env, n_episodes, max_steps, rng)
        return jit_evaluate_agent(
            policy,
            self.env,
            evaluation_world(self.env, self.env_params),
            n_episodes=n_episodes,
            max_steps=max_steps,
            rng=rng,
        )


def evaluation_world(env: Environment, env_params: PyTree) -> PyTree:
    """The world that all envs share; where each has a number of its own, the env's default."""
    return jax.tree.map(
        lambda x, d: d if jnp.ndim(x) > jnp.ndim(d) else x, env_params, env.default_params()
    )


def prepare(
    algorithm: Algorithm,
    env: AnyEnvironment,
    env_params: PyTree,
    config: RunnerConfig,
    num_envs: int,
) -> Run:
    """Checks everything that can be checked without compiling or writing.

    Raises:
        ConfigError: the run cannot work.
    """
    check_runner(config)
    mesh = mesh_of(config)
    check_divides(env, num_envs, mesh)
    if not isinstance(algorithm, OffPolicy):
        check_replay_unused(config)
    algorithm.check(num_envs)
    env = fit_for_training(env, env_params, num_envs)
    n_updates = check_budget(config.total_timesteps, algorithm.rollout_length * num_envs)
    run = Run(algorithm, env, env_params, config, num_envs, n_updates, mesh)
    if run.warmup_updates >= n_updates:
        raise ConfigError(
            f"warmup_steps {config.warmup_steps} leave nothing of total_timesteps "
            f"{config.total_timesteps} to learn in: give a shorter warm-up or a larger budget."
        )
    return run
