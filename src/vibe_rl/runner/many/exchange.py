"""Many agents of which some take over the states of others and go on with other numbers.

The device's and the host's part in population-based training (Jaderberg et al. 2017,
arXiv:1711.09846). States are exchanged in memory, between two chunks; numbers are leaves, so no
program is compiled for others. Checkpoints are of the states before an exchange: what goes on from
one exchanges again, and as the choice is determined, comes to the same.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.fit import FitResult, Host, drive
from vibe_rl.runner.loop import Chunk, TrainState
from vibe_rl.runner.many.fit import Hosts, OnDivergence, hosts_of
from vibe_rl.runner.many.members import MemberChunk
from vibe_rl.runner.many.runs import ManyRuns, side_by_side, spread
from vibe_rl.runner.run import Run
from vibe_rl.runner.saving import Saver
from vibe_rl.runner.schedule import Stops, next_due
from vibe_rl.system.signals import StopRequest
from vibe_rl.tracking.base import Tracker
from vibe_rl.types import PyTree


@runtime_checkable
class Breeder(Protocol):
    """Who decides whose state each agent goes on with, and with which numbers."""

    runs: list[Run]
    """The agents', with the numbers of now."""

    def begin(self, step: int, diverged: Mapping[int, str]) -> None:
        """Training goes on at env step `step`, before an exchange there; see `Hosts.diverged`."""
        ...

    def exchange(self, step: int) -> Sequence[int]:
        """The place of the agent whose state each of them has from now on."""
        ...


class PopulationHosts(Hosts):
    """The host's part for agents that exchange states.

    One that diverged is saved as it is: it waits for the state of another, in a resumed run too.
    """

    def __init__(self, hosts: Sequence[Host], on_divergence: OnDivergence, breeder: Breeder):
        super().__init__(hosts, on_divergence)
        self.breeder = breeder
        self.now = side_by_side(breeder.runs)

    def begin(self) -> int:
        """How many updates have been made before, by every agent."""
        update = super().begin()
        reasons = [saver.progress().diverged for saver in self._savers]
        self.diverged = {i: reason for i, reason in enumerate(reasons) if reason is not None}
        self.breeder.begin(update * self.hosts[0].run.steps_per_update, self.diverged)
        self._take_numbers()
        return update

    def exchange(self, update: int) -> Sequence[int]:
        """See `Breeder`."""
        self.flush(update)
        sources = self.breeder.exchange(update * self.hosts[0].run.steps_per_update)
        for i, source in enumerate(sources):
            if source != i and self.diverged.pop(i, None) is not None:
                self.hosts[i].report.unfinished = []
                self._savers[i].notes.pop("diverged", None)
        self._take_numbers()
        return sources

    @property
    def _savers(self) -> list[Saver]:
        return [host.saver for host in self.hosts]  # type: ignore[misc]

    def _take_numbers(self) -> None:
        """Trains with the breeder's numbers from now on, and notes them with every checkpoint."""
        self.now = side_by_side(self.breeder.runs)
        for saver, run in zip(self._savers, self.breeder.runs, strict=True):
            algo = plain(run.algorithm.config)  # type: ignore[attr-defined]
            saver.notes["settings"] = {**saver.notes["settings"], "algo": algo}

    def _save_all(
        self, parts: Sequence[MemberChunk], update: int, each: Sequence[EvalMetrics | None]
    ) -> None:
        super()._save_all(parts, update, each)
        for i in self.diverged:
            self._noted(i).save(update, parts[i].state, [], None)

    def _result(self, i: int, host: Host, update: int, state: TrainState) -> FitResult:
        result = super()._result(i, host, update, state)
        if i in self.diverged:
            self._noted(i).finish(update, state, [], None)
        return result

    def _noted(self, i: int) -> Saver:
        """What saves an agent that diverged, and says so."""
        self._savers[i].notes["diverged"] = self.diverged[i]
        return self._savers[i]


@dataclass(frozen=True)
class Population(ManyRuns):
    """Runs side by side that exchange states; made by `fit_population`."""

    every: int = 0  # env steps from one exchange to the next
    hosts: Any = None  # PopulationHosts

    def evaluate(self, agent_state: PyTree, update: int) -> EvalMetrics | None:
        """See `ManyRuns`."""
        return self.hosts.now.evaluate(agent_state, update)

    def next_exchange(self, update: int) -> int:
        """The first update after `update` with which the agents exchange states."""
        return next_due(self.every, self.steps_per_update, update)

    def chunks(
        self, state: TrainState, longest: Callable[[], int], stops: Stops, update: int = 0
    ) -> Iterator[Chunk]:
        """See `Run`; agents exchange states between chunks, but not after the last one."""
        while update < self.n_updates:
            if update > 0 and self.next_exchange(update - 1) == update:
                state = self.exchanged(state, update)
            end = min(self.next_exchange(update), self.n_updates)
            part = dataclasses.replace(self.hosts.now, n_updates=end)
            for chunk in part.chunks(state, longest, stops, update):
                state, update = chunk.state, update + chunk.n_updates
                yield chunk

    def exchanged(self, state: TrainState, update: int) -> TrainState:
        """The states with which all go on."""
        sources = jnp.asarray(self.hosts.exchange(update))
        return _taken_over(self.mesh)(state, sources)


@lru_cache(maxsize=8)
def _taken_over(mesh: Mesh | None) -> Callable[[TrainState, jax.Array], TrainState]:
    """What gives every agent the state of another, on the device where it is."""
    where: dict[str, Any] = {} if mesh is None else {"out_shardings": spread(mesh)}
    return jax.jit(taken_over, donate_argnums=0, **where)


def taken_over(state: TrainState, sources: jax.Array) -> TrainState:
    """The states of `sources`, whose worlds are theirs too; streams of keys stay one's own."""

    def of_source(x: jax.Array) -> jax.Array:
        return x if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x[sources]

    return TrainState(
        agent_state=jax.tree.map(of_source, state.agent_state),
        env_state=jax.tree.map(lambda x: x[sources], state.env_state),
        obs=jax.tree.map(lambda x: x[sources], state.obs),
        key=state.key,
    )


def fit_population(
    run: ManyRuns,
    trackers: Sequence[Tracker],
    savers: Sequence[Saver],
    stop: StopRequest,
    on_divergence: OnDivergence,
    *,
    every: int,
    breeder: Breeder,
) -> list[FitResult]:
    """See `fit_many`; every `every` env steps the agents exchange states as `breeder` decides.

    Raises:
        NonFiniteLossError: all have diverged since the last exchange.
    """
    hosts = PopulationHosts(hosts_of(run, trackers, savers), on_divergence, breeder)
    shared = {f.name: getattr(run, f.name) for f in dataclasses.fields(ManyRuns)}
    return drive(Population(**shared, every=every, hosts=hosts), hosts, stop)
