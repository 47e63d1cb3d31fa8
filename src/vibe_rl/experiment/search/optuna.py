"""Searches with Optuna: an objective for any study (Akiba et al. 2019, arXiv:1907.10902)."""

import os
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any

from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.search.objective import Report, prepared, run_trial
from vibe_rl.experiment.search.space import Domain, Range, checked_space
from vibe_rl.extras import require
from vibe_rl.run_dir.directory import RunDir

PLAIN = (bool, int, float, str, type(None))
"""What Optuna can write down of a choice; others are told as text."""


def objective(
    config: TrainConfig,
    space: Mapping[str, Domain],
    seeds: Iterable[int] = range(4),
    base_dir: str | os.PathLike[str] = "runs",
) -> Callable[[Any], float]:
    """What a study that maximizes is to optimize: the interquartile mean of the last evaluation.

    Every evaluation is reported, so the study's pruner may end a trial. A trial is pruned as well
    where the mean is -inf, which no pruner and few samplers can take, and where the combination of
    its values cannot work. Its user attributes are `run`, the directory, and those of its
    last `Report`, or `refused`, why it cannot work.

    Args:
        config: all that does not vary; its seed is not used.
        space: by name, such as `{"algo.lr": Range(1e-4, 1e-2), "algo.n_steps": [32, 64]}`.
        seeds: of each trial, which trains them at once.
        base_dir: where run directories are made.

    Raises:
        ConfigError: Optuna is missing, or the search cannot work.
    """
    require("optuna", "optuna", "searches")
    seeds = list(seeds)
    space = checked_space(config, space, seeds)

    def run(trial: Any) -> float:
        return _run(trial, config, suggested(trial, space), seeds, base_dir)

    return run


def suggested(trial: Any, space: Mapping[str, Domain]) -> dict[str, Any]:
    """The values that the study's sampler chooses for a trial."""
    return {name: _suggested(trial, name, domain) for name, domain in space.items()}


def _suggested(trial: Any, name: str, domain: Domain) -> Any:
    if isinstance(domain, Range):
        whole = isinstance(domain.low, int)
        suggest = trial.suggest_int if whole else trial.suggest_float
        return suggest(name, domain.low, domain.high, log=domain.log)
    return _meant(domain, trial.suggest_categorical(name, [_told(value) for value in domain]))


def values_of(trial: Any, space: Mapping[str, Domain]) -> dict[str, Any]:
    """The values that a trial had, as far as they were chosen."""
    told = trial.params
    return {name: _meant(space[name], told[name]) for name in space if name in told}


def _meant(domain: Domain, told: Any) -> Any:
    return told if isinstance(domain, Range) else next(x for x in domain if _told(x) == told)


def _told(value: Any) -> Any:
    return value if isinstance(value, PLAIN) else str(value)


def _run(
    trial: Any,
    config: TrainConfig,
    values: Mapping[str, Any],
    seeds: list[int],
    base_dir: str | os.PathLike[str],
) -> float:
    pruned = require("optuna", "optuna", "searches").TrialPruned
    try:
        prepared(config, values, seeds)
    except ConfigError as error:
        trial.set_user_attr("refused", str(error))
        raise pruned(str(error)) from None
    run_dir = RunDir(f"{trial.study.study_name}_trial_{trial.number}", base_dir)
    trial.set_user_attr("run", str(run_dir))

    def on_report(report: Report) -> bool:
        if report.iqm == -inf:
            return True
        trial.report(report.iqm, report.step)
        return trial.should_prune()

    last, complete = run_trial(config, values, seeds, run_dir, on_report)
    for name, figure in last._asdict().items():
        trial.set_user_attr(name, figure)
    if not complete:
        raise pruned(f"ended at {last.step} env steps")
    return last.iqm
