"""MLflow's model registry: exported policies as models with figures, found again by alias.

The newest version has the alias `candidate`, the best the alias `champion`. Nothing is pickled: a
model is the folder that `export` writes, which `mlflow.pyfunc` does not know how to load.
"""

import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vibe_rl.errors import ConfigError, short, unknown
from vibe_rl.policies.numpy_runner import DESCRIPTION, PolicyError, check_file, read_description
from vibe_rl.policies.registered import client_at, if_there, local_address, told_as_one_sentence
from vibe_rl.run_dir.files import absolute
from vibe_rl.run_dir.plain import plain
from vibe_rl.tracking.mlflow import load_mlflow
from vibe_rl.tracking.mlflow_store import ARTIFACTS, check_address, find_experiment, given_address

CANDIDATE, CHAMPION = "candidate", "champion"
ALIAS = re.compile(r"(?!(latest|candidate|champion|v\d+)$)[A-Za-z0-9_-]{1,255}")
"""Of a version, besides ours and those that MLflow keeps for itself."""


class Figures(NamedTuple):
    """What is known of a policy."""

    metrics: Mapping[str, float]
    by: str  # the metric by which a champion is chosen; more is better
    step: int = 0  # of the training, to which they belong


class Published(NamedTuple):
    """A new version of a registered model."""

    name: str
    version: int
    model_id: str
    aliases: tuple[str, ...]  # that it got
    champion: int  # the version that has this alias now


@dataclass
class _Attempt:
    """What has been made so far, to be undone if the rest fails."""

    client: Any
    name: str
    aliases: dict[str, Any]  # as they were before
    made_name: bool = False
    made_run: str | None = None
    model_id: str | None = None
    version: Any = None

    def undo(self) -> None:
        """Leaves nothing that looks like a published model."""
        client = self.client
        for alias, version in self.aliases.items():
            with suppress(Exception):
                client.set_registered_model_alias(self.name, alias, version)
        with suppress(Exception):
            if self.version is not None:
                client.delete_model_version(self.name, self.version)
        with suppress(Exception):
            if self.made_name:
                client.delete_registered_model(self.name)
        with suppress(Exception):
            client.finalize_logged_model(self.model_id, "FAILED")
        with suppress(Exception):
            if self.made_run is not None:
                client.set_terminated(self.made_run, "FAILED")


def publish(
    folder: str | os.PathLike[str],
    figures: Figures,
    *,
    name: str,
    run_id: str | None = None,
    tracking_uri: str | None = None,
    tags: Mapping[str, Any] | None = None,
    also: Sequence[str] = (),
    alias: str | None = None,
) -> Published:
    """Registers an exported policy as the next version of a model.

    It gets the alias `candidate`, and `champion` if its figure is at least the present champion's.

    Args:
        folder: what `export` wrote.
        figures: metrics of the model, and the one by which a champion is chosen.
        name: of the registered model, which is made if there is none.
        run_id: the MLflow run that it came from; None makes one, in an experiment of that name.
        tracking_uri: None takes `MLFLOW_TRACKING_URI`, or `runs/mlflow.db`.
        tags: of the version.
        also: names of files in the folder that are no part of the policy, to be kept with it.
        alias: a further one, which the version before loses.

    Raises:
        ConfigError: mlflow is not installed, the folder holds no policy, there is no such run, or
            MLflow cannot be reached; then nothing is left but a model that is marked as failed.
    """
    folder = absolute(folder)
    description = check_folder(folder)
    names = (DESCRIPTION, *description["files"], *also)
    check_figures(figures, name)
    check_alias(alias)
    uri = check_address(tracking_uri or given_address() or local_address(make=True))
    with told_as_one_sentence():
        client = client_at(uri)
        attempt = _Attempt(client, name, aliases_of(client, name))
        try:
            run = client.get_run(run_id) if run_id else new_run(attempt, uri)
            _fill(attempt, [folder / name for name in names], description, figures, run)
            _register(attempt, run.info.run_id, {**figures.metrics, **(tags or {})})
            published = set_aliases(attempt, figures, [alias] if alias else [])
            if attempt.made_run is not None:
                client.set_terminated(attempt.made_run, "FINISHED")
        except BaseException:
            attempt.undo()
            raise
    return published


def check_folder(folder: Path) -> dict[str, Any]:
    """What policy.json says; ConfigError unless the folder holds what was exported."""
    try:
        description = read_description(folder)
        for name in description["files"]:
            check_file(folder, description, name)
    except PolicyError as error:
        raise ConfigError(str(error)) from error
    return description


