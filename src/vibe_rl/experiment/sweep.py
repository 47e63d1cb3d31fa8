"""Sweeps: every setting of a grid with several seeds, ranked; with halving, losers stop early.

<base_dir>/<experiment>_sweep_<UTC time>/   a group, see `vibe_rl.experiment.group`, and
  sweep.json                                the plan: axes, seeds, rungs
  members/<setting>_seed_<n>/               one for each setting and seed
  artifacts/sweep.csv                       the settings, the best first

Successive halving is that of Jamieson & Talwalkar 2016 (arXiv:1502.07943): at each rung the best
1/eta of the settings continue. The state of a sweep is in its files, from which it is resumed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from vibe_rl.configs.train_config import TrainConfig, experiment_name
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import with_seed
from vibe_rl.experiment.config_files import new_run_dir, read_config, write_run_files
from vibe_rl.experiment.grid import Setting, expand_grid, field_value, validate_axes
from vibe_rl.experiment.group import (
    Change,
    Group,
    build_members,
    create_group,
    finish_group,
    open_group,
    write_table,
)
from vibe_rl.experiment.seeds import check_seeds
from vibe_rl.experiment.trials import Standing, Trial, rank_trials, train_trials, updates_until
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import AnyPath
from vibe_rl.runner.run import Run
from vibe_rl.system.lock import lock_directory
from vibe_rl.system.signals import StopRequest, unless_interrupted

FILE, TABLE = "sweep.json", "sweep.csv"


class SweepPlan(NamedTuple):
    """What a sweep trains, as FILE holds it."""

    axes: Mapping[str, Sequence[Any]]
    seeds: Sequence[int]
    halving: int | None = None  # eta
    rungs: Sequence[int] = ()  # env steps after which the worst settings stop


def read_sweep_plan(path: AnyPath) -> SweepPlan:
    """The plan of the sweep in a directory."""
    return SweepPlan(**RunDir.open(path).load_config(FILE))


def sweep(
    config: TrainConfig,
    axes: Mapping[str, Iterable[Any]],
    seeds: Iterable[int] = range(4),
    halving: int | None = None,
    base_dir: AnyPath = "runs",
) -> tuple[RunDir, list[Standing]]:
    """Trains every combination of the values on `axes` with every seed, and ranks them.

    Settings that differ in numbers only share one compiled program.

    Args:
        config: all that does not vary; its seed is not used.
        axes: the values of each field that varies, such as `{"algo.lr": [1e-4, 3e-4]}`.
        seeds: at least four, for the interquartile mean to leave out the best and the worst.
        halving: eta; of n settings, n / eta continue at the first rung, and so on until one is
            left, each time eta times as far as before. None trains all to the end.
        base_dir: where the sweep's directory is made.

    Returns:
        The directory, and the settings, the best first.

    Raises:
        ConfigError: it cannot work; nothing is written.
        TrainingInterrupted: Ctrl-C or SIGTERM ended it; there is no setting in its result, unless
            all were trained.
    """
    axes = validate_axes(config, axes)
    settings = expand_grid(config, axes)
    rungs = compute_rungs(len(settings), halving, config.runner.total_timesteps)
    plan = SweepPlan(axes, check_seeds(seeds), halving, rungs)
    configs = {
        member_name(setting, seed): with_seed(setting.config, seed)
        for setting in settings
        for seed in plan.seeds
    }
    runs = build_members(configs.values())
    check_ranked(runs, plan)
    with new_run_dir(f"{experiment_name(config)}_sweep", base_dir) as run_dir:
        group = create_group(run_dir, config, configs, runs)
        run_dir.save_config(plan, FILE)
        return _train(group, plan, settings)


def resume_sweep(
    path: AnyPath, change: Change = lambda config: config
) -> tuple[RunDir, list[Standing]]:
    """Resumes a sweep from its files; what is complete is not repeated.

    Args:
        path: the sweep's directory.
        change: returns the config with which a member resumes, given its own; the axes stay.
    """
    plan = read_sweep_plan(path)
    settings = expand_grid(read_config(path), plan.axes)
    folder = RunDir.open(path).root / "members"
    names = [member_name(setting, seed) for setting in settings for seed in plan.seeds]
    group = open_group(path, [RunDir.open(folder / name) for name in names], change)
    check_axes_kept(settings, [member.config for member in group.members])
    check_ranked([member.run for member in group.members], plan)
    return _train(group, plan, settings)


def member_name(setting: Setting, seed: int) -> str:
    """The name of a member's directory."""
    return f"{setting.name}_seed_{seed}"


