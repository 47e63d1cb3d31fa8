"""Models of MLflow's registry, found by name and alias or version."""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vibe_rl.errors import ConfigError, reason, shown, unknown, without_password
from vibe_rl.policies.numpy_runner import DESCRIPTION
from vibe_rl.run_dir.files import absolute
from vibe_rl.tracking.mlflow import load_mlflow
from vibe_rl.tracking.mlflow_store import (
    DATABASE,
    URI,
    alone_at_first,
    check_address,
    default_address,
    given_address,
)

ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>\d+))")
MISSING = "RESOURCE_DOES_NOT_EXIST"
RUNS = "runs"
"""The folder with the database where nothing else is said."""


@contextmanager
def downloaded(address: str, tracking_uri: str | None = None) -> Iterator[Path]:
    """A folder with the files of `models:/NAME@ALIAS` or `models:/NAME/VERSION`, for a while.

    Raises:
        ConfigError: there is no such model, alias or version, or MLflow cannot be reached.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise ConfigError(f"{address}: write models:/NAME@ALIAS or models:/NAME/VERSION.")
    uri = check_address(tracking_uri or given_address() or local_address())
    with tempfile.TemporaryDirectory(prefix="vibe_rl_") as folder:
        with told_as_one_sentence():
            client = client_at(uri)
            version = _version_of(client, **found.groupdict())
            source = client.get_model_version_download_uri(found["name"], version)
            how = {"tracking_uri": uri, "dst_path": folder}
            path = Path(load_mlflow().artifacts.download_artifacts(artifact_uri=source, **how))
        if not (path / DESCRIPTION).is_file():
            raise ConfigError(f"{address} is no policy of vibe_rl: name another model.")
        yield path


def _version_of(client: Any, name: str, alias: str | None, version: str | None) -> str:
    """The version that is meant; ConfigError with the nearest names if there is none."""
    model = if_there(client.get_registered_model, name)
    if model is None:
        raise not_there("model", name, [each.name for each in client.search_registered_models()])
    if alias is not None:
        if alias not in model.aliases:
            raise not_there(f"alias of model {name}", alias, model.aliases)
        return str(model.aliases[alias])
    if if_there(client.get_model_version, name, version) is None:
        versions = client.search_model_versions(f"name='{name}'")
        known = [str(each.version) for each in versions]
        raise not_there(f"version of model {name}", str(version), known)
    return str(version)


def if_there(get: Callable[..., Any], *names: Any) -> Any:
    """What MLflow has under these names; None if it has nothing."""
    try:
        return get(*names)
    except load_mlflow().MlflowException as error:
        if error.error_code != MISSING:
            raise
        return None


def not_there(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that does not exist, also where there are none."""
    names = list(known)
    if names:
        return unknown(kind, name, names)
    return ConfigError(f"unknown {kind} {name!r}: there are none, publish one first.")


def local_address(make: bool = False) -> str:
    """The database in `runs/` here.

    Raises:
        ConfigError: there is none, and none is to be made.
    """
    path = absolute(RUNS) / DATABASE
    if make:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise ConfigError(f"there is no {shown(path)}: set {URI}, or give tracking_uri.")
    return default_address(path.parent)


def client_at(uri: str) -> Any:
    """MLflow's client of this address, for runs and for models."""
    mlflow = load_mlflow()
    with alone_at_first(uri):
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    return client


@contextmanager
def told_as_one_sentence() -> Iterator[None]:
    """Raises what MLflow raises as the library's own error."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        said = without_password(reason(error)).rstrip(".")
        raise ConfigError(
            f"mlflow: {said}: see that it can be reached and has what you name."
        ) from error
