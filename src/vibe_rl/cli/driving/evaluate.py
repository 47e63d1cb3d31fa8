"""`vibe-rl driving evaluate`."""

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from vibe_rl.cli.shared.options import parse_words, split_names
from vibe_rl.env.pictures.drawing import check_draws
from vibe_rl.errors import ConfigError, shown, unknown
from vibe_rl.runner.actors import Actor
from vibe_rl.runner.recording import write_gif
from vibe_rl.trainers.driving.evaluating import World, drive, film, filmed
from vibe_rl.trainers.driving.results import (
    actor_lines,
    check_out,
    figure_lines,
    told,
    write_actors,
    write_results,
)
from vibe_rl.trainers.driving.worlds import AGENT, WantedEvaluation, open_worlds

FPS = 10
"""Pictures a second: as fast as it was driven."""
TOLD = ("success", "progress", "accuracy", "vmax_aggregate_score", "nuplan_aggregate_score")
"""Figures that are printed; the files have all."""
DRIVERS = (AGENT, "expert", "idm", "lane", "cruise", "brake", "constant", "random")
Flag = tyro.conf.FlagCreatePairsOff[bool]


@dataclass(frozen=True, kw_only=True)
class _Options:
    """Drives every scenario once and writes how that went: a CSV row a scenario, means as JSON."""

    actor: str = AGENT
    """Who drives: ai, the agent of --run, or a scripted player: expert, idm, lane, cruise, brake,
    constant, random. Several have commas between them, and a folder each."""
    factor: float | None = None
    """Of lane, how fast it drives, times the speed limit; 0.7 if not given."""
    out: str
    """The folder of the results."""
    run: str | None = None
    """Directory of a run, whose agent drives in the world that it was trained for."""
    dataset: str | None = None
    """A folder of scenarios, instead of those of the run."""
    split: Literal["valid", "train", "all"] = "valid"
    """Which scenarios of the folder: held out, to train with, or all."""
    batch_size: int = 64
    """Scenarios that are driven side by side."""
    indexes: tuple[int, ...] = ()
    """Only these scenarios, by their number in the split."""
    limit: int | None = None
    """At most so many scenarios."""
    best: Flag = False
    """The agent of the best evaluation instead of the latest."""
    seed: int = 0
    """Of everything random."""
    noisy_init: Flag = False
    """Begins each drive with a second of a random action, instead of the log."""
    render: int = 0
    """Films the first so many scenarios, as GIFs and, where ffmpeg is, MP4s."""
    pov: Flag = False
    """Films in the frame of the vehicle: what is ahead of it is above."""
    plot_failures: Flag = False
    """Films those without success."""
    overwrite: Flag = False
    """Replaces results that are there."""


def evaluate_drivers(args: Sequence[str]) -> None:
    """Drives scenarios, and writes and prints how that went; of several drivers one by one."""
    options: _Options = parse_words(_Options, args, "vibe-rl driving evaluate")
    names = drivers_of(options)
    _check_options(options)
    folders = folders_of(options, names)
    actors, world = open_worlds(wanted_of(options), names)
    if options.render or options.plot_failures:
        check_draws(world.env)
    found = {}
    for name, actor in zip(names, actors, strict=True):
        found[name] = evaluate_one(options, name, actor, world, folders[name])
    if len(names) > 1:
        path = write_actors(Path(options.out), found)
        print("\n".join(actor_lines(found, TOLD)))
        print(f"Results | {shown(path)}")


def folders_of(options: _Options, names: Sequence[str]) -> dict[str, Path]:
    """Where the results of each driver go; ConfigError if there are some that are to stay."""
    places = {name: Path(options.out, name) for name in names}
    if len(names) == 1:
        places = dict.fromkeys(names, Path(options.out))
    for path in {Path(options.out), *places.values()}:
        check_out(path, options.overwrite)
    return places


def evaluate_one(
    options: _Options, name: str, actor: Actor, world: World, folder: Path
) -> dict[str, Any]:
    """Lets one drive, and writes and prints how that went; its results."""
    outcome = drive(actor, world, options.seed, options.batch_size)
    films = filmed(outcome, options.render, options.plot_failures)
    about = {"actor": name, "run": options.run, "dataset": options.dataset}
    about |= {} if options.factor is None else {"factor": options.factor}
    about |= {"split": options.split, "seed": options.seed, "noisy_init": options.noisy_init}
    results = write_results(folder, about, outcome)
    for part, own in {"all": results, **results["families"]}.items():
        print(f"{part} | {own['scenarios']} scenarios | " + " | ".join(figure_lines(own, TOLD)))
    print(f"Results | {told(folder)}")
    for path in write_films(films, actor, world, folder / "video", options.seed, options.pov):
        print(f"Film | {shown(path)}")
    return results


def wanted_of(options: _Options) -> WantedEvaluation:
    """What is to be opened."""
    return WantedEvaluation(
        factor=options.factor,
        run=options.run,
        best=options.best,
        dataset=options.dataset,
        split=options.split,
        indexes=options.indexes,
        limit=options.limit,
        noisy_init=options.noisy_init,
    )


def drivers_of(options: _Options) -> list[str]:
    """Who drives, one after another; ConfigError if somebody cannot."""
    names = split_names(options.actor)
    for name in names:
        if name not in DRIVERS:
            raise unknown("--actor", name, DRIVERS)
    if len(set(names)) < len(names):
        raise ConfigError(f"--actor {options.actor}: name each driver once.")
    if AGENT in names and options.run is None:
        raise ConfigError("--actor ai is an agent: name its --run, or another --actor.")
    return names


def _check_options(options: _Options) -> None:
    """Raises ConfigError for options that cannot work, alone or together."""
    if options.indexes and options.limit is not None:
        raise ConfigError("--indexes and --limit both say which scenarios: give one of them.")
    if options.factor is not None and "lane" not in split_names(options.actor):
        raise ConfigError(f"--factor is of --actor lane: leave it out for {options.actor}.")
    least = {"batch_size": 1, "limit": 1, "render": 0, "seed": 0, "factor": 0}
    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and not bound <= value < math.inf:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: give at least {bound}.")


def write_films(
    indexes: Sequence[int], actor: Any, world: World, folder: Path, seed: int, pov: bool
) -> Iterator[Path]:
    """Writes a film of each of these scenarios, and gives their paths."""
    if indexes:
        folder.mkdir(parents=True, exist_ok=True)
    for index in indexes:
        path = folder / f"eval_{world.uids[index]}.gif"
        write_gif(film(actor, world, seed, index, pov), path, FPS)
        yield path
        if shutil.which("ffmpeg"):
            from vibe_rl.watching.films import write_mp4  # noqa: PLC0415 - few films are made

            write_mp4(film(actor, world, seed, index, pov), path.with_suffix(".mp4"), FPS)
            yield path.with_suffix(".mp4")
