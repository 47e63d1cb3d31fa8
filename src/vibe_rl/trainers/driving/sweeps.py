"""What Hydra's sweeper `optuna` does: the studies of `vibe-rl search`, a run a trial.

The published plugin needs Optuna 2 or 3.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vibe_rl.configs.axes import Range
from vibe_rl.errors import ConfigError, NonFiniteLossError, reason
from vibe_rl.experiment.search.optuna import suggest_values
from vibe_rl.experiment.search.space import Domain
from vibe_rl.experiment.search.study import (
    best_trial,
    open_study,
    run_trials,
    started_trials,
)
from vibe_rl.extras import require
from vibe_rl.run_dir.plain import plain
from vibe_rl.trainers.driving.composing import NEEDS
from vibe_rl.trainers.driving.trials import reporting_to

Launch = Callable[[Sequence[str], int], float]
"""Called with the words and the number of a trial; what its run returns."""


def run_study(
    words: Sequence[str],
    loader: Any,
    launcher: Any,
    place: tuple[str, str],
    how: tuple[str, int | None],
    n_trials: Any,
) -> Any:
    """Runs the trials of a study, prints each and the best; the best trial, if one is complete.

    Args:
        words: overrides, of which some have several values or an interval.
        loader: Hydra's, of configs.
        launcher: Hydra's.
        place: the study's name and storage, see `open_study`.
        how: its pruner and the seed of its sampler.
        n_trials: of all workers that share it, as the user wrote it.

    Raises:
        ConfigError: nothing varies, the study is of another search, or no trial can work.
    """
    check_trials(n_trials)
    space, fixed = split_space(words, loader)
    require("optuna.logging", "optuna", "sweeps").set_verbosity(30)  # warnings

    def launch(trial_words: Sequence[str], number: int) -> float:
        (job,) = launcher.launch([list(trial_words)], initial_job_idx=number)
        if isinstance(job.return_value, Exception):
            raise job.return_value
        return float(job.return_value)

    study = open_study(*place, {"space": plain(space), "words": fixed}, *how)
    run_trials(study, _objective(space, fixed, launch), n_trials, [_print_trial])
    best = best_trial(study)
    refused = [trial.user_attrs.get("refused") for trial in started_trials(study)]
    if all(refused):
        raise ConfigError(f"all {len(refused)} trials were refused, the last so: {refused[-1]}")
    if best is not None:
        print(f"Best | trial {best.number}, {best.value:.4g}: {' '.join(_words_of(best.params))}")
    return best


def check_trials(n_trials: Any) -> None:
    """Raises ConfigError unless it is a number of trials."""
    if not isinstance(n_trials, int) or n_trials < 1:
        raise ConfigError(f"hydra.sweeper.n_trials {n_trials}: give a whole number of at least 1.")


def _objective(
    space: Mapping[str, Domain], fixed: Sequence[str], launch: Launch
) -> Callable[[Any], float]:
    """What Optuna maximizes: what the run of a trial's words returns."""
    pruned = require("optuna", "optuna", "sweeps").TrialPruned

    def run(trial: Any) -> float:
        words = [*fixed, *_words_of(suggest_values(trial, space))]
        try:
            with reporting_to(lambda figure, step: reported(trial, figure, step)):
                figure = launch(words, trial.number)
        except (ConfigError, NonFiniteLossError) as error:
            trial.set_user_attr("refused", reason(error))
            raise pruned(reason(error)) from None
        if not math.isfinite(figure) or trial.user_attrs.get("ended"):
            raise pruned("ended by its evaluations")
        return figure

    return run


def reported(trial: Any, figure: float, step: int) -> bool:
    """Tells the study of an evaluation; whether to end the trial there."""
    if not math.isfinite(figure):
        return True
    trial.report(figure, step)
    ended = bool(trial.should_prune())
    if ended:
        trial.set_user_attr("ended", step)
    return ended


def split_space(words: Sequence[str], loader: Any) -> tuple[dict[str, Domain], list[str]]:
    """What varies, and the words that do not.

    Raises:
        ConfigError: nothing varies.
    """
    parser = require("hydra.core.override_parser.overrides_parser", *NEEDS).OverridesParser
    space, fixed = {}, []
    for each in parser.create(config_loader=loader).parse_overrides(list(words)):
        if each.is_sweep_override():
            space[each.get_key_element()] = domain_of(each)
        else:
            fixed.append(f"{each.get_key_element()}={each.get_value_element_as_str()}")
    if not space:
        raise ConfigError(
            "no key has several values: name some, such as 'algorithm.gamma=interval(0.95,0.99)'."
        )
    return space, fixed


def domain_of(override: Any) -> Domain:
    """The choices, as words, or the range of an override."""
    if override.is_discrete_sweep():
        return list(override.sweep_string_iterator())
    value = override.value()
    low, high = value.start, value.end
    if low is None or high is None or not low < high:
        raise ConfigError(f"{override.input_line}: give the lower end first.")
    domain = Range(low, high)
    if "log" in value.tags and not domain.log:
        raise ConfigError(
            f"{override.input_line}: scales are logarithmic from ten times the lower end on, leave "
            "tag out."
        )
    return domain


def _words_of(values: Mapping[str, Any]) -> list[str]:
    """Values as overrides."""
    return [f"{name}={value}" for name, value in values.items()]


def _print_trial(study: Any, trial: Any) -> None:
    """Prints how a trial ended."""
    attrs, words = trial.user_attrs, " ".join(_words_of(trial.params))
    if "refused" in attrs:
        ending = f"refused: {attrs['refused']}"
    elif trial.value is None:
        ending = f"pruned at {attrs.get('ended', '?')} env steps"
    else:
        ending = f"{trial.value:.4g}"
    print(f"Trial {trial.number} | {words} | {ending}")
