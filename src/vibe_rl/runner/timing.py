"""Where the time of a run goes, as its host sees it.

Collecting and updating are one program, which runs while the host does other things: what counts as
`chunks` is how long the host waits for it.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from vibe_rl.runner.evaluation import Evaluation
from vibe_rl.runner.evaluator import EvalMetrics

Item = TypeVar("Item")

PHASES = ("compile", "chunks", "evaluate", "save", "host", "data")
"""Calls that compile, waiting for chunks of updates, evaluations, checkpoints, all else on the
host, and waiting for env_params."""
TIMES = {
    "data_time": ("data",),
    "training_time": ("compile", "chunks"),
    "eval_time": ("evaluate",),
    "log_time": ("save", "host"),
    "iter_time": PHASES,
}
"""Seconds in rows, and the phases that each is the sum of."""
DISPATCH = "dispatch"


@dataclass
class Timing:
    """Seconds of each phase; every moment belongs to one, the innermost."""

    seconds: dict[str, float] = field(default_factory=dict)
    phase: str = "host"
    since: float = field(default_factory=time.perf_counter)
    has_evaluated: bool = False  # so that no program of evaluations has to be compiled any more

    def switch(self, phase: str) -> str:
        """Begins another phase; the one before."""
        now, before = time.perf_counter(), self.phase
        self.seconds[before] = self.seconds.get(before, 0.0) + now - self.since
        self.phase, self.since = phase, now
        return before

    @contextmanager
    def within(self, phase: str) -> Iterator[None]:
        """Counts its block as a phase."""
        before = self.switch(phase)
        try:
            yield
        finally:
            self.switch(before)

    def totals(self) -> dict[str, float]:
        """The seconds of every phase so far, to the millisecond."""
        self.switch(self.phase)
        return {phase: round(self.seconds.get(phase, 0.0), 3) for phase in PHASES}

    def waiting(self) -> AbstractContextManager[None]:
        """Counts its block as waiting for env_params."""
        return self.within("data")

    def times(self) -> dict[str, float]:
        """The seconds so far, by their names in rows."""
        self.switch(self.phase)
        return {
            name: sum(self.seconds.get(phase, 0.0) for phase in phases)
            for name, phases in TIMES.items()
        }

    def chunks(self, chunks: Iterator[Item]) -> Iterator[Item]:
        """Chunks of a run, each with its run; calls that began a schedule compiled."""
        while True:
            with self.within(DISPATCH):
                item = next(chunks, None)
            phase = "compile" if item is not None and item[1].first else "chunks"  # type: ignore[index]
            self.seconds[phase] = self.seconds.get(phase, 0.0) + self.seconds.pop(DISPATCH)
            if item is None:
                return
            yield item

    def evaluation(self, evaluation: Evaluation) -> Iterator[EvalMetrics | None]:
        """The pieces of an evaluation; the first piece of all compiled."""
        phase, self.has_evaluated = "evaluate" if self.has_evaluated else "compile", True
        while True:
            with self.within(phase):
                scores = next(evaluation)
            phase = "evaluate"
            yield scores
