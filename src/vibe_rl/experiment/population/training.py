"""Population-based training (Jaderberg et al. 2017, arXiv:1711.09846): hyperparameters that evolve.

<base_dir>/<experiment>_population_<UTC time>/   a group, see `vibe_rl.experiment.group`, and
  population.json                                the plan: ranges, members, interval, seed
  members/member_<n>/                            config_N.json has its hyperparameters after an
                                                 exchange
  exchanges.jsonl                                which member took over whose state, and when
  artifacts/population.csv                       the members, the best first

Differs from the paper: all members train in step, in one program, and exchange at the same time.
What a population does depends on its seed and its evaluations alone: a population that is resumed
from checkpoints decides as before.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.configs.train_config import TrainConfig, experiment_name
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import with_seed
from vibe_rl.experiment.config_files import new_run_dir, read_config
from vibe_rl.experiment.grid import field_value, with_values
from vibe_rl.experiment.group import (
    Change,
    Group,
    build_members,
    create_group,
    finish_group,
    open_group,
    write_group_files,
    write_table,
)
from vibe_rl.experiment.population.exploit import ancestry, read_exchanges
from vibe_rl.experiment.population.explore import sample, validate_ranges
from vibe_rl.experiment.population.members import (
    FILE,
    PBTPlan,
    PopulationFiles,
    hyperparameters,
    read_pbt_plan,
)
from vibe_rl.experiment.trials import last_return, updates_until
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import AnyPath, members
from vibe_rl.runner.many.fit import fit_many
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.runner.many.session import run_many
from vibe_rl.runner.run import Run
from vibe_rl.system.signals import StopRequest, unless_interrupted

TABLE = "population.csv"
FEWEST = 4
"""Members, so that a quarter of them is one."""


class RankedMember(NamedTuple):
    """A member's place in the final ranking."""

    member: str
    values: Mapping[str, float]  # its last hyperparameters
    last_return: float  # mean over the episodes of its last evaluation; -inf if it diverged
    exploits: int  # exchanges that its state went through


def evolve(
    config: TrainConfig,
    ranges: Mapping[str, Sequence[Any]],
    n_members: int = 8,
    every: int = 20_000,
    seed: int = 0,
    base_dir: AnyPath = "runs",
) -> tuple[RunDir, list[RankedMember]]:
    """Trains members with different hyperparameters, of which the worst exploit the best.

    Every `every` env steps each of the worst quarter takes over the state and the hyperparameters
    of one of the best quarter, and explores: its hyperparameters are perturbed or resampled.

    Args:
        config: all that does not evolve; its seed is not used.
        ranges: the lowest and the highest value of each hyperparameter that evolves, such as
            `{"algo.lr": (1e-4, 1e-2)}`; sampled log-uniformly, or uniformly where the lowest is not
            above 0.
        n_members: at least four.
        every: env steps of each member between exchanges, a multiple of `runner.eval_every`.
        seed: of everything random.
        base_dir: where the population's directory is made.

    Returns:
        The directory, and the members, the best first.

    Raises:
        ConfigError: it cannot work; nothing is written.
        NonFiniteLossError: all members diverged between two exchanges.
        TrainingInterrupted: Ctrl-C or SIGTERM ended it; there is no member in its result, unless
            all were trained.
    """
    plan = PBTPlan(validate_ranges(config, ranges), n_members, every, seed)
    configs = {f"member_{i}": each for i, each in enumerate(first_generation(config, plan))}
    check_range_ends(config, plan)
    runs = build_members(configs.values())
    check_interval(runs[0], plan.every)
    with new_run_dir(f"{experiment_name(config)}_population", base_dir) as run_dir:
        group = create_group(run_dir, config, configs, runs)
        run_dir.save_config(plan, FILE)
        return _train(group, plan)


def resume_population(
    path: AnyPath, change: Change = lambda config: config
) -> tuple[RunDir, list[RankedMember]]:
    """Resumes a population from the latest step that all members have saved.

    Args:
        path: the population's directory.
        change: returns the config with which a member resumes, given its own; hyperparameters that
            evolve stay.
    """
    plan, group = read_pbt_plan(path), open_group(path, members(path), change)
    check_hyperparameters_kept(group, plan)
    check_range_ends(group.members[0].config, plan)
    check_interval(group.members[0].run, plan.every)
    return _train(group, plan)


