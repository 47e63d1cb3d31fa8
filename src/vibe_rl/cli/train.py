"""`vibe-rl train`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from vibe_rl.cli.evolve import print_population
from vibe_rl.cli.shared.options import check_no_seed, pop_flag, pop_option
from vibe_rl.cli.shared.output import (
    evaluation_line,
    print_curve,
    print_ending,
    print_result,
    seeds_line,
)
from vibe_rl.cli.shared.processes import parse_processes
from vibe_rl.cli.shared.sizing import check_sizing, parse_sized
from vibe_rl.cli.sweep import print_sweep
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.group import is_group, is_population, is_sweep, members
from vibe_rl.system.cores import use_all_cores

if TYPE_CHECKING:
    from vibe_rl.run_dir.directory import RunDir
    from vibe_rl.runner.fit import FitResult


def train(args: Sequence[str]) -> None:
    """Trains a preset, with one seed or with many at once, or resumes a run or a group."""
    path, words = pop_option("--resume", args)
    seeds, words = pop_option("--seeds", words)
    connect, words = parse_processes(words)
    check_sizing(path, words)
    if seeds is None and (path is None or not is_group(path)):
        _train_one(path, words, connect)
    elif connect is not None:
        raise ConfigError("--distributed is for one run: train a group of seeds on each machine.")
    elif path is None:
        train_many(str(seeds), words)
    elif seeds is not None:
        raise ConfigError(f"--seeds {seeds} with --resume: a group keeps its seeds, leave it out.")
    else:
        resume_group(path, words)


def _train_one(
    path: str | None, words: Sequence[str], connect: Callable[[], None] | None = None
) -> None:
    """Trains a preset, or resumes a run; of several processes, the first prints how it ended."""
    from vibe_rl import experiment  # noqa: PLC0415 - each command imports what it needs
    from vibe_rl.configs import update_config  # noqa: PLC0415
    from vibe_rl.experiment.config_files import read_config  # noqa: PLC0415
    from vibe_rl.experiment.rewinding import locate  # noqa: PLC0415
    from vibe_rl.system.processes import run_on_first  # noqa: PLC0415

    rewind, words = pop_flag("--rewind", words)
    if path is None:
        if rewind:
            raise ConfigError("--rewind is of a run: give --resume RUN/checkpoints/step_N too.")
        config = parse_sized(words)
    else:
        config = update_config(read_config(locate(path).run), words)
    if connect is not None:
        connect()

    def show(run_dir: "RunDir", result: "FitResult") -> None:
        run_on_first(partial(print_run, run_dir, result, config.runner.plot))

    if path is None:
        print_result(partial(experiment.train, config), show)
    else:
        print_result(partial(experiment.resume, path, config, rewind=rewind), show)


def print_run(run_dir: "RunDir", result: "FitResult", plot: bool) -> None:
    """Prints how a run ended; if it is complete, also where its reward curve is, if it has one."""
    scores = result.evaluation
    line = "" if scores is None else f"Evaluation | {evaluation_line(scores)}"
    steps = f"{result.step:,} env steps, {result.updates:,} updates"
    print_ending(run_dir, steps, line, result.interrupted)
    if plot and not result.interrupted:
        print_curve(run_dir)


def train_many(seeds: str, words: Sequence[str]) -> None:
    """Trains a preset with several seeds at once."""
    check_no_seed(words)
    use_all_cores()
    from vibe_rl import experiment  # noqa: PLC0415
    from vibe_rl.configs import parse_seeds  # noqa: PLC0415

    config = parse_sized(words)
    print_result(lambda: experiment.train(config, seeds=parse_seeds(seeds)), print_seeds)


def resume_group(path: str, words: Sequence[str]) -> None:
    """Resumes a group of any kind, whose configs the words change."""
    check_no_seed(words)
    use_all_cores()
    from vibe_rl.configs import update_config  # noqa: PLC0415
    from vibe_rl.experiment.population import resume_population  # noqa: PLC0415
    from vibe_rl.experiment.seeds import resume_seeds  # noqa: PLC0415
    from vibe_rl.experiment.sweep import resume_sweep  # noqa: PLC0415

    change = partial(update_config, args=words)
    if is_sweep(path):
        print_result(partial(resume_sweep, path, change), print_sweep)
    elif is_population(path):
        print_result(partial(resume_population, path, change), print_population)
    else:
        print_result(partial(resume_seeds, path, change), print_seeds)


def print_seeds(group: "RunDir", results: "Sequence[FitResult]") -> None:
    """Prints, and draws, how a group of seeds ended."""
    from vibe_rl.experiment.config_files import read_config  # noqa: PLC0415
    from vibe_rl.experiment.trials import last_return  # noqa: PLC0415

    last = [last_return(member) for member in members(group)]
    returns = [x for x in last if x is not None]
    line = f"Evaluation | {seeds_line(returns)}" if returns else ""
    steps = f"{results[0].step:,} env steps of each of {len(results)} seeds"
    interrupted = any(result.interrupted for result in results)
    print_ending(group, steps, line, interrupted)
    if read_config(group).runner.plot and not interrupted:
        print_curve(group)
