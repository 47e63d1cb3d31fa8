"""`fit` for many agents: every one has rows, evaluations and checkpoints as if it were alone."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf

import jax

from vibe_rl.errors import DamagedCheckpointError, NonFiniteLossError
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.fit import FitResult, Host, drive, report_for
from vibe_rl.runner.loop import Chunk, TrainState
from vibe_rl.runner.many.members import MemberChunk, entry, members_of
from vibe_rl.runner.many.runs import ManyRuns, stacked
from vibe_rl.runner.saving import Saver
from vibe_rl.runner.schedule import Stops
from vibe_rl.system.signals import StopRequest
from vibe_rl.tracking.base import Tracker

OnDivergence = Callable[[int, int, str], object]
"""Called with an agent's place, the env step at which it was noticed, and what was not finite."""
OnEvaluation = Callable[[int, list[float]], object]
"""Called with an env step and every agent's mean return there; -inf if it has diverged."""


class Hosts:
    """The host's part for every agent; where one is to be saved, all are: they go on together.

    An agent whose loss is not finite is left alone from then on: it is computed with the others,
    but neither logged nor saved any more.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        on_divergence: OnDivergence | None = None,
        on_evaluation: OnEvaluation | None = None,
    ):
        self.hosts, self.on_divergence = list(hosts), on_divergence
        self.on_evaluation = on_evaluation
        self.diverged: dict[int, str] = {}  # what was not finite, by the agent's place

    @property
    def going(self) -> list[tuple[int, Host]]:
        """Those that have not diverged, with their places."""
        return [(i, host) for i, host in enumerate(self.hosts) if i not in self.diverged]

    @property
    def restore(self) -> Callable[[], TrainState] | None:
        """What gives the states to go on from, if every agent has one."""
        restores = [host.restore for host in self.hosts]
        if any(restore is None for restore in restores):
            return None
        return lambda: stacked([restore() for restore in restores])  # type: ignore[misc]

    def begin(self) -> int:
        """How many updates have been made before, by every agent."""
        updates = {host.begin() for host in self.hosts}
        if len(updates) > 1:
            raise DamagedCheckpointError(
                f"the agents stand at updates {sorted(updates)}, for a checkpoint of one is "
                "damaged: resume once more, from the step that all of them have."
            )
        return updates.pop()

    def longest(self) -> int:
        """How many updates a chunk should have at most."""
        return self.going[0][1].longest()

    def stops(self) -> Stops:
        """What a chunk may not go on past, besides evaluations."""
        return self.hosts[0].stops()

    def after(self, chunk: Chunk, update: int, scores: EvalMetrics | None) -> None:
        """Handles a chunk of all agents."""
        parts = members_of(chunk, len(self.hosts))
        each = self._apart(scores)
        for i, host in self.going:
            with self._surviving(i, update):
                host.observe(parts[i], update, each[i])
        if self.hosts[0].saver is not None:
            self._save(parts, update, each)
        if scores is not None and self.on_evaluation is not None:
            self._tell(update, each, self.on_evaluation)

    def _tell(
        self, update: int, each: Sequence[EvalMetrics | None], on_evaluation: OnEvaluation
    ) -> None:
        self.flush(update)
        returns = [float(scores.mean_return) for scores in each if scores is not None]
        found = [-inf if i in self.diverged else x for i, x in enumerate(returns)]
        on_evaluation(update * self.hosts[0].run.steps_per_update, found)

    def flush(self, update: int) -> None:
        """Waits until all that was learned so far is logged: only then it is known who diverged."""
        for i, host in self.going:
            with self._surviving(i, update):
                host.flush()

    def _apart(self, scores: EvalMetrics | None) -> list[EvalMetrics | None]:
        n_members = len(self.hosts)
        if scores is None:
            return [None] * n_members
        on_host = jax.device_get(scores)
        return [jax.tree.map(lambda column, i=i: column[i], on_host) for i in range(n_members)]

    def _save(
        self, parts: Sequence[MemberChunk], update: int, each: Sequence[EvalMetrics | None]
    ) -> None:
        savers: dict[int, Saver] = {i: host.saver for i, host in self.going}  # type: ignore[misc]
        if not any([saver.due(update, each[i]) for i, saver in savers.items()]):  # all are asked
            return
        began = time.monotonic()
        self._save_all(parts, update, each)
        for saver in savers.values():
            saver.took(time.monotonic() - began)

    def _save_all(
        self, parts: Sequence[MemberChunk], update: int, each: Sequence[EvalMetrics | None]
    ) -> None:
        for i, host in self.going:
            with self._surviving(i, update):
                host.save(parts[i].state, update, each[i])

    def end(self, update: int, state: TrainState) -> list[FitResult]:
        """Handles what is left of every agent."""
        return [self._result(i, host, update, entry(state, i)) for i, host in enumerate(self.hosts)]

    def _result(self, i: int, host: Host, update: int, state: TrainState) -> FitResult:
        with self._surviving(i, update):
            if i not in self.diverged:
                return host.end(update, state)
        step, history = update * host.run.steps_per_update, host.report.table()
        return FitResult(state, step, update, history, None, False, self.diverged[i])

    @contextmanager
    def _surviving(self, i: int, update: int) -> Iterator[None]:
        """Takes note of an agent that diverges; the last one ends the run."""
        host = self.hosts[i]
        try:
            yield
        except NonFiniteLossError as error:
            self.diverged[i] = str(error)
            if self.on_divergence is not None:
                self.on_divergence(i, update * host.run.steps_per_update, str(error))
            if not self.going:
                raise NonFiniteLossError(
                    f"no agent is left; seed {host.run.config.seed}: {error}"
                ) from None


def fit_many(
    run: ManyRuns,
    trackers: Sequence[Tracker | None] | None = None,
    savers: Sequence[Saver | None] | None = None,
    stop: StopRequest | None = None,
    on_divergence: OnDivergence | None = None,
    on_evaluation: OnEvaluation | None = None,
) -> list[FitResult]:
    """Trains all agents for their budget; trackers and savers have an entry for each of them.

    One whose loss becomes NaN or infinite is told to `on_divergence`, and the others go on. Every
    evaluation is told to `on_evaluation`, once it is logged and saved.

    Raises:
        NonFiniteLossError: no other is left.
    """
    hosts = Hosts(hosts_of(run, trackers, savers), on_divergence, on_evaluation)
    return drive(run, hosts, stop)


def hosts_of(
    run: ManyRuns,
    trackers: Sequence[Tracker | None] | None = None,
    savers: Sequence[Saver | None] | None = None,
) -> list[Host]:
    """The host's part for every agent."""
    none = [None] * len(run.members)
    return [
        Host(member, report_for(member, tracker), None, saver)
        for member, tracker, saver in zip(
            run.members, trackers or none, savers or none, strict=True
        )
    ]
