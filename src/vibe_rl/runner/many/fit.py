"""`fit` for many agents: every one has rows, evaluations and checkpoints as if it were alone."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple

import jax

from vibe_rl.errors import DamagedCheckpointError, NonFiniteLossError
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.runner.fit import FitResult, Host, drive_chunks, evaluate_apart, row_writer
from vibe_rl.runner.loop import Chunk, TrainState, empty_chunk
from vibe_rl.runner.many.exchange import Exchanger, take_over
from vibe_rl.runner.many.runs import ManyRuns, stack
from vibe_rl.runner.many.slices import entry_of_each, split_table
from vibe_rl.runner.resuming import Found
from vibe_rl.runner.run import Run
from vibe_rl.runner.saving import Saver
from vibe_rl.runner.schedule import Stops, next_due
from vibe_rl.runner.timing import Timing
from vibe_rl.system.signals import StopRequest, unless_interrupted
from vibe_rl.tracking.base import LogBackend

OnDivergence = Callable[[int, int, str], object]
"""Called with an agent's place, the env step at which it was noticed, and what was not finite."""
OnEvaluation = Callable[[int, list[float]], object]
"""Called with an env step and every agent's mean return there; -inf if it has diverged."""


class MemberFiles(NamedTuple):
    """Where one of many agents is logged and saved, and resumes."""

    tracker: LogBackend | None = None
    saver: Saver | None = None
    found: Found | None = None


@dataclass
class Hosts:
    """The host's part for every agent; where one is to be saved, all are: they resume together.

    An agent whose loss is not finite is left alone from then on: it is computed with the others,
    but neither logged nor saved any more. Where agents exchange states it is saved as it is, for it
    waits for the state of another.
    """

    hosts: Sequence[Host]
    exchanger: Exchanger | None = None
    on_divergence: OnDivergence | None = None
    on_evaluation: OnEvaluation | None = None
    diverged: dict[int, str] = field(default_factory=dict)  # what was not finite, by place

    @property
    def sound(self) -> list[tuple[int, Host]]:
        """Those that have not diverged, with their places."""
        return [(i, host) for i, host in enumerate(self.hosts) if i not in self.diverged]

    @property
    def timing(self) -> Timing:
        """Where the time of all of them together goes."""
        return self.hosts[0].timing

    @property
    def steps_per_update(self) -> int:
        """Env steps of each agent."""
        return self.hosts[0].run.steps_per_update

    def begin(self) -> tuple[TrainState | None, int]:
        """The states to resume with, if every agent has one, and the updates made before."""
        reasons = [None if host.found is None else host.found.diverged for host in self.hosts]
        self.diverged = {i: reason for i, reason in enumerate(reasons) if reason is not None}
        states, updates = zip(*(host.begin() for host in self.hosts), strict=True)
        if len(set(updates)) > 1:
            raise DamagedCheckpointError(
                f"the agents stand at updates {sorted(set(updates))}, for a checkpoint of one is "
                "damaged: resume once more, from the step that all of them have."
            )
        if self.exchanger is not None:
            self.exchanger.begin(updates[0] * self.steps_per_update, self.diverged)
        return None if None in states else stack(states), updates[0]

    def chunks(self, run: Run, state: TrainState, update: int) -> Iterator[tuple[Run, Chunk]]:
        """The chunks from `update` on, with an exchange wherever one is due but after the last."""
        run = self._with_hyperparameters(run)
        if any(host.found and host.found.evaluation_is_cut for _, host in self.sound):
            yield run, empty_chunk(state)
        while update < run.n_updates:
            if self.next_exchange(update - 1) == update:
                state = self.exchange(state, update)
                run = self._with_hyperparameters(run)
            until = min(self.next_exchange(update), run.n_updates)
            how, waiting = (self.longest, self.stops()), self.timing.waiting
            for chunk in run.chunks(state, *how, update, until, waiting):
                state, update = chunk.state, update + chunk.n_updates
                self._start_clocks(chunk, update)
                yield run, chunk

    def _start_clocks(self, chunk: Chunk, update: int) -> None:
        for i, host in self.sound:
            with self._surviving(i, update):
                host.start_clock(chunk, update)

    def longest(self, first: bool) -> int:
        """How many updates a chunk should have at most."""
        return self.sound[0][1].longest(first)

    def evaluate(
        self, run: Run, chunk: Chunk, update: int, stop: StopRequest
    ) -> EvalMetrics | None:
        """The evaluations of all agents that are due, unless none are or they are cut short."""
        if not run.due.evaluates_after(update):
            return None
        self.flush(update)
        speedometers = [host.rows.speedometer for host in self.hosts]
        return evaluate_apart(run, chunk, update, speedometers, self.timing, stop)

    def stops(self) -> Stops:
        """What a chunk may not cross, besides evaluations."""
        return self.hosts[0].stops()

    def next_exchange(self, update: int) -> int:
        """The first update after `update` with which the agents exchange states, if ever."""
        if self.exchanger is None or update < 0:
            return sys.maxsize
        return next_due(self.exchanger.every, self.steps_per_update, update)

    def exchange(self, state: TrainState, update: int) -> TrainState:
        """The states with which all continue, each with its present hyperparameters."""
        assert self.exchanger is not None
        self.flush(update)
        sources = self.exchanger.exchange(update * self.steps_per_update)
        for i, source in enumerate(sources):
            if source != i and self.diverged.pop(i, None) is not None:
                self.hosts[i].rows.unfinished = []
                self._saver(i).notes.pop("diverged", None)
        return take_over(state, sources)

    def _with_hyperparameters(self, run: Run) -> Run:
        """The run with the exchanger's, which every checkpoint notes from now on."""
        if self.exchanger is None:
            return run
        algorithms = [member.algorithm for member in self.exchanger.runs]
        for i, algorithm in enumerate(algorithms):
            notes = self._saver(i).notes
            notes["settings"] = {**notes["settings"], "algo": plain(algorithm.config)}
        return replace(run, algorithm=stack(algorithms))

    def after(self, chunk: Chunk, update: int, scores: EvalMetrics | None) -> bool:
        """Handles a chunk of all agents; nothing but signals ends their run."""
        tables = split_table(chunk.metrics, len(self.hosts))
        each = self._apart(scores)
        for i, host in self.sound:
            with self._surviving(i, update):
                host.observe(chunk._replace(metrics=tables[i]), update, each[i])
        if self.hosts[0].saver is not None:
            self._save_if_due(chunk, update, each)
        if scores is not None and self.on_evaluation is not None:
            self.flush(update)
            returns = [float(one.mean_return) for one in each if one is not None]
            found = [-inf if i in self.diverged else x for i, x in enumerate(returns)]
            self.on_evaluation(update * self.steps_per_update, found)
        return True

    def flush(self, update: int) -> None:
        """Waits until all that was learned so far is logged: only then it is known who diverged."""
        for i, host in self.sound:
            with self._surviving(i, update):
                host.flush()

    def _apart(self, scores: EvalMetrics | None) -> list[EvalMetrics | None]:
        n_members = len(self.hosts)
        if scores is None:
            return [None] * n_members
        on_host = jax.device_get(scores)
        return [jax.tree.map(lambda column, i=i: column[i], on_host) for i in range(n_members)]

    def _save_if_due(self, chunk: Chunk, update: int, each: Sequence[EvalMetrics | None]) -> None:
        sound = [i for i, _ in self.sound]
        due = [self._saver(i).due(update, each[i]) for i in sound]  # all are asked
        made_up_for = not chunk.n_updates and any(scores is not None for scores in each)
        if not (any(due) or made_up_for):
            return
        began = time.monotonic()
        for i, host in self.sound:
            with self._surviving(i, update):
                host.save(chunk._replace(state=entry_of_each(chunk.state, i)), update, each[i])
        for i in self._diverged_and_saved():
            self._saver(i).save(update, entry_of_each(chunk.state, i), [], None)
        for i in sound:
            self._saver(i).took(time.monotonic() - began)

    def _diverged_and_saved(self) -> list[int]:
        """The places of agents that wait for a state, which their checkpoints note."""
        if self.exchanger is None:
            return []
        for i, reason in self.diverged.items():
            self._saver(i).notes["diverged"] = reason
        return list(self.diverged)

    def _saver(self, i: int) -> Saver:
        saver = self.hosts[i].saver
        assert saver is not None
        return saver

    def end(self, update: int, state: TrainState, signal: int) -> list[FitResult]:
        """Handles what is left of every agent."""
        each = range(len(self.hosts))
        results = [self._result(i, update, entry_of_each(state, i), signal) for i in each]
        seconds = self.timing.totals()  # of all together, at one moment
        return [result._replace(seconds=seconds) for result in results]

    def _result(self, i: int, update: int, state: TrainState, signal: int) -> FitResult:
        host = self.hosts[i]
        with self._surviving(i, update):
            if i not in self.diverged:
                return host.end(update, state, signal)
        if i in self._diverged_and_saved():
            self._saver(i).finish(update, state, [], None)
        return FitResult(
            state=state,
            step=update * self.steps_per_update,
            updates=update,
            history=host.rows.table(),
            evaluation=None,
            interrupted=False,
            diverged=self.diverged[i],
            signal=signal,
        )

    @contextmanager
    def _surviving(self, i: int, update: int) -> Iterator[None]:
        """Takes note of an agent that diverges; the last one ends the run."""
        try:
            yield
        except NonFiniteLossError as error:
            self.diverged[i] = str(error)
            if self.on_divergence is not None:
                self.on_divergence(i, update * self.steps_per_update, str(error))
            if not self.sound:
                raise NonFiniteLossError(
                    f"no agent is left; seed {self.hosts[i].run.config.seed}: {error}"
                ) from None


