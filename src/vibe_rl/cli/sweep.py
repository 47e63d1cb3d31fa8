"""`vibe-rl sweep`."""

from collections.abc import Callable, Sequence
from typing import Any

from vibe_rl.cli.plot import try_to_draw
from vibe_rl.cli.scores import ranking
from vibe_rl.cli.words import check_no_seed, taken_out, whole
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.group import print_diverged
from vibe_rl.system.cores import use_all_cores

HELP = """usage: vibe-rl sweep PRESET --algo.FIELD VALUE,VALUE ... [--seeds 0:4] [--halving ETA] ...

Trains every combination of the values with every seed and ranks them by the interquartile mean of
the last evaluations. A comma within brackets parts no values: '(64,64),(128,128)'. With --halving,
the best 1/ETA of the settings go on at each rung. Presets and fields: vibe-rl train --help."""


def sweep(args: Sequence[str]) -> None:
    """Trains every combination of the values given, and prints their ranking."""
    if {"-h", "--help"} & set(args):
        print(HELP)
        return
    use_all_cores()
    from vibe_rl.configs import grid  # noqa: PLC0415
    from vibe_rl.experiment.seeds import parse_seeds  # noqa: PLC0415
    from vibe_rl.experiment.sweep import sweep as train_all  # noqa: PLC0415

    seeds, words = taken_out("--seeds", args)
    halving, words = taken_out("--halving", words)
    check_no_seed(words)
    eta = None if halving is None else whole("--halving", halving, 0)
    config, axes = grid(words)
    group, standings = train_all(config, axes, parse_seeds(seeds or "0:4"), eta)
    tell(str(group), standings, config.runner.plot)


def resume_sweep(path: str, change: Callable[[Any], Any]) -> None:
    """Goes on with a sweep whose configs `change` makes others."""
    from vibe_rl.experiment import sweep as library  # noqa: PLC0415
    from vibe_rl.experiment.build import config_of  # noqa: PLC0415

    group, standings = library.resume_sweep(path, change)
    tell(str(group), standings, config_of(group).runner.plot)


def tell(group: str, standings: Sequence[Any], plot: bool) -> None:
    """Says, and draws, how a sweep ended."""
    print(f"Training {'complete' if standings else 'interrupted'}")
    print_diverged(group)
    if not standings:
        print(f"Run | {group}")
        print(f"Go on | vibe-rl train --resume {group}")
        return
    print(ranking(standings))
    print(f"Run | {group}")
    if plot:
        try_to_draw_ranking(group, standings)
        try_to_draw(group)


def try_to_draw_ranking(group: str, standings: Sequence[Any]) -> None:
    """Draws the interval of each setting, if matplotlib is there."""
    from vibe_rl.plotting import plot_ranking  # noqa: PLC0415
    from vibe_rl.run_dir.directory import RunDir  # noqa: PLC0415

    path = RunDir.open(group).artifact_path("sweep.png")
    names = [standing.setting for standing in standings]
    try:
        plot_ranking(names, [standing[2:5] for standing in standings], save_path=path)
        print(f"Ranking | {path}")
    except ConfigError as error:
        print(f"Ranking | none: {error}")
