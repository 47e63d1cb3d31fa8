"""Studies that workers on many machines share: opened by each, and worked on till all is done."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vibe_rl.configs.train_config import TrainConfig, to_dict
from vibe_rl.errors import ConfigError, reason, unknown
from vibe_rl.experiment.search.space import Domain
from vibe_rl.extras import require
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.config import RunnerConfig

PRUNERS = {"median": "MedianPruner", "halving": "SuccessiveHalvingPruner", "none": "NopPruner"}
ABOUT = "vibe_rl"
"""The attribute in which a study holds what it is about."""
SHOWN = ("progress_bar", "plot")
"""The runner's fields that workers of one study may set as they like."""
ATTEMPTS = 3
"""To open a storage: workers that make its tables at the same time disturb each other."""


class SurplusError(Exception):
    """A trial that was begun while another worker began the last one."""


def open_study(
    name: str,
    storage: str,
    about: Mapping[str, Any],
    pruner: str = "median",
    sampler_seed: int | None = None,
) -> Any:
    """The study of this name in a storage, which is made where there is none.

    Args:
        name: of the study.
        storage: the URL of a database, such as `sqlite:///search.db`, or the path of a journal.
        about: what is searched, see `described`; a study keeps to one.
        pruner: one of PRUNERS.
        sampler_seed: of the first trial; None is another one in each worker.

    Raises:
        ConfigError: the storage cannot be opened, or the study is about something else.
    """
    optuna = require("optuna", "optuna", "searches")
    if pruner not in PRUNERS:
        raise unknown("pruner", pruner, PRUNERS)
    make = partial(
        optuna.create_study,
        study_name=name,
        direction="maximize",
        pruner=getattr(optuna.pruners, PRUNERS[pruner])(),
        load_if_exists=True,
    )
    study = _opened(make, storage)
    check_about(study, about)
    seed = None if sampler_seed is None else sampler_seed + len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    return study


def _opened(make: Callable[..., Any], storage: str) -> Any:
    for attempt in range(ATTEMPTS):
        try:
            return make(storage=storage_of(storage))
        except Exception as error:  # of a driver, a database, a file system or a parser
            if attempt == ATTEMPTS - 1:
                raise ConfigError(
                    f"storage {storage!r} cannot be opened ({reason(error)}): give the URL of a "
                    "database, such as sqlite:///search.db, or the path of a journal."
                ) from error


def storage_of(text: str) -> Any:
    """What Optuna takes for a storage: a URL is a database's, all else the path of a journal."""
    if "://" in text:
        return text
    journal = require("optuna.storages.journal", "optuna", "searches")
    Path(text).parent.mkdir(parents=True, exist_ok=True)
    return require("optuna.storages", "optuna", "searches").JournalStorage(
        journal.JournalFileBackend(text)
    )


def described(
    config: TrainConfig, space: Mapping[str, Domain], seeds: Iterable[int]
) -> dict[str, Any]:
    """What a search is about, as JSON can say it."""
    shown = {name: getattr(RunnerConfig, name) for name in SHOWN}
    config = replace(config, runner=replace(config.runner, **shown))
    return {"space": plain(space), "seeds": list(seeds), "config": plain(to_dict(config))}


def check_about(study: Any, about: Mapping[str, Any]) -> None:
    """Raises ConfigError if the study is about something else; a new one is told."""
    if ABOUT not in study.user_attrs and not study.get_trials(deepcopy=False):
        study.set_user_attr(ABOUT, dict(about))
    known = study.user_attrs.get(ABOUT, {})
    differing = [name for name, value in about.items() if known.get(name) != value]
    if differing:
        raise ConfigError(
            f"study {study.study_name!r} has another {' and '.join(differing)}: "
            "give the same again, or another --study."
        )


def work(
    study: Any, objective: Callable[[Any], float], n_trials: int, callbacks: Sequence[Any] = ()
) -> None:
    """Runs trials until all workers together have begun so many; those that failed do not count."""
    run = partial(within, n_trials, objective)
    while len(begun(study)) < n_trials:
        study.optimize(run, n_trials=1, callbacks=list(callbacks), catch=(SurplusError,))


def within(n_trials: int, objective: Callable[[Any], float], trial: Any) -> float:
    """The objective of a trial, unless so many were begun before it."""
    earlier = [other for other in begun(trial.study) if other.number < trial.number]
    if len(earlier) >= n_trials:
        raise SurplusError(f"{n_trials} trials were begun before.")
    return objective(trial)


def begun(study: Any) -> list[Any]:
    """The trials that run, are complete or were pruned."""
    state = require("optuna.trial", "optuna", "searches").TrialState
    states = (state.RUNNING, state.COMPLETE, state.PRUNED)
    return study.get_trials(deepcopy=False, states=states)


def best_of(study: Any) -> Any | None:
    """The best trial that is complete; None if none is."""
    complete = [trial for trial in begun(study) if trial.value is not None]
    return max(complete, key=lambda trial: trial.value, default=None)