def fit_many(
    many: ManyRuns,
    files: Sequence[MemberFiles] | None = None,
    stop: StopRequest | None = None,
    on_divergence: OnDivergence | None = None,
    on_evaluation: OnEvaluation | None = None,
    exchanger: Exchanger | None = None,
) -> list[FitResult]:
    """Trains all agents for their budget.

    Args:
        many: see `side_by_side`.
        files: where each is logged and saved, and resumes; None: nowhere.
        stop: may ask all to end early; None asks at Ctrl-C or SIGTERM.
        on_divergence: called with every agent whose loss becomes NaN or infinite; see
            `OnDivergence`. The others continue.
        on_evaluation: called with every evaluation, once it is logged, and saved if a checkpoint is
            due; see `OnEvaluation`.
        exchanger: lets agents take over each other's states; needs savers.

    Raises:
        NonFiniteLossError: no agent is left, or none since the last exchange.
        TrainingInterrupted: at Ctrl-C or SIGTERM, if there is no `stop`.
    """
    pairs = zip(many.members, files or [MemberFiles()] * len(many.members), strict=True)
    timing = Timing()
    hosts = [
        Host(run, row_writer(run, tracker), saver=saver, found=found, timing=timing)
        for run, (tracker, saver, found) in pairs
    ]
    results = drive_chunks(many.run, Hosts(hosts, exchanger, on_divergence, on_evaluation), stop)
    return results if stop is not None else unless_interrupted(results, results[0].signal)
