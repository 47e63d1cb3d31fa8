"""A group of runs that differ in their seeds, trained at once.

<base_dir>/<experiment>_<UTC time>/   a run directory for what is said of all: config, plots
  members/seed_<n>/                   one for each seed, as if it had been trained alone
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from vibe_rl.configs.train_config import TrainConfig, algorithm_name
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import build, check_own_checkpoints, config_of, record, with_seed
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.run_dir.group import members
from vibe_rl.runner.fit import FitResult
from vibe_rl.runner.many.runs import ManyRuns, side_by_side
from vibe_rl.runner.many.session import run_many


def parse_seeds(text: str) -> list[int]:
    """The seeds of "0:8", "3,5,7" or a mixture; ConfigError if it is none."""
    try:
        ranges = [[int(end) for end in part.split(":")] for part in text.split(",")]
    except ValueError:
        ranges = [[]]
    if not all(1 <= len(ends) <= 2 for ends in ranges):
        raise ConfigError(f"seeds {text!r}: give a range such as 0:8 or a list such as 3,5,7.")
    return [seed for ends in ranges for seed in (range(*ends) if len(ends) == 2 else ends)]


def check_seeds(seeds: Iterable[int]) -> list[int]:
    """The seeds as a list; ConfigError if there are none, or one of them twice."""
    listed = list(seeds)
    twice = sorted({seed for seed in listed if listed.count(seed) > 1})
    if twice:
        raise ConfigError(f"seeds {twice} are given twice: name each once.")
    if not listed:
        raise ConfigError("seeds: give at least one.")
    return listed


def train_seeds(
    config: TrainConfig, seeds: Iterable[int], base_dir: str | os.PathLike[str] = "runs"
) -> tuple[RunDir, list[FitResult]]:
    """Runs `config` with every seed, in one program; nothing is written if it cannot work."""
    check_own_checkpoints(config)
    configs = [with_seed(config, seed) for seed in check_seeds(seeds)]
    run = _prepared(configs)
    group = RunDir(f"{config.env_id}_{algorithm_name(config)}", base_dir)
    names = [f"seed_{config.runner.seed}" for config in configs]
    run_dirs = [RunDir(base_dir=group.root / "members", run_id=name) for name in names]
    return group, _train(run, [group, *run_dirs], [configs[0], *configs])


def resume_seeds(
    path: str | os.PathLike[str],
    change: Callable[[TrainConfig], TrainConfig] = lambda config: config,
) -> tuple[RunDir, list[FitResult]]:
    """Goes on with all runs of a group from the latest step that each of them has saved.

    Members that diverged are left out.

    Args:
        path: the group's directory.
        change: what to make of each member's own config.
    """
    run_dirs = [run_dir for run_dir in members(path) if divergence_of(run_dir) is None]
    if not run_dirs:
        raise ConfigError(f"{path} has no member that did not diverge: start another run.")
    configs = [change(config_of(run_dir)) for run_dir in run_dirs]
    for config in configs:
        check_own_checkpoints(config)
    resuming = [replace(c, runner=replace(c.runner, resume=True)) for c in configs]
    run, group = _prepared(resuming), RunDir.open(path)
    return group, _train(run, [group, *run_dirs], [configs[0], *configs])


def _prepared(configs: Sequence[TrainConfig]) -> ManyRuns:
    return side_by_side([build(config) for config in configs])


def _train(
    run: ManyRuns, run_dirs: Sequence[RunDir], configs: Sequence[TrainConfig]
) -> list[FitResult]:
    """Trains the members in all but the first directory, which is the group's."""

    def record_all() -> None:
        for run_dir, config in zip(run_dirs, configs, strict=True):
            record(run_dir, config)

    return run_many(run, run_dirs[1:], record_all)
