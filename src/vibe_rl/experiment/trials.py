"""Trials: settings that are trained with several seeds at once, as far as one likes, and judged.

All that is known of a trial is in the run directories of its members. What was interrupted is
simply asked for again, and what is done already takes no time.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, NamedTuple

from vibe_rl.analysis.aggregate import aggregate
from vibe_rl.checkpoint import saved_steps
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import NonFiniteLossError
from vibe_rl.experiment.build import build, check_own_checkpoints, record
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.runner.many.fit import OnEvaluation, fit_many
from vibe_rl.runner.many.runs import alike, side_by_side
from vibe_rl.runner.many.session import run_many
from vibe_rl.runner.run import Run
from vibe_rl.system.programs import unload_programs
from vibe_rl.system.signals import StopRequest
from vibe_rl.tracking.jsonl import read_metrics


class Member(NamedTuple):
    """A seed of a trial."""

    run_dir: RunDir
    config: TrainConfig
    run: Run  # of `runs_of`


class Trial(NamedTuple):
    """A setting and its seeds."""

    name: str
    values: Mapping[str, Any]  # of the fields that tell it from others
    members: Sequence[Member]


class Standing(NamedTuple):
    """What a trial came to; returns are means over the episodes of a seed's last evaluation."""

    setting: str
    values: Mapping[str, Any]
    iqm: float  # over the seeds; one that diverged counts as -inf
    low: float  # of its 95 % bootstrap interval
    high: float
    n_seeds: int
    diverged: int  # of them
    worst: float
    worst_seed: int
    step: int  # env steps of each seed


def runs_of(configs: Sequence[TrainConfig]) -> list[Run]:
    """What members run: each goes on from what its directory has, and begins where that is nothing.

    Raises:
        ConfigError: one cannot work, or those that share a program cannot.
    """
    runs = []
    for config in configs:
        check_own_checkpoints(config)
        runs.append(build(replace(config, runner=replace(config.runner, resume=True))))
    for group in programs(runs, runs):
        side_by_side(group)  # which refuses what cannot work
    return runs


def advance(
    trials: Iterable[Trial],
    step: int | None = None,
    stop: StopRequest | None = None,
    on_evaluation: OnEvaluation | None = None,
) -> bool:
    """Trains all members to env step `step`, or to the end; whether they are there.

    Those that can share a program do. A member that diverged is where it will ever be.
    `on_evaluation` is told what `fit_many` tells, of one program after another.
    """
    members = [member for trial in trials for member in trial.members]
    waiting = [member for member in members if not has_reached(member, step)]
    for group in programs(waiting, [member.run for member in waiting]):
        if stop is not None and stop.requested:
            break
        unload_programs()
        run = side_by_side([shortened(member.run, step) for member in group])
        with suppress(NonFiniteLossError):  # each has its mark
            run_dirs = [member.run_dir for member in group]
            fit = partial(fit_many, on_evaluation=on_evaluation)
            run_many(run, run_dirs, partial(_record, group), stop, fit)
    return all(has_reached(member, step) for member in members)


def _record(members: Sequence[Member]) -> None:
    for member in members:
        record(member.run_dir, member.config)


def programs(things: Sequence[Any], runs: Sequence[Run]) -> list[list[Any]]:
    """The things whose runs can share a program, together."""
    groups: list[tuple[Run, list[Any]]] = []
    for thing, run in zip(things, runs, strict=True):
        group = next((group for first, group in groups if alike(first, run)), None)
        if group is None:
            groups.append((run, group := []))
        group.append(thing)
    return [group for _, group in groups]


def updates_to(run: Run, step: int | None) -> int:
    """After how many updates a run has made `step` env steps; None is its budget."""
    return run.n_updates if step is None else min(-(-step // run.steps_per_update), run.n_updates)


def shortened(run: Run, step: int | None) -> Run:
    """The run as far as `step`, where it is evaluated and saved; schedules are of the whole one."""
    return replace(run, n_updates=updates_to(run, step))


def has_reached(member: Member, step: int | None) -> bool:
    """Whether a member is saved at or past `step`, or will never be."""
    saved = saved_steps(member.run_dir.checkpoints)
    target = updates_to(member.run, step) * member.run.steps_per_update
    return (bool(saved) and saved[-1] >= target) or divergence_of(member.run_dir) is not None


def ranked(trials: Iterable[Trial], step: int | None = None) -> list[Standing]:
    """Trials by the interquartile mean of the last evaluations up to `step`, the best first."""
    return sorted((standing(trial, step) for trial in trials), key=lambda x: x.iqm, reverse=True)


def standing(trial: Trial, step: int | None = None) -> Standing:
    """What a trial came to at `step`, or at last; all its members have been trained that far."""
    limits = [
        updates_to(member.run, step) * member.run.steps_per_update for member in trial.members
    ]
    pairs = zip(trial.members, limits, strict=True)
    found = [last_return(member.run_dir, limit) for member, limit in pairs]
    returns = [-inf if x is None else x for x in found]
    worst = returns.index(min(returns))
    return Standing(
        trial.name,
        trial.values,
        *aggregate(returns),
        diverged=returns.count(-inf),
        worst=returns[worst],
        worst_seed=trial.members[worst].config.runner.seed,
        step=limits[0],
    )


def last_return(path: str | os.PathLike[str], step: float | int = inf) -> float | None:
    """The mean return of a run's last evaluation up to `step`; -inf if it diverged, or None."""
    run_dir = RunDir.open(path)
    divergence = divergence_of(run_dir)
    if divergence is not None and divergence.step <= step:
        return -inf
    rows = [row for row in read_metrics(run_dir.log_path()) if row["step"] <= step]
    return next((x for row in reversed(rows) if (x := row.get("eval_return")) is not None), None)
