"""Runs that differ in their seeds, trained side by side in one program.

They are a group, see `vibe_rl.experiment.group`, whose members are called seed_<n>.
"""

from collections.abc import Iterable

from vibe_rl.configs.train_config import TrainConfig, experiment_name
from vibe_rl.errors import ConfigError, short
from vibe_rl.experiment.build import with_seed
from vibe_rl.experiment.config_files import new_run_dir
from vibe_rl.experiment.group import (
    Change,
    Group,
    build_members,
    create_group,
    finish_group,
    open_group,
    write_group_files,
)
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.run_dir.group import AnyPath, members
from vibe_rl.runner.fit import FitResult
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.runner.many.session import run_many
from vibe_rl.system.signals import StopRequest, unless_interrupted


def check_seeds(seeds: Iterable[int]) -> list[int]:
    """The seeds as a list; ConfigError if there are none, or one of them twice."""
    if not isinstance(seeds, Iterable) or isinstance(seeds, str):
        raise ConfigError(f"seeds {short(seeds)}: give a list, such as range(4).")
    listed = list(seeds)
    twice = sorted({seed for seed in listed if listed.count(seed) > 1})
    if twice:
        raise ConfigError(f"seeds {twice} are given twice: name each once.")
    if not listed:
        raise ConfigError("seeds is empty: give at least one.")
    return listed


def seed_configs(config: TrainConfig, seeds: Iterable[int]) -> dict[str, TrainConfig]:
    """The config with each seed, by the names of the members."""
    return {f"seed_{seed}": with_seed(config, seed) for seed in check_seeds(seeds)}


def train_seeds(
    config: TrainConfig, seeds: Iterable[int], base_dir: AnyPath = "runs"
) -> tuple[RunDir, list[FitResult]]:
    """Trains `config` with every seed, in one program; see `vibe_rl.experiment.train`."""
    configs = seed_configs(config, seeds)
    runs = build_members(configs.values())
    with new_run_dir(experiment_name(config), base_dir) as run_dir:
        group = create_group(run_dir, next(iter(configs.values())), configs, runs)
        return _train(group)


def resume_seeds(
    path: AnyPath, change: Change = lambda config: config
) -> tuple[RunDir, list[FitResult]]:
    """Resumes all runs of a group from the latest step that each of them has saved.

    Members that diverged are left out.

    Args:
        path: the group's directory.
        change: returns the config with which a member resumes, given its own.
    """
    run_dirs = [run_dir for run_dir in members(path) if divergence_of(run_dir) is None]
    if not run_dirs:
        raise ConfigError(f"{path} has no member that did not diverge: start another run.")
    group = open_group(path, run_dirs, change)
    return _train(group)


def _train(group: Group) -> tuple[RunDir, list[FitResult]]:
    run = side_by_side([member.run for member in group.members])
    run_dirs = [member.run_dir for member in group.members]
    with StopRequest() as stop:
        results = run_many(run, run_dirs, lambda: write_group_files(group), stop)
        if not any(result.interrupted for result in results):
            finish_group(group)
    return unless_interrupted((group.run_dir, results), stop.signal)
