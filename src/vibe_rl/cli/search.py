"""`vibe-rl search`."""

import logging
import shlex
import signal
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from vibe_rl.cli.shared.options import asks_help, check_no_seed, parse_int, pop_option
from vibe_rl.cli.shared.output import iqm_text
from vibe_rl.system.cores import use_all_cores

HELP = """usage: vibe-rl search PRESET --algo.FIELD LOW:HIGH [--algo.FIELD VALUE,VALUE] ...
    [--seeds 0:4] [--trials 20] [--study PRESET] [--storage runs/search.journal]
    [--pruner median|halving|none] [--sampler_seed N]

Optuna chooses the values of each trial, which trains some seeds at once. The same command on other
machines joins the search if all reach the storage: the path of a journal on a shared file system,
or the URL of a database. Fields and --track: vibe-rl train PRESET --help."""
OPTIONS = {
    "--seeds": "0:4",
    "--trials": "20",
    "--study": "",
    "--storage": "runs/search.journal",
    "--pruner": "median",
    "--sampler_seed": "",
}
"""Their defaults."""


def search(args: Sequence[str]) -> None:
    """Runs the trials of an Optuna study, and prints the best."""
    if asks_help(args):
        print(HELP)
        return
    use_all_cores()
    from vibe_rl.configs import parse_axes, parse_seeds  # noqa: PLC0415
    from vibe_rl.experiment.search.optuna import objective  # noqa: PLC0415
    from vibe_rl.experiment.search.study import (  # noqa: PLC0415
        describe_search,
        open_study,
        run_trials,
    )
    from vibe_rl.experiment.seeds import check_seeds  # noqa: PLC0415

    options, words = pop_options(args)
    n_trials = parse_int("--trials", options["--trials"], 1)
    seeds = check_seeds(parse_seeds(options["--seeds"]))
    number = options["--sampler_seed"]
    config, space, shared = parse_axes(words)
    objective_of_trial = objective(config, space, seeds)
    leave_output_to_this_command()
    study = open_study(
        options["--study"] or words[0],
        options["--storage"],
        describe_search(config, space, seeds),
        options["--pruner"],
        parse_int("--sampler_seed", number, 0) if number else None,
    )
    interrupt = None
    try:
        run_trials(study, objective_of_trial, n_trials, [partial(_print_trial, space)])
    except KeyboardInterrupt as error:
        interrupt = error
    print_search(study, n_trials, interrupt is not None)
    print_best(study, space, shared, seeds)
    if interrupt is not None:
        raise interrupt


def pop_options(args: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The search's own options, and the words that describe its runs."""
    words, options = list(args), {}
    for option, default in OPTIONS.items():
        value, words = pop_option(option, words)
        options[option] = default if value is None else value
    check_no_seed(words)
    return options, words


def leave_output_to_this_command() -> None:
    """Silences Optuna's log, and lets Ctrl-C end a trial as failed."""
    from vibe_rl.extras import require  # noqa: PLC0415

    require("optuna.logging", "optuna", "searches").set_verbosity(logging.CRITICAL)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _print_trial(space: Mapping[str, Any], study: Any, trial: Any) -> None:
    """Prints a line for a trial that is complete or pruned."""
    from vibe_rl.experiment.grid import setting_name  # noqa: PLC0415
    from vibe_rl.experiment.search.optuna import trial_values  # noqa: PLC0415

    attrs, values = trial.user_attrs, setting_name(trial_values(trial, space))
    if "refused" in attrs:
        print(f"Trial {trial.number} | {values} | refused: {attrs['refused']}")
    elif "iqm" in attrs:
        pruned = " (pruned)" if trial.value is None else ""
        print(f"Trial {trial.number} | {values} | {score_text(attrs)}{pruned} | {attrs['run']}")


def score_text(attrs: Mapping[str, Any]) -> str:
    """A trial's score at its last evaluation."""
    iqm = iqm_text(attrs["iqm"], attrs["low"], attrs["high"])
    return f"IQM {iqm} at {attrs['step']:,} env steps"


def print_search(study: Any, n_trials: int, interrupted: bool) -> None:
    """Prints how the search ended, over all its workers."""
    from vibe_rl.experiment.search.study import started_trials  # noqa: PLC0415

    states = [trial.state.name for trial in started_trials(study)]
    ending = "interrupted" if interrupted else "complete"
    print(
        f"Search {ending} | {len(states)} of {n_trials} trials started, "
        f"{states.count('PRUNED')} pruned, {states.count('RUNNING')} running"
    )
    if interrupted:
        print("Resume with | the same command")


def print_best(
    study: Any, space: Mapping[str, Any], shared: Sequence[str], seeds: list[int]
) -> None:
    """Prints the best trial, and the command that trains its setting with other seeds."""
    from vibe_rl.experiment.search.optuna import trial_values  # noqa: PLC0415
    from vibe_rl.experiment.search.space import as_options  # noqa: PLC0415
    from vibe_rl.experiment.search.study import best_trial  # noqa: PLC0415

    best = best_trial(study)
    if best is None:
        print("Best | no trial is complete")
        return
    values, first = as_options(trial_values(best, space)), max(seeds) + 1
    again = ["--seeds", f"{first}:{first + len(seeds)}"]
    print(f"Best | trial {best.number}, {score_text(best.user_attrs)} of {len(seeds)} seeds")
    print(f"Values | {shlex.join(values)}")
    print(f"Run | {best.user_attrs['run']}")
    print(f"Train with other seeds | {shlex.join(['vibe-rl', 'train', *shared, *values, *again])}")
