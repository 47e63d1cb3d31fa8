"""Sweeps: every setting of a grid with several seeds, ranked; with halving, losers stop early.

<base_dir>/<experiment>_sweep_<UTC time>/   a group of runs, see `many_seeds`, and
  sweep.json                                what is swept: axes, seeds, rungs
  members/<setting>_seed_<n>/               one for each setting and seed
  artifacts/sweep.csv                       the settings, the best first

Successive halving is that of Jamieson & Talwalkar 2016 (arXiv:1502.07943): at each rung the best
1/eta of the settings go on. A sweep is at any time what its files say, and goes on from there.
"""

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vibe_rl.configs.train_config import TrainConfig, algorithm_name, to_dict
from vibe_rl.errors import ConfigError, writing
from vibe_rl.experiment.build import config_of, record, with_seed
from vibe_rl.experiment.grid import Setting, checked_axes, held_by, settings_of
from vibe_rl.experiment.seeds import check_seeds
from vibe_rl.experiment.trials import Member, Standing, Trial, advance, ranked, runs_of, updates_to
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.runner.run import Run
from vibe_rl.system.lock import locked
from vibe_rl.system.signals import StopRequest

FILE, TABLE, MEMBERS = "sweep.json", "sweep.csv", "members"


class Plan(NamedTuple):
    """What is swept, as FILE holds it."""

    axes: Mapping[str, Sequence[Any]]
    seeds: Sequence[int]
    halving: int | None = None  # eta
    rungs: Sequence[int] = ()  # env steps after which the worst settings stop

    def names(self, setting: Setting) -> list[str]:
        """Of the directories of a setting's members."""
        return [f"{setting.name}_seed_{seed}" for seed in self.seeds]


def sweep(
    config: TrainConfig,
    axes: Mapping[str, Iterable[Any]],
    seeds: Iterable[int] = range(4),
    halving: int | None = None,
    base_dir: str | os.PathLike[str] = "runs",
) -> tuple[RunDir, list[Standing]]:
    """Trains every combination of the values on `axes` with every seed, and ranks them.

    Settings that differ in numbers only share one compiled program.

    Args:
        config: all that does not vary; its seed is not used.
        axes: the values of each field that varies, such as `{"algo.lr": [1e-4, 3e-4]}`.
        seeds: of four, the fewest, the interquartile mean leaves out the best and the worst.
        halving: eta; of n settings, n / eta go on at the first rung, and so on until one is left,
            each time eta times as far as before. None trains all to the end.
        base_dir: where the sweep's directory is made.

    Returns:
        The directory, and the settings, the best first; none if a signal ended the sweep.

    Raises:
        ConfigError: it cannot work; nothing is written.
    """
    axes = checked_axes(config, axes)
    settings = settings_of(config, axes)
    rungs = rungs_of(len(settings), halving, config.runner.total_timesteps)
    plan = Plan(axes, check_seeds(seeds), halving, rungs)
    configs = [with_seed(setting.config, seed) for setting in settings for seed in plan.seeds]
    runs = prepared(configs, plan)
    group = RunDir(f"{config.env_id}_{algorithm_name(config)}_sweep", base_dir)
    record(group, config)
    names = [name for setting in settings for name in plan.names(setting)]
    for name, each in zip(names, configs, strict=True):
        RunDir(base_dir=group.root / MEMBERS, run_id=name).save_config(to_dict(each))
    group.save_config(plan, FILE)
    return group, _carry_out(group, plan, _trials(group, plan, settings, configs, runs))


def resume_sweep(
    path: str | os.PathLike[str],
    change: Callable[[TrainConfig], TrainConfig] = lambda config: config,
) -> tuple[RunDir, list[Standing]]:
    """Goes on with a sweep where its files stand; what is complete is not repeated.

    Args:
        path: the sweep's directory.
        change: what to make of each member's own config; the axes stay.
    """
    group, plan = RunDir.open(path), plan_of(path)
    settings = settings_of(config_of(path), plan.axes)
    run_dirs = [group.root / MEMBERS / name for s in settings for name in plan.names(s)]
    configs = [change(config_of(run_dir)) for run_dir in run_dirs]
    check_axes_kept(settings, configs)
    runs = prepared(configs, plan)
    record(group, change(config_of(path)))
    return group, _carry_out(group, plan, _trials(group, plan, settings, configs, runs))


