"""`vibe-rl train`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from vibe_rl.cli.evolve import resume_population
from vibe_rl.cli.plot import try_to_draw
from vibe_rl.cli.processes import processes
from vibe_rl.cli.scores import describe, summary
from vibe_rl.cli.sweep import resume_sweep
from vibe_rl.cli.words import check_no_seed, taken_out
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.group import is_group, is_population, is_sweep, members, print_diverged
from vibe_rl.system.cores import use_all_cores

if TYPE_CHECKING:
    from vibe_rl.configs.train_config import TrainConfig
    from vibe_rl.run_dir.directory import RunDir
    from vibe_rl.runner.fit import FitResult


def train(args: Sequence[str]) -> None:
    """Trains a preset, or resumes a run or a group; a group trains many seeds at once."""
    path, words = taken_out("--resume", args)
    seeds, words = taken_out("--seeds", words)
    join, words = processes(words)
    if seeds is None and (path is None or not is_group(path)):
        train_one(path, words, join)
    elif join is None:
        train_many(path, seeds, words)
    else:
        raise ConfigError("--distributed is for one run: train a group of seeds on each machine.")


def train_one(
    path: str | None, words: Sequence[str], join: Callable[[], None] | None = None
) -> None:
    """Trains a preset, or goes on with a run; of several processes, the first tells of it."""
    from vibe_rl import experiment  # noqa: PLC0415 - each command imports what it needs
    from vibe_rl.configs import cli, override  # noqa: PLC0415
    from vibe_rl.experiment.build import config_of  # noqa: PLC0415
    from vibe_rl.system.processes import run_on_first  # noqa: PLC0415

    config = cli(words) if path is None else override(config_of(path), words)
    if join is not None:
        join()
    if path is None:
        run_dir, result = experiment.train(config)
    else:
        run_dir, result = experiment.resume(path, config)
    run_on_first(partial(tell, config, run_dir, result))


def tell(config: "TrainConfig", run_dir: "RunDir", result: "FitResult") -> None:
    """How a run ended, and how to go on."""
    ending = "interrupted" if result.interrupted else "complete"
    print(f"Training {ending} | {result.step:,} env steps, {result.updates:,} updates")
    if result.evaluation is not None and not result.interrupted:
        print(f"Evaluation | {describe(result.evaluation)}")
    print(f"Run | {run_dir}")
    if result.interrupted:
        print(f"Go on | vibe-rl train --resume {run_dir}")
    curve = run_dir.artifact_path("reward_curve.png")
    if config.runner.plot and curve.exists():
        print(f"Reward curve | {curve}")
    elif config.runner.plot:
        try_to_draw(str(run_dir))  # which says why there is none


def train_many(path: str | None, seeds: str | None, words: Sequence[str]) -> None:
    """Trains a preset with many seeds at once, or goes on with any group."""
    use_all_cores()
    from vibe_rl.configs import cli, override  # noqa: PLC0415
    from vibe_rl.experiment import seeds as many_seeds  # noqa: PLC0415

    check_seed_options(path, seeds, words)
    change = partial(override, args=words)
    if path is None:
        tell_group(*many_seeds.train_seeds(cli(words), many_seeds.parse_seeds(str(seeds))))
    elif is_sweep(path):
        resume_sweep(path, change)
    elif is_population(path):
        resume_population(path, change)
    else:
        tell_group(*many_seeds.resume_seeds(path, change))


def tell_group(group: "RunDir", results: "Sequence[FitResult]") -> None:
    """Says, and draws, how a group of seeds ended."""
    from vibe_rl.experiment.build import config_of  # noqa: PLC0415
    from vibe_rl.experiment.trials import last_return  # noqa: PLC0415

    interrupted = any(result.interrupted for result in results)
    ending = "interrupted" if interrupted else "complete"
    print(f"Training {ending} | {results[0].step:,} env steps of each of {len(results)} seeds")
    print_diverged(group)
    figures = [last_return(member) for member in members(group)]
    scores = [figure for figure in figures if figure is not None]
    if scores and not interrupted:
        print(f"Evaluation | {summary(scores)}")
    print(f"Run | {group}")
    if interrupted:
        print(f"Go on | vibe-rl train --resume {group}")
    if config_of(group).runner.plot:
        try_to_draw(str(group))


def check_seed_options(path: str | None, seeds: str | None, words: Sequence[str]) -> None:
    """Raises ConfigError for options that contradict each other."""
    if path is not None and seeds is not None:
        raise ConfigError(f"--seeds {seeds} with --resume: a group keeps its seeds, leave it out.")
    check_no_seed(words)
