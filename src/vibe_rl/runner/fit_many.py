"""`fit` for many agents: every one has rows, evaluations and checkpoints as if it were alone."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import jax

from vibe_rl.errors import DamagedCheckpointError, NonFiniteLossError
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.fit import FitResult, Host, drive, report_for
from vibe_rl.runner.interrupt import StopRequest
from vibe_rl.runner.loop import Chunk, TrainState
from vibe_rl.runner.many import ManyRuns, stacked
from vibe_rl.runner.member import MemberChunk, members_of
from vibe_rl.runner.prepare import Stops
from vibe_rl.runner.saving import Saver
from vibe_rl.tracking.base import Tracker


class Hosts:
    """The host's part for every agent; where one is to be saved, all are: they go on together."""

    def __init__(self, hosts: Sequence[Host]):
        self.hosts, self.first = list(hosts), hosts[0]

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
        return self.first.longest()

    def stops(self) -> Stops:
        """What a chunk may not go on past, besides evaluations."""
        return self.first.stops()

    def after(self, chunk: Chunk, update: int, scores: EvalMetrics | None) -> None:
        """Handles a chunk of all agents."""
        parts = members_of(chunk, len(self.hosts))
        each = self._apart(scores)
        for host, part, own in zip(self.hosts, parts, each, strict=True):
            with named(host):
                host.observe(part, update, own)
        if self.first.saver is not None:
            self._save(parts, update, each)

    def _apart(self, scores: EvalMetrics | None) -> list[EvalMetrics | None]:
        n_members = len(self.hosts)
        if scores is None:
            return [None] * n_members
        on_host = jax.device_get(scores)
        return [EvalMetrics(*(column[i] for column in on_host)) for i in range(n_members)]

    def _save(
        self, parts: Sequence[MemberChunk], update: int, each: Sequence[EvalMetrics | None]
    ) -> None:
        savers: list[Saver] = [host.saver for host in self.hosts]  # type: ignore[misc]
        due = [saver.due(update, scores) for saver, scores in zip(savers, each, strict=True)]
        if not any(due):
            return
        began = time.monotonic()
        for host, part, scores in zip(self.hosts, parts, each, strict=True):
            host.save(part.state, update, scores)
        for saver in savers:
            saver.took(time.monotonic() - began)

    def end(self, update: int, state: TrainState) -> list[FitResult]:
        """Handles what is left of every agent."""
        results = []
        for i, host in enumerate(self.hosts):
            with named(host):
                results.append(host.end(update, jax.tree.map(lambda x, i=i: x[i], state)))
        return results


@contextmanager
def named(host: Host) -> Iterator[None]:
    """Says whose loss it is that is not finite."""
    try:
        yield
    except NonFiniteLossError as error:
        raise NonFiniteLossError(f"seed {host.run.config.seed}: {error}") from None


def fit_many(
    run: ManyRuns,
    trackers: Sequence[Tracker | None] | None = None,
    savers: Sequence[Saver | None] | None = None,
    stop: StopRequest | None = None,
) -> list[FitResult]:
    """Trains all agents for their budget; arguments have an entry for each of them.

    Raises:
        NonFiniteLossError: a loss became NaN or infinite.
    """
    none = [None] * len(run.members)
    hosts = [
        Host(member, report_for(member, tracker), None, saver)
        for member, tracker, saver in zip(
            run.members, trackers or none, savers or none, strict=True
        )
    ]
    return drive(run, Hosts(hosts), stop)
