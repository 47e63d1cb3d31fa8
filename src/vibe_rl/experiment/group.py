"""Groups of runs: many seeds, the settings of a sweep, the members of a population.

<base_dir>/<experiment>_<UTC time>/   a run directory for what concerns all: config, table, plots
  members/<name>/                     a run directory each, as if the member were trained alone
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vibe_rl.checkpoint import saved_steps
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import writing
from vibe_rl.experiment.build import as_member, build
from vibe_rl.experiment.config_files import read_config, write_config, write_run_files
from vibe_rl.plotting.groups import try_to_draw_curve
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import AnyPath
from vibe_rl.runner.many.runs import alike, side_by_side
from vibe_rl.runner.run import Run
from vibe_rl.runner.session import check_not_past
from vibe_rl.tracking.base import Tee
from vibe_rl.tracking.named import TRACKERS, described, finished_files, how_it_ended
from vibe_rl.tracking.opening import Destinations, open_named

Change = Callable[[TrainConfig], TrainConfig]
"""What a resumed group does to each of its configs."""


class Member(NamedTuple):
    """A run of a group."""

    run_dir: RunDir
    config: TrainConfig
    run: Run  # resumes from what its directory holds; from `build_members`


class Group(NamedTuple):
    """A directory and the runs in it."""

    run_dir: RunDir
    config: TrainConfig  # recorded for all
    members: list[Member]


def build_members(configs: Iterable[TrainConfig]) -> list[Run]:
    """The runs of a group; each resumes from what its directory holds, if that is anything.

    Raises:
        ConfigError: a run cannot work, or those that share a program cannot.
    """
    runs = [build(as_member(config)) for config in configs]
    for together in by_program(runs, runs):
        side_by_side(together)  # which refuses what cannot work
    return runs


def create_group(
    run_dir: RunDir, config: TrainConfig, configs: Mapping[str, TrainConfig], runs: Iterable[Run]
) -> Group:
    """Makes a run directory for each member in a new run directory, and writes all configs.

    Args:
        run_dir: of the group.
        config: what is recorded for all.
        configs: of the members, by their names.
        runs: of the members, from `build_members`.
    """
    write_config(run_dir, config)
    members = []
    for (name, each), run in zip(configs.items(), runs, strict=True):
        member_dir = RunDir(base_dir=run_dir.root / "members", run_id=name)
        write_config(member_dir, each)
        members.append(Member(member_dir, each, run))
    return Group(run_dir, config, members)


def open_group(
    path: AnyPath, run_dirs: Iterable[RunDir], change: Change = lambda config: config
) -> Group:
    """An existing group with changed configs; nothing is written.

    Args:
        path: the group's directory.
        run_dirs: of the members.
        change: returns the config with which the owner of a config resumes.

    Raises:
        ConfigError: a member cannot work, or is past its budget.
    """
    run_dirs = list(run_dirs)
    configs = [change(read_config(run_dir)) for run_dir in run_dirs]
    members = list(map(Member, run_dirs, configs, build_members(configs)))
    for member in members:
        check_not_past(member.run, max(saved_steps(member.run_dir.checkpoints), default=0))
    return Group(RunDir.open(path), change(read_config(path)), members)


def write_member_files(members: Iterable[Member]) -> None:
    """Writes the members' configs and manifests."""
    for member in members:
        write_run_files(member.run_dir, member.config)


def write_group_files(group: Group) -> None:
    """Writes the configs and manifests of the group and its members."""
    write_run_files(group.run_dir, group.config)
    write_member_files(group.members)


def finish_group(group: Group) -> None:
    """Draws the reward curve of a group that is trained, if it is wanted, and tells its trackers.

    These are those that its config names, and that keep files.
    """
    if group.config.runner.plot:
        try_to_draw_curve(group.run_dir)
    names = [name for name in group.config.runner.track if TRACKERS[name].files]
    with Destinations() as destinations:
        tee = Tee(*open_named(names, group.run_dir, 0, destinations))
        tee.log_config(described(group.run_dir))
        for path in finished_files(group.run_dir):
            tee.log_file(path)
        tee.close(how_it_ended(group.run_dir))


def by_program(items: Sequence[Any], runs: Sequence[Run]) -> list[list[Any]]:
    """The items in lists, each of those whose runs can share a compiled program."""
    programs: list[tuple[Run, list[Any]]] = []
    for item, run in zip(items, runs, strict=True):
        sharing = next((some for first, some in programs if alike(first, run)), None)
        if sharing is None:
            programs.append((run, sharing := []))
        sharing.append(item)
    return [some for _, some in programs]


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows of the same columns as CSV."""
    with writing(path), path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
