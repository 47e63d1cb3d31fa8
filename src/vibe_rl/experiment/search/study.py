"""Studies that workers on many machines share: each opens the study and runs trials of it."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vibe_rl.configs.train_config import TrainConfig, from_dict, to_dict
from vibe_rl.errors import ConfigError, reason, unknown
from vibe_rl.experiment.search.space import Domain
from vibe_rl.extras import require
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.config import RunnerConfig

PRUNERS = {"median": "MedianPruner", "halving": "SuccessiveHalvingPruner", "none": "NopPruner"}
ATTRIBUTE = "vibe_rl"
"""The attribute of a study that describes its search."""
PRIVATE = ("progress_bar", "plot", "checkpoint_share")
"""The runner's fields that may differ between the workers of a study."""
ATTEMPTS, PAUSE = 4, 0.1
"""To open a storage, and seconds before the second, twice as many before each other: workers that
create its tables at the same time disturb each other."""


class SurplusError(Exception):
    """A trial that was started while another worker started the last one."""


def open_study(
    name: str,
    storage: str,
    description: Mapping[str, Any],
    pruner: str = "median",
    sampler_seed: int | None = None,
) -> Any:
    """The study of this name in a storage; both are created if they do not exist.

    Args:
        name: of the study.
        storage: the URL of a database, such as `sqlite:///search.db`, or the path of a journal.
        description: of the search, see `describe_search`; a study has one for good.
        pruner: one of PRUNERS.
        sampler_seed: of the first trial; None is a different one in each worker.

    Raises:
        ConfigError: the storage cannot be opened, or the study is of another search.
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
    check_journal(storage)
    study = _open(make, storage)
    check_same_search(study, description)
    seed = None if sampler_seed is None else sampler_seed + len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    return study


def _open(make: Callable[..., Any], storage: str) -> Any:
    for attempt in range(ATTEMPTS):
        try:
            return make(storage=as_storage(storage))
        except Exception as error:  # of a driver, a database, a file system or a parser
            if attempt == ATTEMPTS - 1:
                raise ConfigError(
                    f"storage {storage!r} cannot be opened ({reason(error)}): give the URL of a "
                    "database, such as sqlite:///search.db, or the path of a journal."
                ) from error
            time.sleep(PAUSE * 2**attempt)


def check_journal(storage: str) -> None:
    """Raises ConfigError for a file that is no journal, to which Optuna would append."""
    path = Path(storage)
    if "://" in storage or not path.is_file():
        return
    with path.open("rb") as file:
        first = file.readline()
    if first and b'"op_code"' not in first:
        raise ConfigError(f"storage {storage!r} is a file, but no journal: name another one.")


def as_storage(text: str) -> Any:
    """Optuna's storage: a URL is a database's, anything else is the path of a journal."""
    if "://" in text:
        return text
    journal = require("optuna.storages.journal", "optuna", "searches")
    path = Path(text).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    return require("optuna.storages", "optuna", "searches").JournalStorage(
        journal.JournalFileBackend(str(path))
    )


def describe_search(
    config: TrainConfig, space: Mapping[str, Domain], seeds: Iterable[int]
) -> dict[str, Any]:
    """The search as JSON: what all its workers must have in common."""
    return {"space": plain(space), "seeds": list(seeds), "config": shared_fields(config)}


def shared_fields(config: TrainConfig) -> dict[str, Any]:
    """The config as JSON, but for the fields in which workers may differ."""
    private = {name: getattr(RunnerConfig, name) for name in PRIVATE}
    return plain(to_dict(replace(config, runner=replace(config.runner, **private))))


def check_same_search(study: Any, description: Mapping[str, Any]) -> None:
    """Raises ConfigError if the study is of another search; a new one gets the description."""
    if ATTRIBUTE not in study.user_attrs and not study.get_trials(deepcopy=False):
        study.set_user_attr(ATTRIBUTE, dict(description))
    known = dict(study.user_attrs.get(ATTRIBUTE, {}))
    if "config" in known:  # an older one lacks fields that have been added since
        known["config"] = shared_fields(from_dict(known["config"]))
    differing = [name for name, value in description.items() if known.get(name) != value]
    if differing:
        raise ConfigError(
            f"study {study.study_name!r} has another {' and '.join(differing)}: "
            "give the same again, or this study another name."
        )


def run_trials(
    study: Any, objective: Callable[[Any], float], n_trials: int, callbacks: Sequence[Any] = ()
) -> None:
    """Runs trials until all workers have started `n_trials` together; failed ones do not count."""
    run = partial(run_within, n_trials, objective)
    while len(started_trials(study)) < n_trials:
        study.optimize(run, n_trials=1, callbacks=list(callbacks), catch=(SurplusError,))


def run_within(n_trials: int, objective: Callable[[Any], float], trial: Any) -> float:
    """The objective of a trial; SurplusError if `n_trials` were started before it."""
    earlier = [other for other in started_trials(trial.study) if other.number < trial.number]
    if len(earlier) >= n_trials:
        raise SurplusError(f"{n_trials} trials were started before.")
    return objective(trial)


def started_trials(study: Any) -> list[Any]:
    """The trials that are running, complete or pruned."""
    state = require("optuna.trial", "optuna", "searches").TrialState
    states = (state.RUNNING, state.COMPLETE, state.PRUNED)
    return study.get_trials(deepcopy=False, states=states)


def best_trial(study: Any) -> Any | None:
    """The best complete trial; None if there is none."""
    complete = [trial for trial in started_trials(study) if trial.value is not None]
    return max(complete, key=lambda trial: trial.value, default=None)