def plan_of(path: str | os.PathLike[str]) -> Plan:
    """What a sweep's directory says is swept."""
    return Plan(**RunDir.open(path).load_config(FILE))


def rungs_of(n_settings: int, halving: int | None, total: int) -> list[int]:
    """The env steps of the rungs; after the last, fewer settings than `halving` are left."""
    if halving is None:
        return []
    if halving < 2:
        raise ConfigError(f"halving {halving}: give at least 2, so that one of two goes on.")
    if n_settings < halving:
        raise ConfigError(
            f"halving {halving} of {n_settings} settings stops none: give more settings."
        )
    n_rungs = 0
    while n_settings >= halving:
        n_settings, n_rungs = n_settings // halving, n_rungs + 1
    return [-(-total // halving**k) for k in range(n_rungs, 0, -1)]


def prepared(configs: Sequence[TrainConfig], plan: Plan) -> list[Run]:
    """The members' runs; ConfigError if one cannot work or cannot be judged."""
    runs = runs_of(configs)
    for run in runs:
        check_judged(run, plan)
    return runs


def check_judged(run: Run, plan: Plan) -> None:
    """Raises ConfigError if the run is not evaluated, or before it has learned anything."""
    if not run.config.eval_episodes:
        raise ConfigError("runner.eval_episodes 0: settings are ranked by evaluations, give some.")
    first = min(plan.rungs, default=None)
    if first is not None and (
        first < run.steps_per_update or updates_to(run, first) <= run.warmup_updates
    ):
        raise ConfigError(
            f"halving {plan.halving} has its first rung at {first} env steps, within the first "
            "update or the warm-up: give a larger runner.total_timesteps or fewer settings."
        )


def check_axes_kept(settings: Sequence[Setting], configs: Sequence[TrainConfig]) -> None:
    """Raises ConfigError if the members' configs are no more those of their settings."""
    n_seeds = len(configs) // len(settings)
    for i, config in enumerate(configs):
        for name, value in settings[i // n_seeds].values.items():
            if held_by(config, name) != value:
                raise ConfigError(f"{name} is an axis of the sweep: leave it out.")


def _trials(
    group: RunDir,
    plan: Plan,
    settings: Sequence[Setting],
    configs: Sequence[TrainConfig],
    runs: Sequence[Run],
) -> list[Trial]:
    """The settings with their members, whose configs and runs are in the same order."""
    pairs = zip(configs, runs, strict=True)
    trials = []
    for setting in settings:
        run_dirs = [RunDir.open(group.root / MEMBERS / name) for name in plan.names(setting)]
        members = [Member(run_dir, *next(pairs)) for run_dir in run_dirs]
        trials.append(Trial(setting.name, setting.values, members))
    return trials


def _carry_out(group: RunDir, plan: Plan, trials: Sequence[Trial]) -> list[Standing]:
    """Trains and ranks all; nothing if a signal ends it."""
    stopped: list[Standing] = []
    with locked(group.checkpoints), StopRequest() as stop:
        for rung in plan.rungs:
            if not advance(trials, rung, stop):
                return []
            trials, losers = parted(trials, rung, plan.halving or 1)
            stopped = losers + stopped
        if not advance(trials, stop=stop):
            return []
    standings = ranked(trials) + stopped
    write_table(group.artifact_path(TABLE), standings)
    return standings


def parted(trials: Sequence[Trial], rung: int, halving: int) -> tuple[list[Trial], list[Standing]]:
    """The best trials of a rung, which go on, and what the others came to."""
    standings = ranked(trials, rung)
    n_kept = max(1, len(trials) // halving)
    kept = {standing.setting for standing in standings[:n_kept]}
    return [trial for trial in trials if trial.name in kept], standings[n_kept:]


def write_table(path: Path, standings: Sequence[Standing]) -> None:
    """Writes what the settings came to as CSV, the best first."""
    columns = [name for name in Standing._fields if name != "values"]
    with writing(path), path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows([getattr(standing, name) for name in columns] for standing in standings)
