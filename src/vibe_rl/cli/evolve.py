"""`vibe-rl evolve`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vibe_rl.cli.shared.options import asks_help, parse_int, pop_option
from vibe_rl.cli.shared.output import format_table, print_group, print_result, return_text
from vibe_rl.system.cores import use_all_cores

if TYPE_CHECKING:
    from vibe_rl.experiment.population import RankedMember
    from vibe_rl.run_dir.directory import RunDir

HELP = """usage: vibe-rl evolve PRESET --algo.FIELD LOW:HIGH ... [--members 8] [--every 20000] ...

Population-based training: members with different hyperparameters, side by side in one program.
Every --every env steps each of the worst quarter takes over the state and the hyperparameters of
one of the best, and perturbs or resamples the latter. LOW:HIGH marks a hyperparameter that evolves.
Fields and --track: vibe-rl train PRESET --help."""


def evolve(args: Sequence[str]) -> None:
    """Trains a population of a preset, and prints its members, the best first."""
    if asks_help(args):
        print(HELP)
        return
    use_all_cores()
    from vibe_rl.configs import parse_axes  # noqa: PLC0415
    from vibe_rl.experiment.population import evolve as train_all  # noqa: PLC0415

    members, words = pop_option("--members", args)
    every, words = pop_option("--every", words)
    n_members = parse_int("--members", members or "8", 1)
    interval = parse_int("--every", every or "20000", 1)
    config, ranges, _ = parse_axes(words, values=False)
    train_members = partial(train_all, config, ranges, n_members, interval, config.runner.seed)
    print_result(train_members, print_population)


def print_population(group: "RunDir", ranking: "Sequence[RankedMember]") -> None:
    """Prints, and draws, how a population ended."""
    draw = partial(draw_hyperparameters, group)
    print_group(group, ranking, members_table, "Hyperparameters", draw)


def members_table(ranking: "Sequence[RankedMember]") -> str:
    """A table of the members, the best first."""
    fields = [name.partition(".")[2] for name in ranking[0].values]
    rows = [["member", *fields, "last return", "exploits"]]
    for member in ranking:
        values = [f"{value:.4g}" for value in member.values.values()]
        last = return_text(member.last_return)
        rows.append([member.member, *values, last, str(member.exploits)])
    return format_table(rows)


def draw_hyperparameters(group: "RunDir") -> Path:
    """Draws the schedules of the hyperparameters; the file."""
    from vibe_rl.experiment.population import hyperparameter_schedules  # noqa: PLC0415
    from vibe_rl.plotting import plot_hyperparameters  # noqa: PLC0415

    path = group.artifact_path("population.png")
    plot_hyperparameters(*hyperparameter_schedules(group), save_path=path)
    return group.shown(path)
