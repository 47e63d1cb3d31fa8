"""Population-based training (Jaderberg et al. 2017, arXiv:1711.09846): numbers that evolve.

<base_dir>/<experiment>_population_<UTC time>/   a group of runs, see `many_seeds`, and
  population.json                                what evolves: ranges, members, interval, seed
  members/member_<n>/                            a place in the population; config_N.json has its
                                                 numbers after an exchange
  exchanges.jsonl                                who took over whose state, and when
  artifacts/population.csv                       the members, the best first

Differs from the paper: all members train in step, in one program, and exchange at the same time.
What a population does depends on its seed and its evaluations alone; one that was lost goes on from
checkpoints and decides again as before.
"""

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.checkpoint import saved_steps
from vibe_rl.configs.train_config import TrainConfig, algorithm_name, to_dict
from vibe_rl.errors import ConfigError, writing
from vibe_rl.experiment.build import config_of, record, with_seed
from vibe_rl.experiment.grid import changed, held_by
from vibe_rl.experiment.population.breeding import (
    FILE,
    Members,
    Plan,
    first_values,
    history_of,
    plan_of,
    values_in,
)
from vibe_rl.experiment.population.exchanges import Track, lineage, track
from vibe_rl.experiment.population.ranges import Ranges, checked_ranges, drawn
from vibe_rl.experiment.trials import last_return, runs_of, updates_to
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import members
from vibe_rl.runner.many.fit import fit_many
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.runner.many.session import run_many
from vibe_rl.runner.run import Run

TABLE = "population.csv"
FEWEST = 4
"""Members, so that a quarter of them is one."""


class Ranked(NamedTuple):
    """What a member came to."""

    member: str
    values: Mapping[str, float]  # the numbers that evolve, at last
    last_return: float  # mean over the episodes of its last evaluation; -inf if it diverged
    takeovers: int  # exchanges that its state went through


def evolve(
    config: TrainConfig,
    ranges: Mapping[str, Sequence[float | int]],
    n_members: int = 8,
    every: int = 20_000,
    seed: int = 0,
    base_dir: str | os.PathLike[str] = "runs",
) -> tuple[RunDir, list[Ranked]]:
    """Trains members with different numbers, of which the worst go on from the best.

    Every `every` env steps each of the worst quarter takes over the state of one of the best, and
    its numbers, changed a little or drawn anew.

    Args:
        config: all that does not evolve; its seed is not used.
        ranges: the lowest and the highest value of each number that evolves, such as
            `{"algo.lr": (1e-4, 1e-2)}`; drawn log-uniformly at first, or uniformly where the lowest
            is not above 0.
        n_members: at least four.
        every: env steps of each member between exchanges, a multiple of `runner.eval_every`.
        seed: of all that is random.
        base_dir: where the population's directory is made.

    Returns:
        The directory, and the members, the best first; none if a signal ended the training.

    Raises:
        ConfigError: it cannot work; nothing is written.
        NonFiniteLossError: all members diverged between two exchanges.
    """
    plan = Plan(checked_ranges(config, ranges), n_members, every, seed)
    configs = first_generation(config, plan)
    runs = prepared(configs, plan)
    group = RunDir(f"{config.env_id}_{algorithm_name(config)}_population", base_dir)
    for i, each in enumerate(configs):
        RunDir(base_dir=group.root / "members", run_id=f"member_{i}").save_config(to_dict(each))
    group.save_config(plan, FILE)
    return group, _train(group, config, Members(group, plan, configs, runs))


def resume_population(
    path: str | os.PathLike[str],
    change: Callable[[TrainConfig], TrainConfig] = lambda config: config,
) -> tuple[RunDir, list[Ranked]]:
    """Goes on with a population from the latest step that all members have saved.

    Args:
        path: the population's directory.
        change: what to make of each member's own config; the numbers that evolve stay.
    """
    group, plan = RunDir.open(path), plan_of(path)
    latest = [config_of(run_dir) for run_dir in members(path)]
    configs = [change(config) for config in latest]
    check_numbers_kept(plan.ranges, latest, configs)
    runs = prepared(configs, plan)
    return group, _train(group, change(config_of(path)), Members(group, plan, configs, runs))


def first_generation(config: TrainConfig, plan: Plan) -> list[TrainConfig]:
    """The members' configs at first; no two populations of a size share a member's seed."""
    if plan.n_members < FEWEST:
        raise ConfigError(f"{plan.n_members} members: give at least {FEWEST}, of whom one is best.")
    if plan.seed < 0:
        raise ConfigError(f"seed {plan.seed}: give at least 0.")
    rng, first = np.random.default_rng([plan.seed, 0]), plan.seed * plan.n_members
    each = [changed(config, drawn(plan.ranges, rng)) for _ in range(plan.n_members)]
    return [with_seed(config, first + i) for i, config in enumerate(each)]


