"""Searches with Optuna: an objective for any study (Akiba et al. 2019, arXiv:1907.10902)."""

from collections.abc import Callable, Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any

from vibe_rl.configs.axes import Range
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.config_files import new_run_dir
from vibe_rl.experiment.search.objective import Evaluation, TrialResult, build_trial, run_trial
from vibe_rl.experiment.search.space import Domain, validate_space
from vibe_rl.extras import require
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import AnyPath

STORABLE = (bool, int, float, str, type(None))
"""The kinds of choices that Optuna can store; others are stored as text."""


def objective(
    config: TrainConfig,
    space: Mapping[str, Domain],
    seeds: Iterable[int] = range(4),
    base_dir: AnyPath = "runs",
) -> Callable[[Any], float]:
    """The objective for a study that maximizes: the interquartile mean of the last evaluation.

    Every evaluation is reported, so that the study's pruner may end a trial. A trial is pruned as
    well if the mean is -inf, which no pruner and few samplers accept, and if its combination of
    values cannot work. Its user attributes are `run`, the directory, and the fields of its last
    `Evaluation`; or `refused`, why it cannot work.

    Args:
        config: all that does not vary; its seed is not used.
        space: by name, such as `{"algo.lr": Range(1e-4, 1e-2), "algo.n_steps": [32, 64]}`.
        seeds: of each trial, which trains them at once.
        base_dir: where run directories are made.

    Raises:
        ConfigError: Optuna is missing, or the search cannot work.
    """
    require("optuna", "optuna", "searches")
    seeds, base = list(seeds), Path(base_dir).absolute()
    space = validate_space(config, space, seeds)

    def run(trial: Any) -> float:
        values = suggest_values(trial, space)
        pruned = require("optuna", "optuna", "searches").TrialPruned
        try:
            build_trial(config, values, seeds)
        except ConfigError as error:
            trial.set_user_attr("refused", str(error))
            raise pruned(str(error)) from None
        with new_run_dir(f"{trial.study.study_name}_trial_{trial.number}", base) as run_dir:
            trial.set_user_attr("run", str(Path(base_dir, run_dir.root.name)))
            last, complete = _run(trial, config, values, seeds, run_dir)
        if not complete:
            raise pruned(f"ended at {last.step} env steps")
        return last.iqm

    return run


def suggest_values(trial: Any, space: Mapping[str, Domain]) -> dict[str, Any]:
    """The values that the study's sampler chooses for a trial."""
    return {name: _suggest(trial, name, domain) for name, domain in space.items()}


def _suggest(trial: Any, name: str, domain: Domain) -> Any:
    if isinstance(domain, Range):
        is_whole = isinstance(domain.low, int)
        suggest = trial.suggest_int if is_whole else trial.suggest_float
        return suggest(name, domain.low, domain.high, log=domain.log)
    return _decode(domain, trial.suggest_categorical(name, [_encode(value) for value in domain]))


def trial_values(trial: Any, space: Mapping[str, Domain]) -> dict[str, Any]:
    """The values of a trial, as far as they were chosen."""
    params = trial.params
    return {name: _decode(space[name], params[name]) for name in space if name in params}


def _encode(value: Any) -> Any:
    return value if isinstance(value, STORABLE) else str(value)


def _decode(domain: Domain, stored: Any) -> Any:
    return stored if isinstance(domain, Range) else next(x for x in domain if _encode(x) == stored)


def _run(
    trial: Any,
    config: TrainConfig,
    values: Mapping[str, Any],
    seeds: list[int],
    run_dir: RunDir,
) -> TrialResult:
    """Trains a trial, which its study may prune, and notes its last evaluation."""

    def should_stop(evaluation: Evaluation) -> bool:
        if evaluation.iqm == -inf:
            return True
        trial.report(evaluation.iqm, evaluation.step)
        return trial.should_prune()

    result = run_trial(config, values, seeds, run_dir, should_stop)
    for name, value in result.last._asdict().items():
        trial.set_user_attr(name, value)
    return result
