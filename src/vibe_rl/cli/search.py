"""`vibe-rl search`."""

import logging
import shlex
import signal
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from vibe_rl.cli.scores import middle
from vibe_rl.cli.words import check_no_seed, taken_out, whole
from vibe_rl.system.cores import use_all_cores

HELP = """usage: vibe-rl search PRESET --algo.FIELD LOW:HIGH [--algo.FIELD VALUE,VALUE] ...
    [--seeds 0:4] [--trials 20] [--study PRESET] [--storage runs/search.journal]
    [--pruner median|halving|none] [--sampler_seed N]

Optuna chooses the values of each trial, which trains some seeds at once. The same command on other
machines joins in, where all reach the storage: the path of a journal on a file system they share,
or the URL of a database. Presets and fields: vibe-rl train --help."""
OPTIONS = {
    "--seeds": "0:4",
    "--trials": "20",
    "--study": "",
    "--storage": "runs/search.journal",
    "--pruner": "median",
    "--sampler_seed": "",
}
"""What is taken where nothing is given."""


def search(args: Sequence[str]) -> None:
    """Runs the trials of an Optuna study, and prints the best."""
    if {"-h", "--help"} & set(args):
        print(HELP)
        return
    use_all_cores()
    from vibe_rl.experiment.search.optuna import objective  # noqa: PLC0415
    from vibe_rl.experiment.search.space import space_of  # noqa: PLC0415
    from vibe_rl.experiment.search.study import described, open_study, work  # noqa: PLC0415
    from vibe_rl.experiment.seeds import check_seeds, parse_seeds  # noqa: PLC0415

    options, words = split(args)
    n_trials = whole("--trials", options["--trials"], 1)
    seeds = check_seeds(parse_seeds(options["--seeds"]))
    drawn = options["--sampler_seed"]
    sampler_seed = whole("--sampler_seed", drawn, 0) if drawn else None
    config, space, shared = space_of(words)
    train_one = objective(config, space, seeds)
    quieten()
    study = open_study(
        options["--study"] or words[0],
        options["--storage"],
        described(config, space, seeds),
        options["--pruner"],
        sampler_seed,
    )
    stopped = False
    try:
        work(study, train_one, n_trials, [partial(tell_trial, space)])
    except KeyboardInterrupt:
        stopped = True
    tell(study, n_trials, stopped)
    tell_best(study, space, shared, seeds)


def split(args: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The search's own options, and the words that describe its runs."""
    words, options = list(args), {}
    for option, usual in OPTIONS.items():
        found, words = taken_out(option, words)
        options[option] = usual if found is None else found
    check_no_seed(words)
    return options, words


def quieten() -> None:
    """Leaves it to this command to tell what happens, and to Ctrl-C to end a trial as failed."""
    from vibe_rl.extras import require  # noqa: PLC0415

    require("optuna.logging", "optuna", "searches").set_verbosity(logging.CRITICAL)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def tell_trial(space: Mapping[str, Any], study: Any, trial: Any) -> None:
    """A line for a trial that was complete or pruned."""
    from vibe_rl.experiment.grid import name_of  # noqa: PLC0415
    from vibe_rl.experiment.search.optuna import values_of  # noqa: PLC0415

    facts, values = trial.user_attrs, name_of(values_of(trial, space))
    if "refused" in facts:
        print(f"Trial {trial.number} | {values} | refused: {facts['refused']}")
    elif "iqm" in facts:
        pruned = " (pruned)" if trial.value is None else ""
        print(f"Trial {trial.number} | {values} | {judged(facts)}{pruned} | {facts['run']}")


def judged(facts: Mapping[str, Any]) -> str:
    """What a trial came to at its last evaluation."""
    iqm = middle(facts["iqm"], facts["low"], facts["high"])
    return f"IQM {iqm} at {facts['step']:,} env steps"


def tell(study: Any, n_trials: int, stopped: bool) -> None:
    """Says how the search ended, whoever worked on it."""
    from vibe_rl.experiment.search.study import begun  # noqa: PLC0415

    states = [trial.state.name for trial in begun(study)]
    print(
        f"Search {'interrupted' if stopped else 'complete'} | {len(states)} of {n_trials} trials "
        f"begun, {states.count('PRUNED')} pruned, {states.count('RUNNING')} running"
    )
    if stopped:
        print("Go on | the same command")


def tell_best(
    study: Any, space: Mapping[str, Any], shared: Sequence[str], seeds: list[int]
) -> None:
    """Says which trial was best, and how to find out what it is worth."""
    from vibe_rl.experiment.search.optuna import values_of  # noqa: PLC0415
    from vibe_rl.experiment.search.space import words_of  # noqa: PLC0415
    from vibe_rl.experiment.search.study import best_of  # noqa: PLC0415

    best = best_of(study)
    if best is None:
        print("Best | no trial is complete")
        return
    values, first = words_of(values_of(best, space)), max(seeds) + 1
    again = ["--seeds", f"{first}:{first + len(seeds)}"]
    print(f"Best | trial {best.number}, {judged(best.user_attrs)} of {len(seeds)} seeds")
    print(f"Values | {shlex.join(values)}")
    print(f"Run | {best.user_attrs['run']}")
    print(f"Train with other seeds | {shlex.join(['vibe-rl', 'train', *shared, *values, *again])}")