def first_generation(config: TrainConfig, plan: PBTPlan) -> list[TrainConfig]:
    """The members' first configs; populations of the same size and other seeds share no seeds."""
    if plan.n_members < FEWEST:
        raise ConfigError(f"{plan.n_members} members: give at least {FEWEST}, so that one is best.")
    if plan.seed < 0:
        raise ConfigError(f"seed {plan.seed}: give at least 0.")
    rng, first = np.random.default_rng([plan.seed, 0]), plan.seed * plan.n_members
    each = [with_values(config, sample(plan.ranges, rng)) for _ in range(plan.n_members)]
    return [with_seed(config, first + i) for i, config in enumerate(each)]


def check_range_ends(config: TrainConfig, plan: PBTPlan) -> None:
    """Raises ConfigError if members could reach hyperparameters that cannot work."""
    for end in range(2):
        values = {name: ends[end] for name, ends in plan.ranges.items()}
        build_members([with_values(config, values)])


def check_interval(run: Run, every: int) -> None:
    """Raises ConfigError if members cannot be ranked at each exchange, or never exchange."""
    config, spent = run.config, run.n_updates * run.steps_per_update
    if not (config.eval_episodes and config.eval_every):
        name = "eval_every" if config.eval_episodes else "eval_episodes"
        raise ConfigError(f"runner.{name} 0: members are ranked by evaluations, give at least 1.")
    if every <= run.steps_per_update:
        raise ConfigError(
            f"every {every} env steps is not above one update of {run.steps_per_update}: give more."
        )
    if updates_until(run, every) <= run.warmup_updates:
        raise ConfigError(
            f"every {every} env steps is within the warm-up of "
            f"{run.warmup_updates * run.steps_per_update}: give more."
        )
    if every >= spent:
        raise ConfigError(
            f"every {every} env steps never happens within {spent}: give fewer, or a larger "
            "runner.total_timesteps."
        )
    if every % config.eval_every:
        raise ConfigError(
            f"every {every} env steps is not a multiple of runner.eval_every {config.eval_every}: "
            "members are ranked by evaluations, give one."
        )


def check_hyperparameters_kept(group: Group, plan: PBTPlan) -> None:
    """Raises ConfigError if a hyperparameter that evolves was changed by hand."""
    for member in group.members:
        newest = read_config(member.run_dir)
        for name in plan.ranges:
            if field_value(newest, name) != field_value(member.config, name):
                raise ConfigError(f"{name} evolves in this population: leave it out.")


def _train(group: Group, plan: PBTPlan) -> tuple[RunDir, list[RankedMember]]:
    """Trains and ranks the members."""
    files = PopulationFiles(group, plan)
    fit = partial(fit_many, exchanger=files)
    run = side_by_side(files.runs)
    with StopRequest() as stop:
        results = run_many(run, files.run_dirs, lambda: write_group_files(group), stop, fit)
        ranking = []
        if not any(result.interrupted for result in results):
            ranking = rank_members(group.run_dir)
            write_table(group.run_dir.artifact_path(TABLE), list(map(table_row, ranking)))
            finish_group(group)
    return unless_interrupted((group.run_dir, ranking), stop.signal)


def rank_members(path: AnyPath) -> list[RankedMember]:
    """The members of a population by their last evaluations, the best first."""
    exchanges, ranges = read_exchanges(path), read_pbt_plan(path).ranges
    ranking = []
    for i, run_dir in enumerate(members(path)):
        values, last = hyperparameters(read_config(run_dir), ranges), last_return(run_dir)
        exploits = len(ancestry(exchanges, i)[1])
        score = -inf if last is None else last
        ranking.append(RankedMember(run_dir.root.name, values, score, exploits))
    return sorted(ranking, key=lambda member: -member.last_return)


def table_row(member: RankedMember) -> dict[str, str | float]:
    """A member as a row of a table, with a column for each hyperparameter."""
    name, values, last, exploits = member
    return {"member": name, **values, "last_return": last, "exploits": exploits}