def check_figures(figures: Figures, name: str) -> None:
    """Raises ConfigError for figures that compare with nothing, or a name that MLflow refuses."""
    if figures.by not in figures.metrics:
        raise unknown("metric", figures.by, figures.metrics)
    for metric, value in figures.metrics.items():
        if not math.isfinite(value):
            raise ConfigError(f"{metric} {value} of a model: give a finite number.")
    if not name or set(name) & set("/:@"):
        raise ConfigError(f"model name {name!r}: give one without '/', ':' and '@'.")


def check_alias(alias: str | None) -> None:
    """Raises ConfigError for an alias that MLflow refuses, or that is not the caller's to give."""
    if alias is not None and ALIAS.fullmatch(alias) is None:
        raise ConfigError(
            f"alias {short(alias)} of a model: give letters, digits, '_' and '-', other than "
            "candidate, champion, latest and v1, v2 and so on."
        )


def aliases_of(client: Any, name: str) -> dict[str, Any]:
    """The aliases of a model and their versions; none if there is no such model."""
    model = if_there(client.get_registered_model, name)
    return {} if model is None else dict(model.aliases)


def new_run(attempt: _Attempt, uri: str) -> Any:
    """A run for a model that comes from none."""
    client, artifacts = attempt.client, Path(uri.removeprefix("sqlite:///")).parent / ARTIFACTS
    experiment = find_experiment(client, attempt.name, artifacts)
    run = client.create_run(experiment, run_name=attempt.name)
    attempt.made_run = run.info.run_id
    return run


def _fill(
    attempt: _Attempt,
    files: Sequence[Path],
    description: Mapping[str, Any],
    figures: Figures,
    run: Any,
) -> None:
    """Makes the model, with its files and figures."""
    client, entities = attempt.client, load_mlflow().entities
    model = client.create_logged_model(
        run.info.experiment_id,
        name="policy",
        source_run_id=run.info.run_id,
        model_type=f"vibe_rl/{description['algorithm'].lower()}",
        params={f"versions.{key}": str(value) for key, value in description["versions"].items()},
        tags={"format": str(description["format"])},
    )
    attempt.model_id = model.model_id
    for path in files:
        client.log_model_artifact(model.model_id, str(path))
    client.finalize_logged_model(model.model_id, "READY")
    about = {"model_id": model.model_id, "run_id": run.info.run_id}
    metrics = [
        entities.Metric(
            name, float(value), stamp(client, figures, name, run), figures.step, **about
        )
        for name, value in figures.metrics.items()
    ]
    client.log_batch(run.info.run_id, metrics=metrics)


def stamp(client: Any, figures: Figures, name: str, run: Any) -> int:
    """The time of a figure: that which the run has of it already, so that it stays there once."""
    wanted = figures.step, figures.metrics[name]
    history = client.get_metric_history(run.info.run_id, name)
    known = [each.timestamp for each in history if (each.step, each.value) == wanted]
    return known[0] if known else int(1000 * time.time())


def _register(attempt: _Attempt, run_id: str, tags: Mapping[str, Any]) -> None:
    """Makes the model a version of its name."""
    client, model = attempt.client, attempt.client.get_logged_model(attempt.model_id)
    try:
        client.create_registered_model(attempt.name)
        attempt.made_name = True
    except load_mlflow().MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    how = {"run_id": run_id, "model_id": model.model_id}
    texts = {name: str(plain(value)) for name, value in tags.items()}
    made = client.create_model_version(attempt.name, model.artifact_location, tags=texts, **how)
    attempt.version = made.version


def set_aliases(attempt: _Attempt, figures: Figures, more: Sequence[str]) -> Published:
    """Names the version `candidate`, `champion` if no other is better, and what else is wanted."""
    client, name, version = attempt.client, attempt.name, attempt.version
    before, aliases = attempt.aliases.get(CHAMPION), [CANDIDATE, *more]
    for alias in aliases:
        client.set_registered_model_alias(name, alias, version)
    if before is None or is_at_least(client.get_model_version(name, before), figures):
        client.set_registered_model_alias(name, CHAMPION, version)
        before, aliases = version, [CANDIDATE, CHAMPION, *more]
    assert attempt.model_id is not None
    return Published(name, int(version), attempt.model_id, tuple(aliases), int(before))


def is_at_least(champion: Any, figures: Figures) -> bool:
    """Whether the figure is as good as the champion's; not if nobody has recorded that."""
    recorded = champion.tags.get(figures.by)
    with suppress(TypeError, ValueError):
        return figures.metrics[figures.by] >= float(recorded)
    return False
