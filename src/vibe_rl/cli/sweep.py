"""`vibe-rl sweep`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vibe_rl.cli.shared.options import asks_help, check_no_seed, parse_int, pop_option
from vibe_rl.cli.shared.output import format_table, iqm_text, print_group, print_result, return_text
from vibe_rl.system.cores import use_all_cores

if TYPE_CHECKING:
    from vibe_rl.experiment.trials import Standing
    from vibe_rl.run_dir.directory import RunDir

HELP = """usage: vibe-rl sweep PRESET --algo.FIELD VALUE,VALUE ... [--seeds 0:4] [--halving ETA] ...

Trains every combination of the values with every seed and ranks them by the interquartile mean of
the last evaluations. Commas within brackets separate no values: '(64,64),(128,128)'. With
--halving, the best 1/ETA of the settings continue at each rung.
Fields and --track: vibe-rl train PRESET --help."""


def sweep(args: Sequence[str]) -> None:
    """Trains every combination of some values, and prints their ranking."""
    if asks_help(args):
        print(HELP)
        return
    use_all_cores()
    from vibe_rl.configs import parse_axes, parse_seeds  # noqa: PLC0415
    from vibe_rl.experiment.sweep import sweep as train_all  # noqa: PLC0415

    seeds, words = pop_option("--seeds", args)
    halving, words = pop_option("--halving", words)
    check_no_seed(words)
    eta = None if halving is None else parse_int("--halving", halving, 0)
    config, axes, _ = parse_axes(words, ranges=False)
    print_result(lambda: train_all(config, axes, parse_seeds(seeds or "0:4"), eta), print_sweep)


def print_sweep(group: "RunDir", standings: "Sequence[Standing]") -> None:
    """Prints, and draws, how a sweep ended."""
    draw = partial(draw_ranking, group, standings)
    print_group(group, standings, ranking_table, "Ranking", draw)


def ranking_table(standings: "Sequence[Standing]") -> str:
    """A table of settings, the best first."""
    rows = [("setting", "IQM [95 % interval]", "seeds", "worst (seed)", "env steps")]
    for standing in standings:
        diverged = f", {standing.diverged} diverged" if standing.diverged else ""
        rows.append(
            (
                standing.setting,
                iqm_text(standing.iqm, standing.low, standing.high),
                f"{standing.n_seeds}{diverged}",
                f"{return_text(standing.worst)} ({standing.worst_seed})",
                f"{standing.step:,}",
            )
        )
    return format_table(rows)


def draw_ranking(group: "RunDir", standings: "Sequence[Standing]") -> Path:
    """Draws the interval of each setting; the file."""
    from vibe_rl.plotting import plot_ranking  # noqa: PLC0415

    path = group.artifact_path("sweep.png")
    intervals = [(standing.iqm, standing.low, standing.high) for standing in standings]
    plot_ranking([standing.setting for standing in standings], intervals, save_path=path)
    return group.shown(path)