def compute_rungs(n_settings: int, halving: int | None, total: int) -> list[int]:
    """The env steps of the rungs; after the last, fewer settings than `halving` are left."""
    if halving is None:
        return []
    if halving < 2:
        raise ConfigError(f"halving {halving}: give at least 2, so that one of two continues.")
    if n_settings < halving:
        raise ConfigError(
            f"halving {halving} of {n_settings} settings stops none: give more settings."
        )
    n_rungs = 0
    while n_settings >= halving:
        n_settings, n_rungs = n_settings // halving, n_rungs + 1
    return [-(-total // halving**k) for k in range(n_rungs, 0, -1)]


def check_ranked(runs: Iterable[Run], plan: SweepPlan) -> None:
    """Raises ConfigError if a run is not evaluated, or before it has learned anything."""
    first = min(plan.rungs, default=None)
    for run in runs:
        if not run.config.eval_episodes:
            raise ConfigError(
                "runner.eval_episodes 0: settings are ranked by evaluations, give at least 1."
            )
        if first is not None and (
            first < run.steps_per_update or updates_until(run, first) <= run.warmup_updates
        ):
            raise ConfigError(
                f"halving {plan.halving} has its first rung at {first} env steps, within the first "
                "update or the warm-up: give a larger runner.total_timesteps or fewer settings."
            )


def check_axes_kept(settings: Sequence[Setting], configs: Sequence[TrainConfig]) -> None:
    """Raises ConfigError if the members' configs no longer have the values of their settings."""
    n_seeds = len(configs) // len(settings)
    for i, config in enumerate(configs):
        for name, value in settings[i // n_seeds].values.items():
            if field_value(config, name) != value:
                raise ConfigError(f"{name} is an axis of the sweep: leave it out.")


def _train(
    group: Group, plan: SweepPlan, settings: Sequence[Setting]
) -> tuple[RunDir, list[Standing]]:
    """Trains and ranks all settings."""
    trials, n_seeds = [], len(plan.seeds)
    for i, setting in enumerate(settings):
        members = group.members[i * n_seeds : (i + 1) * n_seeds]
        trials.append(Trial(setting.name, setting.values, members))
    with lock_directory(group.run_dir.checkpoints), StopRequest() as stop:
        write_run_files(group.run_dir, group.config)
        standings = _rank_all(trials, plan, stop)
        if stop.requested:
            standings = []
        else:
            write_table(group.run_dir.artifact_path(TABLE), list(map(standing_row, standings)))
            finish_group(group)
    return unless_interrupted((group.run_dir, standings), stop.signal)


def standing_row(standing: Standing) -> dict[str, Any]:
    """A standing as a row of a table, without the values, which its name says."""
    return {name: x for name, x in standing._asdict().items() if name != "values"}


def _rank_all(trials: list[Trial], plan: SweepPlan, stop: StopRequest) -> list[Standing]:
    """The standings of all trials once they are trained; fewer if a stop is requested."""
    stopped: list[Standing] = []
    for rung in plan.rungs:
        if not train_trials(trials, rung, stop):
            return stopped
        trials, losers = halve(trials, rung, plan.halving or 1)
        stopped = losers + stopped
    return rank_trials(trials) + stopped if train_trials(trials, stop=stop) else stopped


def halve(trials: Sequence[Trial], rung: int, halving: int) -> tuple[list[Trial], list[Standing]]:
    """The best trials at a rung, which continue, and the standings of the others."""
    standings = rank_trials(trials, rung)
    n_kept = max(1, len(trials) // halving)
    kept = {standing.setting for standing in standings[:n_kept]}
    return [trial for trial in trials if trial.name in kept], standings[n_kept:]
