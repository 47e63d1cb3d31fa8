"""A run that is a trial of a sweep tells of its evaluations, and may be ended early."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from vibe_rl.runner.fit import Callback
from vibe_rl.runner.rows import Row
from vibe_rl.types import PyTree

Report = Callable[[float, int], bool]
"""Called with a figure and the env step of an evaluation; whether to end the trial there."""
_report: ContextVar[Report | None] = ContextVar("report", default=None)


@contextmanager
def reporting_to(report: Report) -> Iterator[None]:
    """In its block, runs of this process tell of their evaluations."""
    token = _report.set(report)
    try:
        yield
    finally:
        _report.reset(token)


def in_trial() -> bool:
    """Whether somebody wants to know of the evaluations of runs."""
    return _report.get() is not None


def trial_callback(objective: str | None) -> Callback | None:
    """What tells of a run's evaluations; None where nobody wants to know."""
    report = _report.get()
    if report is None:
        return None

    def tell(step: int, agent_state: PyTree, metrics: Row) -> bool | None:
        figure = figure_of(metrics, objective)
        return False if figure is not None and report(figure, step) else None

    return tell


def figure_of(metrics: Row, objective: str | None) -> float | None:
    """What a sweep maximizes, if a row has an evaluation; success, if nothing is named.

    The return where the environment tells of no success.
    """
    wanted = ("success", "return") if objective is None else (objective,)
    names = (
        f"eval_{name}{how}" for name in wanted for how in ("", "_mean", "_max", "_min", "_sum")
    )
    return next((float(metrics[name]) for name in names if name in metrics), None)