def prepared(configs: Sequence[TrainConfig], plan: Plan) -> list[Run]:
    """The members' runs; ConfigError if they, or numbers they may come to, cannot work."""
    for i in range(2):
        runs_of([changed(configs[0], {name: ends[i] for name, ends in plan.ranges.items()})])
    runs = runs_of(configs)
    check_interval(runs[0], plan.every)
    return runs


def check_interval(run: Run, every: int) -> None:
    """Raises ConfigError if members cannot be judged at each exchange, or never exchange."""
    config, spent = run.config, run.n_updates * run.steps_per_update
    if not (config.eval_episodes and config.eval_every):
        name = "eval_every" if config.eval_episodes else "eval_episodes"
        raise ConfigError(f"runner.{name} 0: members are ranked by evaluations, give some.")
    if every <= run.steps_per_update:
        raise ConfigError(
            f"an exchange every {every} env steps is not above one update of "
            f"{run.steps_per_update}: give more."
        )
    if updates_to(run, every) <= run.warmup_updates:
        raise ConfigError(
            f"an exchange every {every} env steps comes within the warm-up of "
            f"{run.warmup_updates * run.steps_per_update}: give more."
        )
    if every >= spent:
        raise ConfigError(
            f"an exchange every {every} env steps never comes within {spent}: give fewer, or a "
            "larger runner.total_timesteps."
        )
    if every % config.eval_every:
        raise ConfigError(
            f"an exchange every {every} env steps is no multiple of runner.eval_every "
            f"{config.eval_every}: members are ranked by evaluations, give one."
        )


def check_numbers_kept(
    ranges: Ranges, before: Sequence[TrainConfig], after: Sequence[TrainConfig]
) -> None:
    """Raises ConfigError if a number that evolves was changed by hand."""
    for one, other in zip(before, after, strict=True):
        for name in ranges:
            if held_by(one, name) != held_by(other, name):
                raise ConfigError(f"{name} evolves in this population: leave it out.")


def _train(group: RunDir, config: TrainConfig, those: Members) -> list[Ranked]:
    """Trains and ranks the members; nothing if a signal ends it."""

    def record_all() -> None:
        record(group, config)
        for run_dir, each in zip(those.run_dirs, those.configs, strict=True):
            record(run_dir, each)

    fit = partial(fit_many, exchanger=those)
    results = run_many(side_by_side(those.runs), those.run_dirs, record_all, fit=fit)
    if any(result.interrupted for result in results):
        return []
    found = ranked(group)
    write_table(group.artifact_path(TABLE), found)
    return found


def ranked(path: str | os.PathLike[str]) -> list[Ranked]:
    """The members by their last evaluations, the best first."""
    history, ranges = history_of(path), plan_of(path).ranges
    found = []
    for i, run_dir in enumerate(members(path)):
        values, figure = values_in(config_of(run_dir), ranges), last_return(run_dir)
        takeovers = len(lineage(history, i)[1])
        found.append(
            Ranked(run_dir.root.name, values, -np.inf if figure is None else figure, takeovers)
        )
    return sorted(found, key=lambda member: -member.last_return)


def tracks(path: str | os.PathLike[str]) -> tuple[list[Track], Track]:
    """The numbers of each member in the course of training, and those of the best's lineage."""
    history, ranges, run_dirs = history_of(path), plan_of(path).ranges, members(path)
    first = [first_values(run_dir, ranges) for run_dir in run_dirs]
    names = [run_dir.root.name for run_dir in run_dirs]
    last = max(saved_steps(run_dirs[0].checkpoints), default=0)
    each = [
        track(name, first[i], (x for x in history if x.loser == i), last)
        for i, name in enumerate(names)
    ]
    best = names.index(ranked(path)[0].member)
    origin, through = lineage(history, best)
    return each, track(f"lineage of {names[best]}", first[origin], through, last)


def write_table(path: Path, found: Sequence[Ranked]) -> None:
    """Writes what the members came to as CSV, the best first."""
    names = list(found[0].values)
    rows: list[Any] = [["member", *names, "last_return", "takeovers"]]
    rows += [[x.member, *x.values.values(), x.last_return, x.takeovers] for x in found]
    with writing(path), path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
