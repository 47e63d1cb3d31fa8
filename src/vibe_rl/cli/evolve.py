"""`vibe-rl evolve`."""

from collections.abc import Callable, Sequence
from typing import Any

from vibe_rl.cli.plot import try_to_draw
from vibe_rl.cli.scores import columns, shown
from vibe_rl.cli.words import taken_out, whole
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.group import print_diverged
from vibe_rl.system.cores import use_all_cores

HELP = """usage: vibe-rl evolve PRESET --algo.FIELD LOW:HIGH ... [--members 8] [--every 20000] ...

Trains members with different numbers, side by side in one program. Every so many env steps each of
the worst quarter takes over the state of one of the best, and its numbers, changed a little or
drawn anew. LOW:HIGH marks a number that evolves. Presets and fields: vibe-rl train --help."""


def evolve(args: Sequence[str]) -> None:
    """Trains a population of a preset, and prints its members, the best first."""
    if {"-h", "--help"} & set(args):
        print(HELP)
        return
    use_all_cores()
    from vibe_rl.configs import ranged  # noqa: PLC0415
    from vibe_rl.experiment import population  # noqa: PLC0415

    n_members, words = taken_out("--members", args)
    every, words = taken_out("--every", words)
    numbers = whole("--members", n_members or "8", 1), whole("--every", every or "20000", 1)
    config, ranges = ranged(words)
    group, found = population.evolve(config, ranges, *numbers, config.runner.seed)
    tell(str(group), found, config.runner.plot)


def resume_population(path: str, change: Callable[[Any], Any]) -> None:
    """Goes on with a population whose configs `change` makes others."""
    from vibe_rl.experiment import population  # noqa: PLC0415
    from vibe_rl.experiment.build import config_of  # noqa: PLC0415

    group, found = population.resume_population(path, change)
    tell(str(group), found, config_of(group).runner.plot)


def tell(group: str, found: Sequence[Any], plot: bool) -> None:
    """Says, and draws, how a population ended."""
    print(f"Training {'complete' if found else 'interrupted'}")
    print_diverged(group)
    if found:
        print(standing(found))
    print(f"Run | {group}")
    if not found:
        print(f"Go on | vibe-rl train --resume {group}")
    elif plot:
        try_to_draw_numbers(group)
        try_to_draw(group)


def standing(found: Sequence[Any]) -> str:
    """A table of the members, the best first."""
    head = ["member", *(name.partition(".")[2] for name in found[0].values)]
    rows = [
        [x.member, *(f"{v:.4g}" for v in x.values.values()), shown(x.last_return), str(x.takeovers)]
        for x in found
    ]
    return columns([[*head, "last return", "takeovers"], *rows])


def try_to_draw_numbers(group: str) -> None:
    """Draws how the numbers went, if matplotlib is there."""
    from vibe_rl.experiment.population import tracks  # noqa: PLC0415
    from vibe_rl.plotting import plot_hyperparameters  # noqa: PLC0415
    from vibe_rl.run_dir.directory import RunDir  # noqa: PLC0415

    path = RunDir.open(group).artifact_path("population.png")
    try:
        plot_hyperparameters(*tracks(group), save_path=path)
        print(f"Numbers | {path}")
    except ConfigError as error:
        print(f"Numbers | none: {error}")
