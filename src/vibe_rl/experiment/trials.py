"""Trials: a hyperparameter setting trained with several seeds up to a given step, then ranked.

The state of a trial is in its members' run directories and nowhere else: to resume a trial, train
it again; what is done already is not repeated.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, NamedTuple

from vibe_rl.analysis.aggregate import aggregate
from vibe_rl.checkpoint import saved_steps
from vibe_rl.errors import NonFiniteLossError
from vibe_rl.experiment.group import Member, by_program, write_member_files
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.run_dir.group import AnyPath
from vibe_rl.runner.many.fit import OnEvaluation, fit_many
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.runner.many.session import run_many
from vibe_rl.runner.resuming import is_evaluated
from vibe_rl.runner.run import Run
from vibe_rl.system.programs import unload_programs
from vibe_rl.system.signals import StopRequest
from vibe_rl.tracking.jsonl import read_metrics


class Trial(NamedTuple):
    """A setting and its seeds."""

    name: str
    values: Mapping[str, Any]  # of the fields that vary, by dotted name
    members: Sequence[Member]  # one for each seed


class Standing(NamedTuple):
    """A trial's place in a ranking; returns are means over the episodes of the last evaluation."""

    setting: str
    values: Mapping[str, Any]
    iqm: float  # over the seeds; one that diverged counts as -inf
    low: float  # of its 95 % bootstrap interval
    high: float
    n_seeds: int
    diverged: int  # how many of them
    worst: float
    worst_seed: int
    step: int  # env steps of each seed


def train_trials(
    trials: Iterable[Trial],
    step: int | None = None,
    stop: StopRequest | None = None,
    on_evaluation: OnEvaluation | None = None,
) -> bool:
    """Trains all members up to env step `step`, or to the end; whether all got there.

    Members that can share a program do; programs run one after another. Diverged members count as
    finished.

    Args:
        trials: what to train.
        step: None is each run's whole budget.
        stop: may ask to end early; None asks at Ctrl-C and SIGTERM.
        on_evaluation: called after every evaluation of a program's members, see `fit_many`.
    """
    members = [member for trial in trials for member in trial.members]
    unfinished = [member for member in members if not is_trained(member, step)]
    fit = partial(fit_many, on_evaluation=on_evaluation)
    with StopRequest() if stop is None else nullcontext(stop) as stopping:  # one for all programs
        for group in by_program(unfinished, [member.run for member in unfinished]):
            if not stopping.requested:
                _train_program(group, step, stopping, fit)
    return all(is_trained(member, step) for member in members)


def _train_program(
    group: Sequence[Member], step: int | None, stop: StopRequest, fit: Callable[..., Any]
) -> None:
    """Trains members that share a program up to env step `step`, or to the end."""
    unload_programs()
    run = side_by_side([shorten_run(member.run, step) for member in group])
    run_dirs = [member.run_dir for member in group]
    with suppress(NonFiniteLossError):  # marked in each member's directory
        run_many(run, run_dirs, partial(write_member_files, group), stop, fit)


def updates_until(run: Run, step: int | None) -> int:
    """The number of updates after which a run has made `step` env steps; None is its budget."""
    return run.n_updates if step is None else min(-(-step // run.steps_per_update), run.n_updates)


def steps_until(run: Run, step: int | None) -> int:
    """The env steps of these updates: `step`, rounded up to whole updates within the budget."""
    return updates_until(run, step) * run.steps_per_update


def shorten_run(run: Run, step: int | None) -> Run:
    """The run up to `step`, where it is evaluated and saved; its schedules are not shortened."""
    return replace(run, n_updates=updates_until(run, step))


def is_trained(member: Member, step: int | None) -> bool:
    """Whether a member is saved at or past `step`, or has diverged."""
    saved = saved_steps(member.run_dir.checkpoints)
    newest, last = max(saved, default=0), steps_until(member.run, step)
    if newest > last or (newest == last and is_evaluated(member.run_dir.checkpoints, newest)):
        return True
    return divergence_of(member.run_dir) is not None


def rank_trials(trials: Iterable[Trial], step: int | None = None) -> list[Standing]:
    """Trials by the interquartile mean of the last evaluations up to `step`, the best first."""
    return sorted((trial_standing(trial, step) for trial in trials), key=lambda x: -x.iqm)


def trial_standing(trial: Trial, step: int | None = None) -> Standing:
    """The standing of a trial whose members are all trained up to `step`, or to the end."""
    last_steps = [steps_until(member.run, step) for member in trial.members]
    pairs = zip(trial.members, last_steps, strict=True)
    last = [last_return(member.run_dir, limit) for member, limit in pairs]
    returns = [-inf if x is None else x for x in last]
    worst = returns.index(min(returns))
    iqm, low, high, n_seeds = aggregate(returns)
    return Standing(
        setting=trial.name,
        values=trial.values,
        iqm=iqm,
        low=low,
        high=high,
        n_seeds=n_seeds,
        diverged=returns.count(-inf),
        worst=returns[worst],
        worst_seed=trial.members[worst].config.runner.seed,
        step=last_steps[0],
    )


def last_return(path: AnyPath, step: float | int = inf) -> float | None:
    """The mean return of a run's last evaluation up to `step`; -inf if it diverged, or None."""
    run_dir = RunDir.open(path)
    divergence = divergence_of(run_dir)
    if divergence is not None and divergence.step <= step:
        return -inf
    rows = [row for row in read_metrics(run_dir.log_path()) if row["step"] <= step]
    return next((x for row in reversed(rows) if (x := row.get("eval_return")) is not None), None)
